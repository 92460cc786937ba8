"""Labels: round trip, verdicts, damaged files."""

import json

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS
from hand_pose_ros.sessions.labels import (
    ACCEPTED,
    CORRECTED,
    FITTED,
    REJECTED,
    SessionLabels,
    labels_folder,
)


def labels(count=4):
    made = SessionLabels.empty(
        np.arange(count, dtype=np.int64) * 100, np.arange(count), 'thermal_optical_frame'
    )
    made.origin[1:, 0] = FITTED
    made.joints[1:, 0] = np.random.default_rng(0).normal(size=(count - 1, 21, 3))
    made.residuals['pixels'] = np.full((count, 2), 0.5)
    return made


def test_round_trip_is_exact(tmp_path):
    made = labels().with_verdict(1, 0, ACCEPTED).with_verdict(2, 0, REJECTED)
    made.save(tmp_path)
    read = SessionLabels.load(tmp_path)
    for name in ('stamps', 'numbers', 'joints', 'origin', 'quality', 'verdict'):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    np.testing.assert_array_equal(read.residuals['pixels'], made.residuals['pixels'])
    assert read.frame_id == made.frame_id
    assert read.usable[:, 0].tolist() == [False, True, False, True]
    assert not read.usable[:, 1].any()


def test_verdicts_survive_new_labels_of_the_same_stamps(tmp_path):
    labels().with_verdict(2, 0, REJECTED).save(tmp_path)
    fresh = labels(6)
    verdicts = SessionLabels.load(tmp_path).verdict
    assert verdicts[2, 0] == REJECTED
    fresh.verdict[:4] = verdicts
    fresh.save(tmp_path)
    assert SessionLabels.load(tmp_path).verdict[2, 0] == REJECTED


def test_rows_can_be_taken():
    some = labels().take(np.array([False, True, True, False]))
    assert some.stamps.tolist() == [100, 200]
    assert some.residuals['pixels'].shape == (2, 2)


def test_the_parameters_of_a_hand_are_a_copy():
    made = labels()
    for place, name in enumerate(MODEL_PARAMETERS):
        getattr(made, name)[2, 1] = place
    found = made.parameters(2, 1)
    assert (found.hand_pose.shape, found.betas.shape) == ((15, 3), (10,))
    assert [float(getattr(found, name).flat[0]) for name in MODEL_PARAMETERS] == [0, 1, 2, 3]
    found.betas[:] = 9
    assert (made.betas[2, 1] == 2).all()


def test_arrays_that_do_not_fit_are_refused():
    made = labels()
    with pytest.raises(DataError, match=r'joints has shape \(3, 2, 21, 3\)'):
        SessionLabels(**{**made.__dict__, 'joints': made.joints[:3]})


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 cut', b'\x80\x04K\x00.'])
def test_a_damaged_table_is_one_sentence(tmp_path, content):
    (tmp_path / 'labels.npz').write_bytes(content)
    with pytest.raises(DataError, match='damaged'):
        SessionLabels.load(tmp_path)


def test_objects_in_a_table_are_not_unpickled(tmp_path):
    arrays = {'stamps': np.array([{'a': 1}], object)}
    np.savez(tmp_path / 'labels.npz', **arrays)
    with pytest.raises(DataError, match='damaged'):
        SessionLabels.load(tmp_path)


@pytest.mark.parametrize('content', ['[1]', '{"x": [0, 1]}', '{"0": [0]}', '{"0": [9, 0]}', '{'])
def test_damaged_verdicts_are_one_sentence(tmp_path, content):
    labels().save(tmp_path)
    (tmp_path / 'verdicts.json').write_text(content)
    with pytest.raises(DataError, match=r'verdicts\.json'):
        SessionLabels.load(tmp_path)


def test_verdicts_are_readable_by_people(tmp_path):
    labels().with_verdict(3, 0, REJECTED).save(tmp_path)
    assert json.loads((tmp_path / 'verdicts.json').read_text()) == {'300': [REJECTED, 0]}


def test_missing_labels_name_the_step(tmp_path):
    with pytest.raises(DataError, match='hand-pose annotate'):
        SessionLabels.load(labels_folder(tmp_path / 'bag'))


def test_corrections_are_kept_at_once_and_folded_in_by_the_next_save(tmp_path):
    made = labels()
    made.save(tmp_path)
    corrected = labels()
    for name in ('joints', 'global_orient', 'hand_pose', 'betas', 'translation'):
        getattr(corrected, name)[2, 1] = 0.25
    corrected.origin[2, 1], corrected.quality[2, 1] = CORRECTED, 1.0
    corrected.save_correction(tmp_path, 2, 1)
    with (tmp_path / 'corrections.jsonl').open('a') as stream:
        stream.write('{"stamp": 300, "si')  # a kill in the middle of a line
    read = SessionLabels.load(tmp_path)
    assert (read.origin[2, 1], read.quality[2, 1]) == (CORRECTED, 1.0)
    assert (read.joints[2, 1] == 0.25).all()
    assert read.origin[3, 1] == 0
    read.save(tmp_path)
    assert not (tmp_path / 'corrections.jsonl').exists()
    assert (SessionLabels.load(tmp_path).joints[2, 1] == 0.25).all()


def test_a_torn_line_does_not_spoil_the_next_one(tmp_path):
    made = labels()
    made.save(tmp_path)
    journal = tmp_path / 'corrections.jsonl'
    journal.write_text('{"stamp": 300, "si')
    made.origin[1, 0] = CORRECTED
    made.save_correction(tmp_path, 1, 0)
    made.origin[2, 0] = CORRECTED
    made.save_correction(tmp_path, 2, 0)
    with journal.open('a') as stream:
        stream.write('{"st')
    made.origin[1, 0] = FITTED  # taken back
    made.save_correction(tmp_path, 1, 0)
    read = SessionLabels.load(tmp_path)
    assert read.origin[1:3, 0].tolist() == [FITTED, CORRECTED]
    assert journal.read_text().count('\n') == 3


@pytest.mark.parametrize('line', ['{}', '[1]', '{"stamp": 100, "side": 5}', 'x'])
def test_damaged_corrections_are_one_sentence(tmp_path, line):
    labels().save(tmp_path)
    (tmp_path / 'corrections.jsonl').write_text(line + '\n')
    with pytest.raises(DataError, match=r'corrections\.jsonl line 1'):
        SessionLabels.load(tmp_path)


@pytest.mark.parametrize(
    ('milliseconds', 'wanted'),
    [(0, (1, 0.0)), (40, (2, 0.4)), (-25, (0, 0.25)), (101, (1, 0.0)), (-101, (1, 0.0))],
)
def test_a_stamp_lies_on_the_way_to_the_next_row(milliseconds, wanted):
    made = labels(3)
    made.stamps[:] = np.arange(3) * 100_000_000
    assert made.neighbour(1, int(made.stamps[1]) + milliseconds * 1_000_000) == wanted


def test_no_way_leads_out_of_the_labels_or_over_a_gap():
    made = labels(2)
    made.stamps[:] = 0, 150_000_001
    assert made.neighbour(0, 1_000_000) == (0, 0.0)
    assert made.neighbour(0, -1_000_000) == (0, 0.0)
    assert made.neighbour(1, 151_000_000) == (1, 0.0)
    made.stamps[1] -= 1
    assert made.neighbour(0, 75_000_000) == (1, 0.5)

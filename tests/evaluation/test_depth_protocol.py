"""NYU, ICVL and MSRA: the published figures come out, and bad files are named."""

import gzip

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.depth_protocol import (
    DEPTH_PROTOCOLS,
    FRAME_MEAN,
    WORST_JOINT,
    evaluate_files,
    evaluate_points,
    read_uvd,
    to_points,
)

NYU = DEPTH_PROTOCOLS['nyu']


def write(path, uvd):
    text = '\n'.join(' '.join(f'{value:.3f}' for value in frame.ravel()) for frame in uvd) + '\n'
    if path.suffix == '.gz':
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def frames(count=3, joints=14, seed=0):
    generator = np.random.default_rng(seed)
    uvd = generator.uniform(100, 300, (count, joints, 3))
    uvd[..., 2] += 500
    return uvd.round(3)


def points(count=4, joints=14):
    return np.random.default_rng(1).uniform(-0.1, 0.1, (count, joints, 3)) + np.array([0, 0, 0.6])


@pytest.fixture(scope='module')
def published(test_data):
    folder = test_data / 'depth_benchmarks' / 'nyu'
    predictions = folder / 'CVPR18_NYU_denseReg.txt.gz'
    if not predictions.exists():
        pytest.skip(f'{predictions} is missing')
    return evaluate_files(predictions, folder / 'nyu_test_groundtruth_label.txt.gz', 'nyu')


def rates(result, name):
    for table in result.tables:
        for row in table.rows:
            if row.name == name:
                return dict(zip(table.columns, row.values, strict=True))
    raise AssertionError(name)


def test_densereg_s_mean_error_on_nyu_is_the_published_one(published):
    assert published.headline['mean_error_mm'] == pytest.approx(10.214, abs=5e-4)


@pytest.mark.parametrize(
    ('name', 'thresholds', 'percent'),
    [
        ('worst joint', WORST_JOINT, '11.22 36.71 56.42 70.49 78.60 85.79 89.25 92.94 96.29'),
        ('frame mean', FRAME_MEAN, '6.41 66.19 88.22 94.83 98.45 98.98'),
        ('single joint', FRAME_MEAN, '27.78 69.10 85.61 92.16 96.54 97.95'),
    ],
)
def test_its_success_rates_are_the_published_ones(published, name, thresholds, percent):
    values = rates(published, name)
    expected = [float(value) for value in percent.split()]
    assert [f'{t} mm' for t in thresholds] == list(values)
    assert list(values.values()) == pytest.approx(expected, abs=5.1e-3)


def test_headline_conditions_and_curves_belong_together(published):
    assert published.headline['worst_joint_20_mm'] == pytest.approx(56.42, abs=5e-3)
    assert published.headline['worst_joint_40_mm'] == pytest.approx(85.79, abs=5e-3)
    assert '8252 of 8252' in published.conditions['frames']
    assert 'fx 588.03, fy -587.07' in published.conditions['camera']
    assert 'whole millimetres' in published.conditions['thresholds']
    worst = published.curves[0]
    assert worst.percent[list(worst.thresholds).index(20.0)] == pytest.approx(56.42, abs=5e-3)
    assert np.mean(list(published.joints.values())) == pytest.approx(10.214, abs=1e-3)


def test_back_projection_uses_the_stated_camera():
    uvd = np.array([[[320 + 588.03, 240.0, 500.0], [320.0, 240 + 587.07, 1000.0]]])
    assert to_points(uvd, NYU)[0] == pytest.approx(np.array([[0.5, 0, 0.5], [0, -1.0, 1.0]]))


@pytest.mark.parametrize('name', list(DEPTH_PROTOCOLS))
def test_a_depth_error_is_measured_along_the_ray(tmp_path, name):
    """10 mm too far at the principal point is 10 mm; u and v alone scale with depth."""
    protocol = DEPTH_PROTOCOLS[name]
    uvd = np.full((2, protocol.joints, 3), [protocol.cx, protocol.cy, 500.0])
    truth = write(tmp_path / 'truth.txt', uvd)
    guess = write(tmp_path / 'guess.txt', uvd + np.array([0, 0, 10.0]))
    result = evaluate_files(guess, truth, name)
    assert result.headline['mean_error_mm'] == pytest.approx(10.0)
    assert rates(result, 'worst joint')['10 mm'] == 100.0
    guess = write(tmp_path / 'guess.txt', uvd + np.array([protocol.fx / 500, 0, 0]))
    assert evaluate_files(guess, truth, name).headline['mean_error_mm'] == pytest.approx(
        1, rel=1e-3
    )


def test_worst_mean_and_single_joint_differ():
    truth = points(2)
    guess = truth.copy()
    guess[0, 0, 0] += 0.028  # one of 14 joints off by 28 mm in one of two frames
    result = evaluate_points(guess, truth, protocol='nyu', title='', conditions={})
    assert result.headline['mean_error_mm'] == pytest.approx(1.0)
    assert rates(result, 'worst joint') == pytest.approx(
        {f'{t} mm': 100.0 if t >= 30 else 50.0 for t in WORST_JOINT}
    )
    assert rates(result, 'frame mean')['5 mm'] == 100.0
    assert rates(result, 'single joint')['5 mm'] == pytest.approx(100 * 27 / 28)


def test_what_was_not_found_misses_and_what_is_not_labelled_does_not_count():
    truth, guess = points(4), points(4)
    guess[0] = np.nan
    guess[1, 3] = np.nan
    truth[2] = np.nan
    truth[3, 5] = np.nan
    guess[3, 5] += 1.0
    result = evaluate_points(guess, truth, protocol='nyu', title='', conditions={})
    assert result.headline['mean_error_mm'] == pytest.approx(0.0)
    assert rates(result, 'worst joint')['80 mm'] == pytest.approx(100 / 3)
    assert rates(result, 'single joint')['5 mm'] == pytest.approx(100 * (13 + 13) / (14 + 14 + 13))
    nothing = evaluate_points(guess * np.nan, truth, protocol='nyu', title='', conditions={})
    assert np.isnan(nothing.headline['mean_error_mm'])
    assert nothing.headline['worst_joint_40_mm'] == 0


def test_visible_joints_are_also_measured_by_themselves():
    truth, visible = points(4), np.zeros((4, 14), bool)
    guess = truth + np.array([0.01, 0, 0])
    visible[:, :7] = True
    guess[:, 7:, 1] += 0.5
    truth[0] = np.nan
    result = evaluate_points(guess, truth, protocol='nyu', title='', conditions={}, visible=visible)
    assert result.headline['visible_error_mm'] == pytest.approx(10)
    assert result.headline['mean_error_mm'] > 100
    assert rates(result, 'of visible joints')['value'] == pytest.approx(10)


def test_text_and_gzip_read_alike(tmp_path):
    uvd = frames()
    plain, packed = write(tmp_path / 'a.txt', uvd), write(tmp_path / 'a.txt.gz', uvd)
    assert read_uvd(plain, NYU) == pytest.approx(uvd)
    assert read_uvd(packed, NYU) == pytest.approx(uvd)
    renamed = tmp_path / 'unnamed.txt'
    renamed.write_bytes(packed.read_bytes())
    assert read_uvd(renamed, NYU) == pytest.approx(uvd)


def test_frame_counts_must_agree(tmp_path):
    first, second = write(tmp_path / 'a.txt', frames(3)), write(tmp_path / 'b.txt', frames(2))
    with pytest.raises(DataError, match=r'a\.txt has 3 frames and .*b\.txt 2'):
        evaluate_files(first, second, 'nyu')


def test_another_number_of_joints_names_line_and_both_counts(tmp_path):
    path = write(tmp_path / 'a.txt', frames(joints=16))
    with pytest.raises(DataError, match=r'line 1 has 48 values, NYU has 14 joints and needs 42'):
        read_uvd(path, NYU)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.txt.gz', b'1 2 3', 'not gzip in spite of its name'),
        ('a.txt.gz', gzip.compress(b'1 2 3 ' * 500, mtime=0)[:-9], 'damaged gzip'),
        ('a.txt.gz', gzip.compress(b'1 2 3 ' * 500, mtime=0)[:12] + b'\x00' * 40, 'damaged gzip'),
        ('a.txt', b'', 'has no frames'),
        ('a.txt', ' '.join(['x'] * 42).encode(), 'is no number'),
        ('a.txt', ' '.join(['nan'] * 42).encode(), 'every frame counts'),
        ('a.txt', b'\x93\xff\x00', 'not text'),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_uvd(path, NYU)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r'none\.txt cannot be read \(No such file'):
        read_uvd(tmp_path / 'none.txt', NYU)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr('hand_pose_ros.evaluation.depth_protocol._MOST_BYTES', 1000)
    path = tmp_path / 'a.gz'
    path.write_bytes(gzip.compress(b'0 ' * 100_000))
    with pytest.raises(DataError, match='unpacks to more than'):
        read_uvd(path, NYU)

"""``hand-pose estimate`` on small recordings, with a stand-in for the estimator."""

import json
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

import hand_pose_ros.estimators
from hand_pose_ros.cli.main import main
from tests.cli import hands


class StandIn:
    """Reports one left hand whose joints tell the camera it was given."""

    name, model_hash, timings = 'stand_in', '', {}

    def __init__(self):
        self.frames, self.resets = [], 0

    def estimate(self, frame):
        self.frames.append(frame)
        calibrated = frame.streams[frame.reference].camera is not None
        hand = hands.hand(joints_2d={name: np.full((21, 2), 9.0) for name in frame.streams})
        return [hand if calibrated else type(hand)(**{**hand.__dict__, **NOTHING_3D})]

    def reset(self):
        self.resets += 1


NOTHING_3D = {'joints': None, 'covariance': None, 'parameters': None}


@pytest.fixture(autouse=True)
def estimator(monkeypatch):
    stand_in = StandIn()
    module = types.ModuleType('hand_pose_ros.estimators.registry')
    module.create = lambda name, options, rig: stand_in
    monkeypatch.setitem(__import__('sys').modules, module.__name__, module)
    monkeypatch.setattr(hand_pose_ros.estimators, 'registry', module, raising=False)
    return stand_in


def thermal_folder(folder: Path, count=3, size=(320, 256), start=0) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        image = np.random.default_rng(index).integers(0, 255, (size[1], size[0]), np.uint8)
        cv2.imwrite(str(folder / f'{start + index:02d}.png'), image)
    return folder


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(tmp_path, source, *more, modality='thermal'):
    output = tmp_path / 'out' / 'hands.jsonl'
    argv = ['estimate', str(source), '--modality', modality, '--output', str(output), *more]
    return main(argv), output


def test_a_folder_with_a_half_size_rig(tmp_path, capsys, estimator):
    folder = thermal_folder(tmp_path / 'frames')
    status, output = run(
        tmp_path, folder, '--rig', 'thermohands_ego', '--overlay', str(tmp_path / 'seen'),
        '--json', str(tmp_path / 'sum.json'),
    )  # fmt: skip
    captured = capsys.readouterr()
    assert status == 0
    assert 'images are 320x256, 1/2 of the calibrated 640x512, so K was scaled' in captured.err
    records = lines(output)
    assert [record['source'] for record in records] == ['00.png', '01.png', '02.png']
    assert all(record['frame_id'] == 'thermal_optical_frame' for record in records)
    assert np.diff([record['stamp'] for record in records]) == pytest.approx(1e9 / 30, abs=2)
    camera = estimator.frames[0].streams['thermal'].camera
    assert (camera.width, camera.height) == (320, 256)
    assert camera.intrinsics[0, 0] == pytest.approx(409.5380 / 2, rel=1e-4)
    assert camera.intrinsics[0, 2] == pytest.approx((323.1047 + 0.5) / 2 - 0.5, rel=1e-4)
    summary = json.loads((tmp_path / 'sum.json').read_text())
    assert (summary['frames'], summary['left'], summary['metric']) == (3, 3, 3)
    assert any('K was scaled' in remark for remark in summary['remarks'])
    assert sorted(path.name for path in (tmp_path / 'seen').iterdir()) == [
        '00.png', '01.png', '02.png',
    ]  # fmt: skip
    assert '3 frames, 3 hands (3 left, 0 right; 3 metric)' in captured.out


def test_without_a_rig_joints_are_null_and_that_is_said(tmp_path, capsys):
    status, output = run(tmp_path, thermal_folder(tmp_path / 'frames', size=(100, 80)))
    assert status == 0
    assert 'no --rig' in capsys.readouterr().err
    (hand,) = lines(output)[0]['hands']
    assert hand['joints'] is None and hand['sigma'] is None
    assert hand['joints_2d']['thermal'][0] == [9.0, 9.0]


def test_a_calibration_file_of_thermohands(tmp_path, test_data, capsys):
    calibration = test_data / 'thermal_egocentric' / 'calibration' / 'ego_calib.json'
    folder = thermal_folder(tmp_path / 'frames', count=1)
    assert run(tmp_path, folder, '--rig', str(calibration))[0] == 0
    assert '1/2 of the calibrated' in capsys.readouterr().err


def test_a_single_image_and_16_bits(tmp_path, estimator):
    path = tmp_path / 'one.png'
    cv2.imwrite(str(path), np.full((512, 640), 7000, np.uint16))
    status, output = run(tmp_path, path, '--rig', 'thermohands_ego')
    assert status == 0 and lines(output)[0]['source'] == 'one.png'
    assert estimator.frames[0].streams['thermal'].image.dtype == np.uint16


def test_a_video(tmp_path, estimator):
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (320, 256))
    for value in (30, 60, 90, 120):
        writer.write(np.full((256, 320, 3), value, np.uint8))
    writer.release()
    status, output = run(tmp_path, path, '--overlay', str(tmp_path / 'seen'))
    assert status == 0
    records = lines(output)
    assert len({record['source'] for record in records}) == 4
    assert np.diff([record['stamp'] for record in records]) == pytest.approx(1e8, abs=2)
    assert estimator.frames[0].streams['thermal'].image.shape == (256, 320)
    assert len(list((tmp_path / 'seen').iterdir())) == 4


def test_all_cameras_are_put_together_by_stamp(tmp_path, estimator):
    session = tmp_path / 'session'
    thermal_folder(session / 'thermal', count=4)
    (session / 'depth').mkdir()
    for index in range(3):
        cv2.imwrite(str(session / 'depth' / f'{index}.png'), np.full((480, 640), 600, np.uint16))
    status, output = run(tmp_path, session, '--rig', 'thermohands_ego', modality='all')
    assert status == 0
    records = lines(output)
    assert len(records) == 4
    assert [set(frame.streams) for frame in estimator.frames[:3]] == [{'thermal', 'depth'}] * 3
    assert records[0]['frame_id'] == estimator.frames[0].frame_id
    assert estimator.frames[0].streams['depth'].image[0, 0] == pytest.approx(0.6)


def test_one_modality_of_a_rig_is_in_its_own_frame(tmp_path):
    folder = tmp_path / 'rgb'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.png'), np.random.default_rng(0).integers(0, 9, (540, 960, 3)))
    status, output = run(tmp_path, folder, '--rig', 'thermohands_ego', modality='rgb')
    assert status == 0 and lines(output)[0]['frame_id'] == 'rgb_optical_frame'


def test_independent_photos_reset_the_estimator(tmp_path, estimator):
    assert run(tmp_path, thermal_folder(tmp_path / 'frames'), '--independent')[0] == 0
    assert estimator.resets == 3


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('nowhere',), 'nowhere'),
        (('empty',), 'holds no images'),
        (('frames', '--rig', 'no_such_rig'), 'no_such_rig'),
        (('frames', '--rig', 'thermohands_ego', '--modality', 'rgb'), 'no whole fraction'),
        (('frames', '--modality', 'all'), 'none of the folders thermal, nir, depth, rgb'),
        (('colour',), 'holds rgb8 pixels'),
        (('broken',), 'cannot be decoded'),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    thermal_folder(tmp_path / 'frames', size=(100, 80))
    for name in ('empty', 'colour', 'broken'):
        (tmp_path / name).mkdir()
    cv2.imwrite('colour/a.png', np.dstack([np.full((8, 8), v, np.uint8) for v in (0, 90, 250)]))
    Path('broken/a.png').write_bytes(b'not a picture')
    more = arguments if '--modality' in arguments else (*arguments, '--modality', 'thermal')
    assert main(['estimate', *more, '--output', 'out.jsonl']) == 1
    error = capsys.readouterr().err
    assert sentence in error and 'Traceback' not in error
    assert [line for line in error.splitlines() if line.startswith('hand-pose estimate: ')]


def test_an_output_that_cannot_be_written_is_a_sentence(tmp_path, capsys):
    (tmp_path / 'out').write_text('in the way')
    assert run(tmp_path, thermal_folder(tmp_path / 'frames'))[0] == 1
    assert 'name another --output' in capsys.readouterr().err


def test_the_estimator_can_be_named_and_then_has_its_own_defaults(tmp_path, monkeypatch, estimator):
    asked = []
    registry = hand_pose_ros.estimators.registry
    monkeypatch.setattr(
        registry, 'create', lambda name, options, rig: asked.append((name, options)) or estimator
    )
    source = thermal_folder(tmp_path / 'frames', 1)
    run(tmp_path, source, '--estimator', 'fusion')
    run(tmp_path, source)
    assert asked == [('fusion', {}), ('landmarks', {})]

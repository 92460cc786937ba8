"""``hand-pose calibrate``: from a simulated recording to a rig file, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cli.main import main
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.rig.description import find_rig, load_rig, save_rig
from hand_pose_ros.simulation.boards import BoardScene, write_board_session
from tests.calibration.boards import TARGET

LATE = 40_000_000


@pytest.fixture(scope='module')
def true_rig():
    """Three small cameras."""
    rig = find_rig('simulated_head_rig')
    cameras = {'thermal': replace(rig.cameras['thermal'], rate=15.0)}
    for name in ('nir', 'depth'):
        small = rig.cameras[name].camera.scaled(320, 240)
        cameras[name] = replace(rig.cameras[name], camera=small, size=(320, 240), rate=15.0)
    return replace(rig, cameras=cameras, synchronizer=None)


@pytest.fixture(scope='module')
def scene(true_rig):
    return BoardScene(
        rig=true_rig, target=TARGET, views=12, offsets={'nir': LATE, 'depth': LATE},
        depth_scale=1.03,
    )  # fmt: skip


@pytest.fixture(scope='module')
def bag(scene, true_rig, tmp_path_factory):
    """A recording whose rig knows where the thermal camera is, and nothing else."""
    cameras = {
        name: replace(
            camera, camera=None, T_rig_cam=camera.T_rig_cam if name == 'thermal' else np.eye(4)
        )
        for name, camera in true_rig.cameras.items()
    }
    folder = tmp_path_factory.mktemp('board') / 'board'
    write_board_session(scene, folder, described=replace(true_rig, cameras=cameras))
    return folder


def calibrate(bag, *more, target='chessboard:9x6:0.025'):
    return main(['calibrate', str(bag), '--target', target, *more])


def test_a_rig_is_calibrated_from_nothing(bag, true_rig, tmp_path, capsys):
    output, ego = tmp_path / 'out', tmp_path / 'figures.json'
    assert calibrate(bag, '--moments', '36', '--output', str(output), '--json', str(ego)) == 0
    printed = capsys.readouterr().out
    assert 'depth: shares the sensor of nir' in printed
    assert 'WARNING depth: at' in printed
    rig = load_rig(output / 'rig.yaml')
    assert np.array_equal(rig.cameras['thermal'].T_rig_cam, true_rig.cameras['thermal'].T_rig_cam)
    for name, camera in rig.cameras.items():
        true = true_rig.cameras[name]
        focal = camera.camera.intrinsics[0, 0] / true.camera.intrinsics[0, 0]
        assert focal == pytest.approx(1, abs=0.005)
        away = inverse(true.T_rig_cam) @ camera.T_rig_cam
        assert np.linalg.norm(away[:3, 3]) < 0.002
        assert camera.values == true.values, 'what is not calibrated stays'
    assert rig.cameras['thermal'].camera.distortion[0] == pytest.approx(-0.3755, abs=0.01)
    assert rig.cameras['nir'].time_offset == pytest.approx(LATE, abs=3e6)
    assert rig.synchronizer.offsets['nir'] == rig.cameras['nir'].time_offset
    report = json.loads((output / 'report.json').read_text())
    assert report == json.loads(ego.read_text())
    assert report['depth']['depth']['scale'] == pytest.approx(1.03, abs=0.005)
    assert report['cameras']['nir']['contrast_turned']
    page = (output / 'report.html').read_text()
    for name in report['cameras']:
        assert (output / f'{name}.png').stat().st_size > 10_000
        assert f'{name}.png' in page


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--target', 'chessboard:9x6'), 'write KIND:COLUMNSxROWS:SPACING'),
        (('--target', 'triangle:9x6:0.025'), "'triangle' is unknown: use one of chessboard"),
        (('--target', 'chessboard:9x6:25'), 'spacing is 25 m, give metres'),
        (('--target', 'missing.yaml'), 'missing.yaml: cannot be read'),
        (('--target', 'charuco:7x5:0.04', '--moments', '10'), 'was found in none of'),
        (('--cameras', 'thermal,left'), "the rig has no camera 'left': use thermal, nir, depth"),
        (('--keep-intrinsics', 'nir', '--moments', '10'), 'nir: the rig has no intrinsics to keep'),
        (('--tie', 'depth'), 'write DEPTH=CAMERA'),
        (('--moments', '3'), '--moments is 3: use 10 or more'),
        (('--cameras', 'depth'), 'no camera but depth'),
        (('--rig', 'simulated_head_rig'), 'has no images on /rgb/image_raw: record rgb too'),
        (('--trajectory', 'auto'), 'no calibrated camera on another body'),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_sentence(bag, tmp_path, arguments, message, capsys):
    assert calibrate(bag, '--output', str(tmp_path / 'out'), *arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error
    assert not (tmp_path / 'out').exists()


def test_a_bag_without_a_rig_asks_for_it(tmp_path, capsys):
    BagWriter(tmp_path / 'empty').close()
    assert calibrate(tmp_path / 'empty') == 1
    assert 'holds no /rig_description' in capsys.readouterr().err
    assert calibrate(tmp_path / 'nowhere') == 1
    assert 'does not exist' in capsys.readouterr().err


def test_stamps_of_two_clocks_are_refused(scene, true_rig, tmp_path, capsys):
    mixed = replace(scene, offsets={'nir': -1_600_000_000_000_000_000})
    write_board_session(mixed, tmp_path / 'mixed', duration=0.5)
    assert calibrate(tmp_path / 'mixed') == 1
    assert 'the stamps of thermal' in (error := capsys.readouterr().err)
    assert 'different clocks' in error


def test_a_short_recording_is_refused_with_what_to_record(scene, true_rig, tmp_path, capsys):
    write_board_session(scene, tmp_path / 'short', duration=1.2)
    save_rig(true_rig, tmp_path / 'rig.yaml')
    assert (
        calibrate(tmp_path / 'short', '--moments', '12', '--rig', str(tmp_path / 'rig.yaml')) == 1
    )
    assert 'record' in capsys.readouterr().err

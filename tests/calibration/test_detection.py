"""Targets of every kind are found, warm or cold, and numbered from the right end."""

import numpy as np
import pytest

from hand_pose_ros.calibration.board_pose import board_pose, tilt
from hand_pose_ros.calibration.detection import detect, grey_image
from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.rig.target import parse_target
from hand_pose_ros.simulation.boards import START, BoardScene, true_pixels
from tests.calibration.boards import TARGET, head_rig

RIG = head_rig('thermal', 'rgb')


def scene(target=TARGET, turn=0.0, heat='warm'):
    """A target half a metre before the rig's thermal camera, turned about its normal (degrees)."""
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_euler('zx', [turn, 25], degrees=True).as_matrix()
    place = np.array([-0.01, 0.02, 0.42]) - rotation @ target.points.mean(axis=0)
    T_rig_board = RIG.cameras['thermal'].T_rig_cam @ rigid(rotation, place)
    return BoardScene(rig=RIG, target=target, heat=heat, motion=lambda _: T_rig_board)


def look(shown, name):
    found = detect(grey_image(shown.image(name, START)), shown.target, name, START)
    return found, true_pixels(shown, name, START)


@pytest.mark.parametrize('turn', [0, 30, 150, -100])
def test_a_chessboard_is_numbered_by_its_dark_squares(turn):
    shown = scene(turn=turn)
    found, true = look(shown, 'rgb')
    assert np.sqrt(np.mean((found.pixels - true) ** 2)) < 0.1
    warm, true = look(shown, 'thermal')
    assert np.sqrt(np.mean((warm.turned(TARGET).pixels - true[warm.turned(TARGET).ids]) ** 2)) < 0.2


def test_a_cold_target_is_numbered_as_in_visible_light():
    cold, true = look(scene(heat='cold'), 'thermal')
    assert np.sqrt(np.mean((cold.pixels - true) ** 2)) < 0.2


@pytest.mark.parametrize(
    ('text', 'name', 'limit'),
    [
        ('circles:7x5:0.03', 'rgb', 0.3),
        ('circles:7x5:0.03', 'thermal', 0.5),
        ('asymmetric_circles:4x9:0.018', 'rgb', 0.3),
        ('asymmetric_circles:4x9:0.018', 'thermal', 0.5),
        ('charuco:7x5:0.035', 'rgb', 0.15),
        ('chessboard:8x6:0.025', 'rgb', 0.1),
    ],
)
def test_other_targets(text, name, limit):
    found, true = look(scene(parse_target(text)), name)
    assert found is not None
    assert np.abs(found.pixels - true[found.ids]).max() < 3 * limit
    assert np.sqrt(np.mean((found.pixels - true[found.ids]) ** 2)) < limit


def test_nothing_is_found_where_there_is_no_target():
    noise = np.random.default_rng(0).integers(0, 255, (256, 320)).astype(np.uint8)
    assert detect(noise, TARGET) is None
    assert detect(np.full((256, 320), 7, np.uint16), TARGET) is None


def test_a_target_of_another_size_is_not_taken_for_it():
    shown = scene(parse_target('chessboard:8x5:0.025'))
    image = grey_image(shown.image('rgb', START))
    assert detect(image, shown.target) is not None
    assert detect(image, TARGET) is None


def test_the_pose_of_a_detection():
    shown = scene()
    found, _ = look(shown, 'rgb')
    pose = board_pose(found, RIG.cameras['rgb'].camera, TARGET)
    assert np.allclose(pose, shown.pose('rgb', START), atol=1e-3)
    assert tilt(pose) == pytest.approx(25, abs=8)

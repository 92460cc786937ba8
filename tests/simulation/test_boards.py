"""Simulated targets: in the right place through any lens, with their values and motion."""

import numpy as np
import pytest

from hand_pose_ros.geometry.transforms import inverse, is_rigid
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.target import parse_target
from hand_pose_ros.simulation.board_kernels import pixel_rays
from hand_pose_ros.simulation.board_motion import BoardMotion
from hand_pose_ros.simulation.board_room import room_depth
from hand_pose_ros.simulation.boards import START, BoardScene, true_pixels

RIG = find_rig('simulated_head_rig')
TARGET = parse_target('chessboard:9x6:0.025')
STAMP = START + 200_000_000


@pytest.fixture(scope='module')
def scene():
    return BoardScene(rig=RIG, target=TARGET, seed=2, noise=0.0)


def test_depth_is_that_of_the_plane(scene):
    image = scene.image('depth', STAMP) * 0.001
    pose, camera = scene.pose('depth', STAMP), RIG.cameras['depth'].camera
    pixels = np.rint(true_pixels(scene, 'depth', STAMP)).astype(int)
    rays = np.column_stack([camera.undistort(pixels), np.ones(len(pixels))])
    true = (pose[:3, 2] @ pose[:3, 3]) / (rays @ pose[:3, 2])
    assert np.allclose(image[pixels[:, 1], pixels[:, 0]], true, atol=0.0006)


def test_dark_squares_are_warm_or_cold_in_thermal(scene):
    middles = true_pixels(scene, 'thermal', STAMP).reshape(6, 9, 2)
    middles = (middles[:-1, :-1] + middles[1:, 1:]) / 2
    column, row = np.rint(middles).astype(int).reshape(-1, 2).T
    dark = np.add.outer(np.arange(5), np.arange(8)).ravel() % 2 == 0
    cold = BoardScene(rig=RIG, target=TARGET, seed=2, noise=0.0, heat='cold')
    for shown, warmer in ((scene, True), (cold, False)):
        values = shown.image('thermal', STAMP)[row, column].astype(float)
        difference = 0.04 * (values[dark].mean() - values[~dark].mean())
        assert (difference > 2.0) == warmer
        assert abs(difference) > 2.0


def test_the_same_seed_gives_the_same_recording():
    one, again, other = (BoardScene(rig=RIG, target=TARGET, seed=k) for k in (0, 0, 1))
    image = one.image('rgb', STAMP)
    assert np.array_equal(image, again.image('rgb', STAMP))
    assert not np.array_equal(image, other.image('rgb', STAMP))
    assert image.dtype == np.uint8
    assert image.shape == (480, 640, 3)


def test_a_held_target_moves_smoothly_and_visits_the_corners():
    thermal = RIG.cameras['thermal']
    motion = BoardMotion([thermal], TARGET, seed=0, views=18)
    poses = [motion.at(time) for time in np.arange(0, motion.duration, 0.02)]
    assert all(is_rigid(pose) for pose in poses)
    places = np.array([pose[:3, 3] for pose in poses])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.05
    seen = np.concatenate(
        [
            thermal.camera.project(
                TARGET.points @ (inverse(thermal.T_rig_cam) @ pose)[:3, :3].T
                + (inverse(thermal.T_rig_cam) @ pose)[:3, 3]
            )
            for pose in poses
        ]
    )
    inside = seen[np.all((seen > 0) & (seen < (320, 256)), axis=1)]
    assert np.all(inside.min(axis=0) < (30, 30))
    assert np.all(inside.max(axis=0) > (290, 226))


def test_no_ray_where_the_lens_polynomial_folds():
    camera = RIG.cameras['thermal'].camera
    rays, slopes = pixel_rays(camera)
    valid = np.isfinite(rays).all(axis=-1)
    assert valid.mean() > 0.9
    row, column = np.nonzero(valid)
    pixels = camera.distort(rays[row, column])
    assert np.abs(pixels - np.column_stack([column, row])).max() < 0.02
    assert slopes.shape == (256, 320, 2, 2)


def test_the_room_has_depth_everywhere():
    rays, _ = pixel_rays(RIG.cameras['depth'].camera)
    depth = room_depth(rays, RIG.cameras['depth'].T_rig_cam)
    assert np.isfinite(depth).all()
    assert depth.min() > 0.05

"""Odometry and the chain from it to an exo camera's trajectory."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.exo import chained, exo_trajectory, world_of_exo
from hand_pose_ros.calibration.odometry import DepthOdometry
from hand_pose_ros.calibration.recording import Recording
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.transforms import inverse, rigid
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.target import parse_target
from hand_pose_ros.sessions.trajectory import Trajectory
from hand_pose_ros.simulation.board_kernels import pixel_rays
from hand_pose_ros.simulation.board_room import room_depth
from hand_pose_ros.simulation.boards import START, BoardScene, write_board_session
from hand_pose_ros.simulation.other_body import OtherBody

BODY = OtherBody(3)
TARGET = parse_target('chessboard:9x6:0.04')


def poses(count, seed=0):
    """A smooth path of the rig in some world (count, 4, 4)."""
    generator = np.random.default_rng(seed)
    turns, shifts = generator.normal(0, 0.02, (2, count, 3)).cumsum(axis=1)
    return np.array(
        [rigid(Rotation.from_rotvec(r).as_matrix(), s) for r, s in zip(turns, shifts, strict=True)]
    )


def test_the_chain_is_exact_whatever_the_world_of_the_odometry():
    T_world_rig, T_world_exo = poses(20), poses(1, seed=9)[0]
    true = inverse(T_world_exo) @ T_world_rig
    odometry = poses(1, seed=4)[0] @ T_world_rig
    assert np.allclose(chained(true[0], odometry), true, atol=1e-12)


def test_common_views_outvote_a_wrong_one():
    T_world_rig, T_world_exo = poses(20), poses(1, seed=9)[0]
    stamps = START + 33_000_000 * np.arange(20)
    odometry = Trajectory(body='rig', stamps=stamps, T_rig_body=T_world_rig)
    views = [(int(stamps[k]), inverse(T_world_rig[k]) @ T_world_exo) for k in range(0, 20, 3)]
    views[2] = (views[2][0], views[2][1] @ rigid(np.eye(3), np.array([0.2, 0, 0])))
    found, good, spread = world_of_exo(views, odometry)
    assert np.allclose(found, T_world_exo, atol=1e-9)
    assert good.sum() == len(views) - 1
    assert max(spread) < 1e-6
    with pytest.raises(RigError, match='no common view'):
        world_of_exo([(0, np.eye(4))], odometry)


def test_odometry_follows_a_noisy_depth_camera():
    depth = find_rig('simulated_head_rig').cameras['depth']
    rays, _ = pixel_rays(depth.camera)
    follower, generator = DepthOdometry(depth.camera), np.random.default_rng(0)
    start = None
    for k in range(12):
        T_room_cam = inverse(BODY.at(k / 15)) @ depth.T_rig_cam
        start = T_room_cam if start is None else start
        image = room_depth(rays, T_room_cam)
        image = image + generator.normal(0, 0.006, image.shape).astype(np.float32) * image**2
        image[generator.uniform(size=image.shape) < 0.02] = np.nan
        away = inverse(inverse(start) @ T_room_cam) @ follower.add(image)
    assert np.linalg.norm(away[:3, 3]) < 0.004
    assert np.degrees(Rotation.from_matrix(away[:3, :3]).magnitude()) < 0.2


def test_a_blind_depth_camera_is_predicted():
    depth = find_rig('simulated_head_rig').cameras['depth']
    follower = DepthOdometry(depth.camera)
    blind = np.full((480, 640), np.nan, np.float32)
    assert np.array_equal(follower.add(blind), np.eye(4))


@pytest.fixture(scope='module')
def session(tmp_path_factory):
    """A target lies between the rig and the tripod; the head sways for a second."""
    rig = find_rig('simulated_two_view_rig')
    names = ('thermal', 'rgb', 'depth', 'exo_rgb')
    cameras = {name: replace(rig.cameras[name], rate=15.0) for name in names}
    rig = replace(rig, cameras=cameras, synchronizer=None)
    down = -np.array([0.08, 0.25, 1.0])
    down /= np.linalg.norm(down)
    right = np.array([0, -1.0, 0]) + down * down[1]
    right /= np.linalg.norm(right)
    rotation = np.column_stack([right, np.cross(down, right), down])
    place = np.array([0.40, 0.05, -0.30]) - rotation @ TARGET.points.mean(axis=0)
    T_body_board = inverse(BODY.at(0)) @ rigid(rotation, place)
    scene = BoardScene(
        rig=rig, target=TARGET, motion=lambda time: BODY.at(time) @ T_body_board, other_body=BODY.at
    )
    bag = tmp_path_factory.mktemp('exo') / 'session'
    write_board_session(scene, bag, duration=1.0)
    return bag


@pytest.mark.parametrize('way', ['board', 'odometry'])
def test_the_trajectory_of_an_exo_camera(session, way):
    with Recording(session) as recording:
        result = exo_trajectory(recording, TARGET, way)
    trajectory = result.trajectory
    assert trajectory.body == 'exo'
    assert len(trajectory.stamps) >= 12
    for stamp, pose in zip(trajectory.stamps, trajectory.T_rig_body, strict=True):
        away = inverse(BODY.at((stamp - START) * 1e-9)) @ pose
        assert np.linalg.norm(away[:3, 3]) < 0.004
        assert np.degrees(Rotation.from_matrix(away[:3, :3]).magnitude()) < 0.4


def test_without_a_common_view_the_target_is_asked_for(session):
    with Recording(session) as recording, pytest.raises(RigError, match='show it to both'):
        exo_trajectory(recording, parse_target('charuco:7x5:0.04'), 'board')

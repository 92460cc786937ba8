"""Initial pose: a hand seen once, from any direction, is found by the best of several starts."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_pose_ros.estimators.initial_pose import initial_states
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.metric_lift import MetricLift
from hand_pose_ros.estimators.regions import region_from_landmarks
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.kinematics import HandState
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.frame import StreamImage

CAMERA = Camera(
    width=640, height=480,
    intrinsics=np.array([[450.0, 0, 320], [0, 450.0, 240], [0, 0, 1]]),
    distortion=np.array([-0.1, 0.02, 0, 0, 0]),
)  # fmt: skip
LIFT = MetricLift(
    load_hand_model('right'), load_landmark_model(), {'rgb': 'rgb'}, LandmarksConfig(surface=20)
)


def view() -> View:
    image = StreamImage(image=np.zeros((480, 640, 3), np.uint8), stamp=0, camera=CAMERA)
    return View(
        name='rgb', stream=image, camera=CAMERA, rotation=np.eye(3), translation=np.zeros(3), lag=0
    )


def hand(seed: int) -> tuple[HandState, int, HandLandmarks]:
    generator = np.random.default_rng(seed)
    model, side = LIFT.model, int(generator.integers(2))
    prior = model.finger_prior
    covariance = np.linalg.inv(prior.precision)
    state = HandState(
        rotation=Rotation.random(1, rng=generator).as_matrix(),
        wrist=np.array([[generator.uniform(-0.15, 0.15), generator.uniform(-0.1, 0.1), 0.5]]),
        angles=np.clip(
            generator.multivariate_normal(prior.mean, covariance, (1,)), model.lower, model.upper
        ),
        shape=np.zeros((1, model.shapes)),
    )  # fmt: skip
    points = model.landmarks(state, np.array([side]))[0]
    pixels = CAMERA.project(points)
    distance = np.linalg.norm(points, axis=1)
    turned = Rotation.from_rotvec(generator.normal(0, 0.1, 3)).as_matrix()
    seen = HandLandmarks(
        points=pixels, relative_depth=450 * (distance / distance[0] - 1), presence=1.0,
        right_probability=0.5, region=region_from_landmarks(pixels),
        world=(points - points[0]) @ turned.T * 1.3,
    )  # fmt: skip
    return state, side, seen


@pytest.mark.parametrize('seed', range(12))
def test_hands_of_any_direction_are_found(seed):
    truth, side, seen = hand(seed)
    zero = np.zeros(LIFT.model.shapes)
    state, cost = LIFT.start(side, view(), seen, None, zero, np.eye(LIFT.model.shapes) * 1e4)
    found = LIFT.model.landmarks(state, np.array([side]))[0]
    true = LIFT.model.landmarks(truth, np.array([side]))[0]
    assert np.isfinite(cost)
    assert np.linalg.norm(found - true, axis=1).mean() < 0.02


def test_starts_lie_before_the_camera_and_where_the_hand_is_seen():
    _, side, seen = hand(3)
    starts = initial_states(LIFT.model, side, view(), seen, None, np.zeros(LIFT.model.shapes))
    assert len(starts.wrist) >= 2
    assert np.all((starts.wrist[:, 2] > 0.1) & (starts.wrist[:, 2] < 1.7))
    determinants = np.linalg.det(starts.rotation)
    np.testing.assert_allclose(determinants, 1.0, atol=1e-6)
    pixels = CAMERA.project(starts.wrist)
    assert np.linalg.norm(pixels - seen.points[0], axis=1).min() < 40


def test_depth_settles_the_distance_of_a_start():
    _, side, seen = hand(3)
    image = StreamImage(image=np.full((480, 640), 0.6, np.float32), stamp=0, camera=CAMERA)
    depth = View(
        name='depth', stream=image, camera=CAMERA, rotation=np.eye(3), translation=np.zeros(3),
        lag=0,
    )  # fmt: skip
    shape = np.zeros(LIFT.model.shapes)
    starts = initial_states(LIFT.model, side, view(), seen, depth, shape)
    middles = [
        LIFT.model.landmarks(starts.take([row]), np.array([side]))[0][[0, 5, 9, 13, 17], 2].mean()
        for row in range(len(starts.wrist))
    ]
    assert np.all(np.abs(np.array(middles) - 0.6) < 0.06)


def test_landmarks_of_no_hand_do_not_break_the_start():
    _, side, seen = hand(1)
    flat = HandLandmarks(
        points=np.full((21, 2), 300.0), relative_depth=np.zeros(21), presence=1.0,
        right_probability=0.5, region=seen.region, world=np.zeros((21, 3)),
    )  # fmt: skip
    state, cost = LIFT.start(
        side, view(), flat, None, np.zeros(LIFT.model.shapes), np.eye(LIFT.model.shapes)
    )
    assert np.isfinite(state.wrist).all() and np.isfinite(cost)

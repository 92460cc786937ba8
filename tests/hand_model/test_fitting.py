"""Fitting: finds hands from perfect data, withstands outliers, knows how sure it is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.fitting import Measurements, Prior, Problem, rotation_vectors
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.hand_model.residuals import (
    LANDMARKS,
    DepthMeasurement,
    Noise,
    PointMeasurements,
)

MODEL = FittingModel(load_hand_model('right'), surface=60)
FREE = Noise(angle=1e3, limit=1e3)
SIDES = np.array([0, 1])
BODY = 6 + len(MODEL.degrees)
BASELINES = np.array([[0.0, 0.0, 0.0], [0.05, 0.0, 0.0], [0.0, 0.06, 0.01]])


def hands(seed: int) -> HandState:
    generator = np.random.default_rng(seed)
    middle = (MODEL.lower + MODEL.upper) / 2
    spread = (MODEL.upper - MODEL.lower) / 2
    return HandState(
        rotation=Rotation.random(2, rng=generator).as_matrix(),
        wrist=np.array([0.0, 0.0, 0.45]) + generator.normal(0, 0.05, (2, 3)),
        angles=middle + 0.7 * spread * generator.uniform(-1, 1, (2, len(middle))),
        shape=np.zeros((2, MODEL.shapes)),
    )


def near(state: HandState, seed: int, size: float = 1.0) -> HandState:
    generator = np.random.default_rng(seed + 1)
    step = np.zeros((2, BODY + MODEL.shapes))
    step[:, :3] = generator.normal(0, 0.15, (2, 3))
    step[:, 3:6] = generator.normal(0, 0.015, (2, 3))
    step[:, 6:BODY] = generator.normal(0, 0.15, (2, BODY - 6))
    return state.moved(size * step)


def seen(
    state: HandState, streams: int = 3, noise: float = 0.0, sigma: float = 0.003, seed: int = 0
) -> PointMeasurements:
    generator = np.random.default_rng(seed)
    rotation, translation = np.tile(np.eye(3), (streams, 1, 1)), BASELINES[:streams]
    points = rotation[:, None] @ MODEL.pose(state, SIDES).points[..., LANDMARKS]
    points = points + translation[:, None, :, None]
    plane = (points[:, :, :2] / points[:, :, 2:]).transpose(0, 1, 3, 2)
    distance = np.linalg.norm(points, axis=2)
    return PointMeasurements(
        rotation=rotation,
        translation=translation,
        points=plane + generator.normal(0, noise, plane.shape),
        sigma=np.full(plane.shape[:3], sigma),
        lag=np.zeros(streams),
        relative_depth=distance / distance[..., :1] - 1.0,
        hint_sigma=np.full((streams, 2), 0.1),
    )


def prior(mean: HandState, shape: float = 1e6, precision: float = 0.0) -> Prior:
    known = np.tile(np.eye(MODEL.shapes) * shape, (2, 1, 1))
    return Prior(
        mean=mean,
        precision=np.full((2, BODY), precision),
        shape_precision=known,
        shape_knowledge=known,
    )


def problem(points=None, depth=None, *, mean: HandState, noise: Noise = FREE, **options) -> Problem:
    return Problem(
        model=MODEL,
        sides=SIDES,
        measurements=Measurements(points=points, depth=depth),
        prior=prior(mean, **options),
        noise=noise,
    )


def errors(fit, state: HandState) -> np.ndarray:
    truth = MODEL.pose(state, SIDES).points[..., :21].transpose(0, 2, 1)
    return np.linalg.norm(fit.joints - truth, axis=2)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_perfect_data_lead_to_the_hand_from_nearby(seed):
    truth = hands(seed)
    start = near(truth, seed, 0.6)
    fit = problem(seen(truth), mean=start).fit(start, 25)
    assert np.median(errors(fit, truth), axis=1).max() < 0.004


def test_perfect_data_give_the_exact_hand():
    exact = []
    for seed in range(30):
        truth = hands(seed)
        start = near(truth, seed)
        fit = problem(seen(truth), mean=start).fit(start, 25)
        exact.append(errors(fit, truth).max(axis=1) < 1e-5)
    # A hand seen edge-on may need more steps.
    assert np.mean(exact) > 0.9


def test_spread_fingers_are_found_although_they_usually_are_not():
    truth = MODEL.state(2)
    angles = truth.angles.copy()
    for joint, spread in ((0, -0.3), (9, 0.2), (6, 0.35)):  # index, ring and little finger
        angles[:, (MODEL.degrees == (joint, 1)).all(axis=1)] = spread
    angles[:, MODEL.degrees[:, 1] == 2] = 0.05  # and straight
    wrist = np.array([[0.0, 0.0, 0.45], [0.05, 0.0, 0.5]])
    truth = HandState(rotation=truth.rotation, wrist=wrist, angles=angles, shape=truth.shape)
    start = near(truth, 2, 0.5)
    fit = problem(seen(truth), mean=start, noise=Noise()).fit(start, 15)
    assert errors(fit, truth)[:, [8, 16, 20]].max() < 0.006


def test_a_few_wild_landmarks_do_not_move_the_hand():
    truth = hands(3)
    data = seen(truth, noise=0.002)
    data.points[0, :, [4, 8, 16]] += 0.3
    data.points[2, :, 20] -= 0.2
    start = near(truth, 3, 0.5)
    # Angles drawn evenly within their limits are no usual fingers.
    noise = Noise(point_reach=3.0, angle=1e3)
    fit = problem(data, mean=start, noise=noise).fit(start, 15)
    assert errors(fit, truth).mean() < 0.008
    assert fit.point_weights[0, :, [4, 8, 16]].max() < 0.05
    assert np.median(fit.point_weights) > 0.8


def test_the_cost_never_rises():
    truth = hands(5)
    start = near(truth, 5, 2.0)
    problem_ = problem(seen(truth, noise=0.003), mean=start)
    costs = [problem_.fit(start, steps).cost for steps in range(0, 12, 2)]
    assert np.all(np.diff(np.array(costs), axis=0) <= 1e-9)


def test_covariance_is_that_of_repeated_measurements():
    truth = hands(11)
    sigma = 0.002
    found = []
    for seed in range(120):
        data = seen(truth, noise=sigma, sigma=sigma, seed=seed)
        fit = problem(data, mean=truth, noise=replace(FREE, point_reach=1e3)).fit(truth, 6)
        found.append(fit.joints)
    spread = np.array(found).std(axis=0)
    said = np.sqrt(np.diagonal(fit.joint_covariance, axis1=2, axis2=3))
    ratio = np.median(spread / said, axis=(0, 1))
    assert np.all((ratio > 0.75) & (ratio < 1.25))


def test_one_camera_alone_does_not_know_how_far_the_hand_is():
    truth = hands(7)
    one = problem(seen(truth, 1), mean=truth, noise=Noise(), shape=1.0).fit(truth, 5)
    three = problem(seen(truth, 3), mean=truth, noise=Noise(), shape=1.0).fit(truth, 5)
    z_of_one = np.sqrt(one.joint_covariance[:, 0, 2, 2])
    z_of_three = np.sqrt(three.joint_covariance[:, 0, 2, 2])
    lateral = np.sqrt(one.joint_covariance[:, 0, 0, 0])
    # About 4 % of 0.45 m: the spread of people's hand sizes.
    assert np.all(z_of_one > 0.012)
    assert np.all(z_of_one > 1.5 * z_of_three)
    assert np.all(z_of_one > 2 * lateral)


def flat_hand() -> HandState:
    """Both hands flat, palms to the camera, fingers up."""
    turned = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    relaxed = MODEL.state(2)
    return HandState(
        rotation=np.stack([turned, turned]),
        wrist=np.array([[-0.1, 0.05, 0.45], [0.1, 0.05, 0.45]]),
        angles=np.zeros_like(relaxed.angles),
        shape=relaxed.shape,
    )


def depth_of(state: HandState) -> DepthMeasurement:
    """A depth image in which each surface point makes a patch, the nearest one winning."""
    camera = Camera(
        width=320, height=240,
        intrinsics=np.array([[230.0, 0, 160], [0, 230.0, 120], [0, 0, 1]]), distortion=np.zeros(0),
    )  # fmt: skip
    dense = FittingModel(load_hand_model('right'), surface=1200)
    image = np.full((240, 320), 1.5, np.float32)
    for points in dense.pose(state, SIDES).points[..., 42:]:
        pixels = np.rint(camera.project(points.T)).astype(int)
        for (column, row), distance in zip(pixels, points[2], strict=True):
            patch = image[row - 1 : row + 2, column - 1 : column + 2]
            np.minimum(patch, distance, out=patch)
    return DepthMeasurement(
        image=image, camera=camera, rotation=np.eye(3), translation=np.zeros(3), lag=0.0
    )


def test_depth_settles_the_distance_that_one_camera_leaves_open():
    truth = flat_hand()
    wrong = np.zeros((2, BODY + MODEL.shapes))
    wrong[:, 5] = 0.015
    start = truth.moved(wrong)
    data = seen(truth, 1, sigma=0.006)
    loose = replace(data, hint_sigma=np.full((1, 2), np.inf))
    depth = depth_of(truth)
    fit = problem(loose, depth, mean=start, noise=Noise(), shape=4.0).fit(start, 10)
    assert np.all(np.abs(fit.state.wrist[:, 2] - 0.45) < 0.006)
    assert np.all(fit.depth_points >= 10) and np.all(fit.depth_share > 0.4)
    alone = problem(loose, mean=start, noise=Noise(), shape=4.0).fit(start, 10)
    assert np.all(fit.joint_covariance[:, 0, 2, 2] < 0.5 * alone.joint_covariance[:, 0, 2, 2])


def test_without_any_image_the_prediction_stays():
    truth = hands(2)
    fit = problem(mean=truth, precision=100.0, noise=FREE).fit(truth, 3)
    np.testing.assert_allclose(fit.state.wrist, truth.wrist, atol=1e-6)
    assert np.all(np.isfinite(fit.joint_covariance))
    assert fit.point_weights.shape == (0, 2, 21)


def test_angles_stay_near_their_limits():
    truth = hands(4)
    beyond = HandState(
        rotation=truth.rotation, wrist=truth.wrist, angles=truth.angles + 1.5, shape=truth.shape
    )
    fit = problem(seen(beyond), mean=truth, noise=Noise()).fit(truth, 15)
    assert np.mean(fit.state.angles < MODEL.upper + 0.4) > 0.8


def test_shape_is_learned_when_it_is_free():
    truth = hands(9)
    large = replace(truth, shape=np.tile([1.5, *[0.0] * (MODEL.shapes - 1)], (2, 1)))
    start = near(truth, 9, 0.3)
    fit = problem(seen(large, sigma=0.0005), mean=start, shape=1.0).fit(start, 25)
    assert np.all(fit.state.shape[:, 0] > 0.7)
    held = problem(seen(large, sigma=0.0005), mean=start, shape=1e6).fit(start, 25)
    assert np.all(np.abs(held.state.shape) < 0.05)


@given(st.integers(0, 10_000))
def test_rotation_vectors_are_those_of_the_matrices(seed):
    vectors = Rotation.random(4, rng=np.random.default_rng(seed)).as_rotvec()
    found = rotation_vectors(Rotation.from_rotvec(vectors).as_matrix())
    np.testing.assert_allclose(found, vectors, atol=1e-9)


@pytest.mark.parametrize('lag', [0.0, 0.02])
def test_each_image_counts_at_its_own_moment(lag):
    truth = hands(6)
    rate = np.zeros((2, BODY))
    rate[:, 3] = 1.0
    moved = np.zeros((2, BODY + MODEL.shapes))
    moved[:, 3] = lag
    late = replace(seen(truth.moved(moved)), lag=np.full(3, lag))
    bridged = replace(problem(late, mean=truth), rate=rate).fit(truth, 10)
    assert errors(bridged, truth).max() < 1e-3
    if lag:
        plain = problem(late, mean=truth).fit(truth, 10)
        assert errors(plain, truth).mean() > 0.015


@pytest.mark.parametrize('angle', [0.0, 1e-9, 1e-4, 1.0, np.pi - 1e-2, np.pi - 1e-5, np.pi])
def test_rotation_vectors_of_tiny_and_half_turns(angle):
    axis = np.array([0.6, -0.64, 0.48])
    axis = axis / np.linalg.norm(axis)
    found = rotation_vectors(Rotation.from_rotvec(axis * angle).as_matrix()[None])[0]
    back = Rotation.from_rotvec(found) * Rotation.from_rotvec(axis * angle).inv()
    assert back.magnitude() < 1e-6
    assert np.linalg.norm(found) == pytest.approx(angle, abs=1e-6)


def test_one_hand_of_a_fit_can_be_taken_from_another_one():
    truth = hands(3)
    first = problem(seen(truth), mean=near(truth, 4)).fit(near(truth, 4), 2)
    second = problem(seen(truth, 1), mean=near(truth, 5)).fit(near(truth, 5), 3)
    mixed = first.with_hand(1, second, 0)
    for name in ('joints', 'cost', 'joint_covariance', 'depth_share'):
        np.testing.assert_array_equal(getattr(mixed, name)[0], getattr(first, name)[0])
        np.testing.assert_array_equal(getattr(mixed, name)[1], getattr(second, name)[0])
    np.testing.assert_array_equal(mixed.state.angles[1], second.state.angles[0])
    assert mixed.point_weights.shape == (3, 2, 21)
    np.testing.assert_array_equal(mixed.point_weights[:, 0], first.point_weights[:, 0])
    np.testing.assert_array_equal(mixed.point_weights[0, 1], second.point_weights[0, 0])
    assert np.all(mixed.point_weights[1:, 1] == 0)

"""Residuals of the fit: their gradients, robustness and what they do without data."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState, Posed
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.hand_model.residuals import (
    JOINTS,
    LANDMARKS,
    SURFACE,
    DepthMeasurement,
    JointMeasurements,
    Noise,
    PointMeasurements,
    angle_term,
    cloud_term,
    depth_term,
    facing_points,
    hint_term,
    joint_term,
    point_term,
    robust,
    sample,
)

MODEL = FittingModel(load_hand_model('right'), surface=60)
SIDES = np.array([0, 1])
STILL = np.zeros((2, 3, 21))
CAMERA = Camera(
    width=320, height=240,
    intrinsics=np.array([[230.0, 0, 160], [0, 230.0, 120], [0, 0, 1]]), distortion=np.zeros(0),
)  # fmt: skip


def state() -> HandState:
    relaxed = MODEL.state(2)
    wrist = np.array([[-0.05, 0.02, 0.5], [0.06, 0.01, 0.45]])
    return HandState(
        rotation=relaxed.rotation, wrist=wrist, angles=relaxed.angles, shape=relaxed.shape
    )


def measured(sigma: float = 0.01, noise: float = 0.004) -> PointMeasurements:
    generator = np.random.default_rng(0)
    rotation = np.tile(np.eye(3), (2, 1, 1))
    translation = np.array([[0.0, 0.0, 0.0], [0.05, 0.0, 0.01]])
    points = MODEL.pose(state(), SIDES).points[..., LANDMARKS]
    seen = rotation[:, None] @ points + translation[:, None, :, None]
    plane = (seen[:, :, :2] / seen[:, :, 2:]).transpose(0, 1, 3, 2)
    plane = plane + generator.normal(0, noise, plane.shape)
    return PointMeasurements(
        rotation=rotation,
        translation=translation,
        points=plane,
        sigma=np.full(plane.shape[:3], sigma),
        lag=np.zeros(2),
        relative_depth=generator.normal(0, 0.05, plane.shape[:3]),
        hint_sigma=np.full((2, 2), 0.05),
    )


def wall(distance: float, lag: float = 0.0) -> DepthMeasurement:
    return DepthMeasurement(
        image=np.full((240, 320), distance, np.float32), camera=CAMERA,
        rotation=np.eye(3), translation=np.zeros(3), lag=lag,
    )  # fmt: skip


def numeric_gradient(cost, size: int) -> np.ndarray:
    gradient = np.zeros((2, size))
    for parameter in range(size):
        step = np.zeros((2, size))
        step[:, parameter] = 1e-6
        gradient[:, parameter] = (cost(step) - cost(-step)) / 2e-6
    return gradient


def size_of() -> int:
    return 6 + len(MODEL.degrees) + MODEL.shapes


def test_the_point_gradient_is_that_of_its_cost():
    data, noise = measured(), Noise(point_reach=1e3)

    def cost(step):
        return point_term(MODEL.pose(state().moved(step), SIDES, shape=True), data, STILL, noise)[
            0
        ].cost

    term, _ = point_term(MODEL.pose(state(), SIDES, shape=True), data, STILL, noise)
    np.testing.assert_allclose(
        term.gradient, numeric_gradient(cost, size_of()), rtol=1e-3, atol=1e-3
    )


def test_the_robust_point_gradient_points_down_as_well():
    data, noise = measured(noise=0.02), Noise()

    def cost(step):
        return point_term(MODEL.pose(state().moved(step), SIDES, shape=True), data, STILL, noise)[
            0
        ].cost

    term, weights = point_term(MODEL.pose(state(), SIDES, shape=True), data, STILL, noise)
    np.testing.assert_allclose(
        term.gradient, numeric_gradient(cost, size_of()), rtol=1e-3, atol=1e-3
    )
    assert weights.shape == (2, 2, 21)
    assert weights.min() >= 0 and weights.max() <= 1


def test_points_that_were_not_measured_say_nothing():
    data = measured(sigma=np.inf)
    term, _ = point_term(MODEL.pose(state(), SIDES, shape=True), data, STILL, Noise())
    assert np.all(term.cost == 0) and np.all(term.gradient == 0) and np.all(term.hessian == 0)


def test_speed_bridges_the_lag():
    data = measured(noise=0.0)
    speed = np.tile(np.array([0.5, 0.0, 0.0])[:, None], (2, 1, 21))
    late = PointMeasurements(
        rotation=data.rotation, translation=data.translation, points=data.points,
        sigma=data.sigma, lag=np.array([0.02, 0.02]), relative_depth=data.relative_depth,
        hint_sigma=data.hint_sigma,
    )  # fmt: skip
    back = np.zeros((2, size_of()))
    back[:, 3] = -0.01
    before = MODEL.pose(state().moved(back), SIDES, shape=True)
    assert point_term(before, late, speed, Noise())[0].cost == pytest.approx(0.0, abs=1e-9)
    assert np.all(point_term(before, late, STILL, Noise())[0].cost > 1.0)


def test_hints_have_no_scale():
    """Hand and camera distance grown together leave the hint's cost as it is."""
    data, noise = measured(), Noise()
    posed = MODEL.pose(state(), SIDES, shape=True)
    cost = hint_term(posed, data, STILL, noise).cost
    larger = MODEL.pose(state(), SIDES, shape=True)
    object.__setattr__(larger, 'points', posed.points * 1.7)
    shifted = PointMeasurements(
        rotation=data.rotation, translation=data.translation * 1.7, points=data.points,
        sigma=data.sigma, lag=data.lag, relative_depth=data.relative_depth,
        hint_sigma=data.hint_sigma,
    )  # fmt: skip
    np.testing.assert_allclose(hint_term(larger, shifted, STILL, noise).cost, cost, rtol=1e-9)


def test_depth_pulls_the_hand_towards_the_surface():
    posed = MODEL.pose(state(), SIDES, shape=True)
    speed = np.zeros((2, 3, 60))
    near = float(posed.points[0, 2, 42:].min())
    depth = wall(near - 0.01)
    term, weights = depth_term(posed, depth, speed, facing_points(posed, depth), Noise())
    assert term.gradient[0, 5] > 0  # the cost falls towards the camera
    assert weights.shape == (2, 60)


def test_depth_far_away_is_somebody_else():
    posed = MODEL.pose(state(), SIDES, shape=True)
    depth = wall(1.5)
    facing = facing_points(posed, depth)
    assert facing.sum() > 10
    _, weights = depth_term(posed, depth, np.zeros((2, 3, 60)), facing, Noise())
    assert weights.max() < 0.01


def test_what_hides_a_hand_pulls_less_than_what_is_seen_through_it():
    posed = MODEL.pose(state(), SIDES, shape=True)
    speed, everything = np.zeros((2, 3, 60)), np.ones((2, 60))
    noise = Noise(depth_front=0.005, depth_reach=0.05)
    before, _ = depth_term(posed, wall(0.3), speed, everything, noise)
    behind, _ = depth_term(posed, wall(0.7), speed, everything, noise)
    assert np.all(before.cost < 0.1 * behind.cost)


def test_a_part_of_the_hand_that_lies_before_another_hides_it():
    posed = MODEL.pose(state(), SIDES)
    depth = wall(1.0)
    open_hand = facing_points(posed, depth)
    number = int(np.flatnonzero(open_hand[0])[0])
    points, normals = posed.points.copy(), posed.normals.copy()
    other = (number + 30) % 60
    # Another surface point, turned to the camera, 4 cm nearer on the same ray.
    there = points[0, :, 42 + number]
    points[0, :, 42 + other] = there * (1.0 - 0.04 / there[2])
    normals[0, :, other] = [0.0, 0.0, -1.0]
    hidden = facing_points(Posed(points=points, normals=normals, jacobian=posed.jacobian), depth)
    assert open_hand[0, number] == 1 and hidden[0, number] == 0 and hidden[0, other] == 1
    np.testing.assert_array_equal(hidden[1], open_hand[1])


def cloud_of(spread: float = 0.0) -> np.ndarray:
    """Points measured on the hands: 40 of the model's own, spread, and some that are missing."""
    points = MODEL.pose(state(), SIDES).points[..., SURFACE].transpose(0, 2, 1)[:, :40]
    cloud = points + np.random.default_rng(2).normal(0, spread, points.shape)
    return np.concatenate([cloud, np.full((2, 5, 3), np.nan)], axis=1)


def cloud_cost(cloud, step, noise=None):
    still, every = np.zeros((2, 3, 60)), np.ones((2, 60))
    posed = MODEL.pose(state().moved(step), SIDES, shape=True)
    return cloud_term(posed, cloud, still, every, noise or Noise())


def test_a_hand_on_its_cloud_costs_nothing_and_one_beside_it_is_drawn_back():
    still = np.zeros((2, size_of()))
    np.testing.assert_allclose(cloud_cost(cloud_of(), still).cost, 0, atol=1e-18)
    away = still.copy()
    away[:, 5] = 0.003
    term = cloud_cost(cloud_of(), away)
    assert np.all(term.cost > 0.1) and np.all(term.gradient[:, 5] > 0)


def test_the_cloud_gradient_is_that_of_its_cost_as_far_as_normals_stand_still():
    """Moved without turning, so that correspondences and normals stay."""
    cloud = cloud_of(0.0005)
    still = np.zeros((2, size_of()))
    numeric = numeric_gradient(lambda step: cloud_cost(cloud, step).cost, size_of())
    np.testing.assert_allclose(
        cloud_cost(cloud, still).gradient[:, 3:6], numeric[:, 3:6], rtol=1e-3, atol=1e-3
    )


def test_without_a_cloud_or_a_visible_surface_nothing_is_drawn():
    posed = MODEL.pose(state(), SIDES, shape=True)
    still = np.zeros((2, 3, 60))
    nothing = np.full((2, 8, 3), np.nan)
    for cloud, facing in ((nothing, np.ones((2, 60))), (cloud_of(), np.zeros((2, 60)))):
        term = cloud_term(posed, cloud, still, facing, Noise())
        assert np.all(term.cost == 0) and np.all(term.gradient == 0) and np.all(term.hessian == 0)


@pytest.mark.parametrize('value', [np.nan, 0.5])
def test_losing_depth_is_never_cheaper_than_meeting_it(value):
    posed = MODEL.pose(state(), SIDES, shape=True)
    depth = wall(float('nan'))
    facing = facing_points(posed, depth)
    speed = np.zeros((2, 3, 60))
    nothing, weights = depth_term(posed, depth, speed, facing, Noise())
    something, _ = depth_term(posed, wall(value), speed, facing, Noise())
    assert np.all(nothing.cost >= something.cost - 1e-9)
    assert np.all(weights == 0) and np.all(nothing.gradient == 0)


def test_samples_outside_the_image_are_nan():
    values = sample(wall(0.6), np.array([[0.0, 0.0], [2.0, 0.0], [0.0, -2.5], [np.nan, 0.0]]))
    assert values[0] == pytest.approx(0.6)
    assert np.isnan(values[1:]).all()


def test_robust_costs_are_bounded():
    cost, weight = robust(np.array([0.0, 1.0, 1e9]), 3.0)
    assert cost[0] == 0 and weight[0] == 1
    assert 0.85 < cost[1] < 1.0
    assert cost[2] == pytest.approx(9.0) and weight[2] < 1e-9


def seen_joints(noise: float = 0.01, offset=(0.0, 0.0, 0.0), seed: int = 1) -> JointMeasurements:
    """Two networks' joints of both hands, each network in its own camera."""
    generator = np.random.default_rng(seed)
    turn = np.array([[0.8, 0.0, 0.6], [0.0, 1.0, 0.0], [-0.6, 0.0, 0.8]])
    rotation, translation = np.stack([np.eye(3), turn]), np.array([[0.0, 0, 0], [0.05, 0, 0.1]])
    points = MODEL.pose(state(), SIDES).points[..., JOINTS]
    joints = rotation[:, None] @ points + translation[:, None, :, None]
    joints = joints.transpose(0, 1, 3, 2) + generator.normal(0, noise, (2, 2, 21, 3)) + offset
    return JointMeasurements(
        rotation=rotation, translation=translation, joints=joints,
        shape=np.tile(np.diag([100.0, 80.0, 50.0]), (2, 2, 21, 1, 1)),
        place=np.tile(np.diag([30.0, 30.0, 10.0]), (2, 2, 1, 1)), trust=np.ones(2),
        lag=np.zeros(2),
    )  # fmt: skip


def joint_cost(data: JointMeasurements, step, noise: Noise):
    return joint_term(MODEL.pose(state().moved(step), SIDES, shape=True), data, STILL, noise)[0]


@pytest.mark.parametrize('reach', [1e3, 3.0])
def test_the_joint_gradient_is_that_of_its_cost(reach):
    data, noise = replace(seen_joints(0.02), trust=np.array([1.0, 3.0])), Noise(point_reach=reach)
    still = np.zeros((2, size_of()))
    numeric = numeric_gradient(lambda step: joint_cost(data, step, noise).cost, size_of())
    np.testing.assert_allclose(
        joint_cost(data, still, noise).gradient, numeric, rtol=1e-3, atol=1e-3
    )


def test_joints_seen_perfectly_cost_nothing():
    term = joint_cost(seen_joints(0.0), np.zeros((2, size_of())), Noise())
    np.testing.assert_allclose(term.cost, 0, atol=1e-20)
    np.testing.assert_allclose(term.gradient, 0, atol=1e-9)


def test_an_error_all_joints_share_counts_once_and_not_21_times():
    """The same displacement of all joints only meets ``place``."""
    offset = np.array([0.01, 0.0, 0.02])
    term = joint_cost(seen_joints(0.0, offset), np.zeros((2, size_of())), Noise(point_reach=1e3))
    expected = 0.5 * 2 * ((30 * 0.01) ** 2 + (10 * 0.02) ** 2)  # two networks
    np.testing.assert_allclose(term.cost, expected, rtol=1e-4)


def test_the_surest_joints_say_what_all_have_in_common():
    data = seen_joints(0.0)
    data.joints[:, :, 8] += np.array([0.2, 0.0, 0.0])
    costs = {}
    for sigma in (0.01, 1.0):
        shape = data.shape.copy()
        shape[:, :, 8] = np.eye(3) / sigma
        term = joint_cost(replace(data, shape=shape), np.zeros((2, size_of())), Noise())
        costs[sigma] = float(term.cost.max())
    # A joint that knows nothing moves the hand's place by nothing, and costs nothing.
    assert costs[1.0] < 0.1 < 1.0 < costs[0.01]


def test_trust_makes_a_network_count_more_often_and_its_joints_no_more_believed():
    still, posed = np.zeros((2, size_of())), MODEL.pose(state(), SIDES, shape=True)
    data = seen_joints(0.02)
    once, twice = (
        joint_cost(replace(data, trust=np.array(trust)), still, Noise())
        for trust in ([1.0, 0.0], [2.0, 0.0])
    )
    for name in ('cost', 'gradient', 'hessian'):
        np.testing.assert_allclose(getattr(twice, name), 2 * getattr(once, name))
    _, believed = joint_term(posed, data, STILL, Noise())
    _, trusted = joint_term(posed, replace(data, trust=np.array([9.0, 9.0])), STILL, Noise())
    np.testing.assert_array_equal(trusted, believed)


def test_a_joint_that_was_not_seen_says_nothing():
    data = seen_joints(0.0)
    data.shape[:, :, 8] = 0.0
    data.joints[:, :, 8] = np.nan
    term, weights = joint_term(MODEL.pose(state(), SIDES, shape=True), data, STILL, Noise())
    assert np.isfinite(term.hessian).all()
    np.testing.assert_allclose(term.cost, 0, atol=1e-20)
    assert np.all(weights[:, :, 8] == 0) and np.all(np.delete(weights, 8, axis=2) > 0.99)


def test_a_wild_joint_is_not_believed():
    data = seen_joints(0.0)
    data.joints[0, 1, 4] += 0.5
    _, weights = joint_term(MODEL.pose(state(), SIDES, shape=True), data, STILL, Noise())
    assert weights[0, 1, 4] < 0.01
    assert weights[1].min() > 0.99 and weights[0, 0].min() > 0.99


def test_networks_joints_in_images_are_compared_with_joints_not_landmarks():
    offsets = np.tile([0.0, 0.01, 0.0], (21, 1))
    model = FittingModel(load_hand_model('right'), offsets, surface=60)
    posed = model.pose(state(), SIDES, shape=True)
    data = measured()
    joints = data.rotation[:, None] @ posed.points[..., JOINTS] + data.translation[:, None, :, None]
    data.points[:] = (joints[:, :, :2] / joints[:, :, 2:]).transpose(0, 1, 3, 2)
    exact, _ = point_term(posed, data, STILL, Noise(), JOINTS)
    other, _ = point_term(posed, data, STILL, Noise())
    assert exact.cost.max() < 1e-12 < other.cost.min()


def test_angles_are_pulled_to_usual_fingers_and_within_their_limits():
    generator = np.random.default_rng(4)
    size = 6 + len(MODEL.lower) + MODEL.shapes
    angles = generator.uniform(MODEL.lower - 0.3, MODEL.upper + 0.3, (2, len(MODEL.lower)))
    term = angle_term(MODEL, angles, size, limit=0.06, angle=0.5)
    inner = slice(6, 6 + len(MODEL.lower))
    for row in range(angles.shape[1]):
        moved = np.zeros_like(angles)
        moved[:, row] = 1e-6
        high = angle_term(MODEL, angles + moved, size, limit=0.06, angle=0.5).cost
        low = angle_term(MODEL, angles - moved, size, limit=0.06, angle=0.5).cost
        np.testing.assert_allclose(term.gradient[:, 6 + row], (high - low) / 2e-6, rtol=1e-4)
    assert not term.gradient[:, :6].any() and not term.gradient[:, inner.stop :].any()
    assert (np.linalg.eigvalsh(term.hessian[:, inner, inner]) > 0).all()
    usual = angle_term(MODEL, MODEL.state(2).angles, size, limit=0.06, angle=0.5)
    np.testing.assert_allclose(usual.cost, 0.0, atol=1e-12)

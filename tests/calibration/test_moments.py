"""Derivatives of a moving target and of projection against differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.calibration.moments import SIZE, Moment
from hand_pose_ros.calibration.projection import changed, parameters, projected
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply

STEP = 1e-6


def moment(seed):
    generator = np.random.default_rng(seed)
    motion = generator.normal(size=12) * np.repeat([1.0, 0.3, 5.0, 2.0], 3)
    rotation = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    return Moment(stamp=0, rotation=rotation, place=generator.normal(size=3), motion=motion)


@given(st.integers(0, 1000))
def test_derivatives_of_a_moment(seed):
    now = moment(seed)
    points = np.random.default_rng(seed + 1).normal(0, 0.1, (4, 3))
    at, jacobian, by_time = now.moved(points, 0.04)
    for k in range(SIZE):
        step = np.zeros(SIZE)
        step[k] = STEP
        away = (now.stepped(step).moved(points, 0.04)[0] - at) / STEP
        assert np.abs(away - jacobian[..., k]).max() < 1e-4
    assert np.allclose((now.moved(points, 0.04 + STEP)[0] - at) / STEP, by_time, atol=1e-3)
    assert np.allclose(apply(now.at(0.04), points), at)


@pytest.mark.parametrize(
    ('model', 'distortion'),
    [
        ('plumb_bob', [-0.37, 0.1, 0.001, -0.002, 0.01]),
        ('equidistant', [0.02, -0.01, 0.003, 0.001]),
    ],
)
def test_derivatives_of_projection(model, distortion):
    K = np.array([[400.0, 0, 320], [0, 410, 240], [0, 0, 1]])
    camera = Camera(width=640, height=480, intrinsics=K, distortion=np.array(distortion),
                    distortion_model=model)  # fmt: skip
    points = np.random.default_rng(0).uniform([-0.3, -0.2, 0.8], [0.3, 0.2, 1.2], (9, 3))
    pixels, by_point, by_lens = projected(camera, points)
    assert np.allclose(pixels, camera.project(points), atol=1e-9)
    for k in range(3):
        away = (projected(camera, points + STEP * np.eye(3)[k])[0] - pixels) / STEP
        assert np.allclose(away, by_point[..., k], atol=1e-2)
    for k in range(len(parameters(camera))):
        away = (projected(changed(camera, (k,), np.array([STEP])), points)[0] - pixels) / STEP
        assert np.allclose(away, by_lens[..., k], atol=1e-3)

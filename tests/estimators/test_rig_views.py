"""Rig views: the geometry of calibrated streams in the frame of the results."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.estimators.rig_views import views_of
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse, rigid
from hand_pose_ros.rig.frame import RigFrame, StreamImage

CAMERA = Camera(
    width=64, height=48, intrinsics=np.array([[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]]),
    distortion=np.array([-0.2, 0.05, 0, 0, 0]),
)  # fmt: skip


def transform(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return rigid(Rotation.random(rng=generator).as_matrix(), generator.normal(0, 0.1, 3))


def frame(T_rig_cam, T_rig_frame, camera: Camera | None = CAMERA, stamp: int = 0) -> RigFrame:
    image = StreamImage(
        image=np.zeros((48, 64), np.uint8), stamp=stamp, camera=camera, T_rig_cam=T_rig_cam
    )
    other = StreamImage(image=np.zeros((48, 64), np.uint8), stamp=1_000_000_000)
    return RigFrame(
        streams={'nir': image, 'thermal': other}, reference='thermal', T_rig_frame=T_rig_frame
    )


@given(st.integers(0, 1000))
def test_projecting_what_was_lifted_gives_the_pixels_back(seed):
    view = views_of(frame(transform(seed), transform(seed + 1)))['nir']
    pixels = np.random.default_rng(seed).uniform(5, 40, (6, 2))
    points = view.unproject(pixels, np.linspace(0.3, 1.0, 6))
    np.testing.assert_allclose(view.project(points), pixels, atol=1e-4)


def test_points_go_through_the_rig():
    T_rig_cam, T_rig_frame = transform(1), transform(2)
    view = views_of(frame(T_rig_cam, T_rig_frame))['nir']
    point = np.array([[0.1, -0.2, 0.5]])
    there = apply(inverse(T_rig_cam), apply(T_rig_frame, point))
    np.testing.assert_allclose(point @ view.rotation.T + view.translation, there, atol=1e-12)
    measurement = view.depth_measurement()
    np.testing.assert_array_equal(measurement.rotation, view.rotation)


def test_the_lag_is_from_the_reference_to_the_image():
    view = views_of(frame(np.eye(4), np.eye(4), stamp=1_020_000_000))['nir']
    assert view.lag == 0.02


def test_streams_without_a_fitting_calibration_are_left_out():
    assert list(views_of(frame(np.eye(4), np.eye(4)))) == ['nir']
    assert views_of(frame(np.eye(4), np.eye(4), camera=None)) == {}
    assert views_of(frame(np.eye(4), np.eye(4), camera=CAMERA.scaled(32, 24))) == {}

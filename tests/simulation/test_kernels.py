"""Compiled loops against the plain formulas they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, rigid
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.simulation import kernels
from hand_pose_ros.simulation.lens import rational_coefficients

INTRINSICS = np.array([[204.0, 0, 161], [0, 205.0, 126], [0, 0, 1]])


@pytest.mark.parametrize(
    ('model', 'distortion'),
    [
        ('plumb_bob', ()),
        ('plumb_bob', (-0.37, 0.1, 0.001, -0.002)),
        ('plumb_bob', (0.11, -0.19, 0.001, 0.002, 0.03)),
        ('rational_polynomial', (0.2, -0.1, 0.001, 0.002, 0.03, 0.1, -0.05, 0.01)),
    ],
)
def test_view_projects_like_the_camera(model, distortion):
    camera = Camera(
        width=320, height=256, intrinsics=INTRINSICS, distortion=distortion, distortion_model=model
    )
    generator = np.random.default_rng(0)
    points = generator.normal((0, 0, 0.6), 0.2, (200, 3))
    normals = generator.normal(size=(200, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    T_cam_rig = rigid(rotation_matrices(np.array([0.1, -0.2, 0.05])), np.array([0.02, 0, 0.1]))
    carried, turned, facing, pixels = kernels.view(
        points, normals, T_cam_rig, camera.intrinsics, rational_coefficients(camera), 10.0
    )
    np.testing.assert_allclose(carried, apply(T_cam_rig, points), atol=1e-12)
    np.testing.assert_allclose(turned, normals @ T_cam_rig[:3, :3].T, atol=1e-12)
    radius = np.linalg.norm(carried[:, :2], axis=1) / np.abs(carried[:, 2])
    seen = (carried[:, 2] > 0.05) & (radius < 10)
    ideal = carried[seen, :2] / carried[seen, 2:]
    np.testing.assert_allclose(pixels[seen], camera.distort(ideal), rtol=1e-9, atol=1e-8)
    assert np.isnan(pixels[~seen]).all()
    to_camera = -carried / np.linalg.norm(carried, axis=1, keepdims=True)
    expected = np.clip((to_camera * turned).sum(1), 0, None)
    np.testing.assert_allclose(facing, expected, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_normals_are_those_of_the_faces(seed):
    generator = np.random.default_rng(seed)
    vertices = generator.normal(size=(12, 3))
    faces = generator.permuted(np.tile(np.arange(12), (20, 1)), axis=1)[:, :3].astype(np.int32)
    expected = np.zeros((12, 3))
    for a, b, c in faces:
        normal = np.cross(vertices[b] - vertices[a], vertices[c] - vertices[a])
        expected[[a, b, c]] += normal
    length = np.linalg.norm(expected, axis=1)
    firm = length > 1e-3  # faces around a vertex may cancel out
    normals = kernels.vertex_normals(vertices, faces)
    np.testing.assert_allclose(normals[firm], expected[firm] / length[firm, None], atol=1e-6)
    assert np.isfinite(normals).all()


def test_levels_saturate_and_fall_off_with_distance():
    depth = np.array([[0.0, 0.5, 1.0, 0.1]], np.float32)
    colour = np.ones((1, 4, 1), np.float32)
    light = np.ones((1, 4), np.float32)
    image = np.full((1, 4, 1), 7, np.uint8)
    kernels.paint_levels(image, colour, depth, light, 30.0, 5.0)
    assert image.ravel().tolist() == [7, 125, 35, 255]
    kernels.paint_levels(image, colour * 100, depth, light * 0, 0.0, 0.0)
    assert image.ravel().tolist() == [7, 45, 45, 45]


def test_depth_edges_get_holes_and_mixed_pixels():
    depth = np.array([[0.5, 0.5, 0.0, 0.0]], np.float32)
    metres = np.full((1, 4), 1.0, np.float32)
    facing = np.array([[1.0, 1.0, 0, 0]], np.float32)
    near = np.array([[0.5, 0.5, 0.5, 1.0]], np.float32)
    far = np.array([[0.5, 1.0, 1.0, 1.0]], np.float32)
    chance = np.array([[0.0, 0.2, 0.7, 0.0]], np.float32)
    settings = np.array([0.0, 0.02, 0.5, 0.4, 0.1])
    noise = np.zeros((1, 4), np.float32)
    kernels.spoil_depth(metres, depth, facing, near, far, noise, chance, settings)
    np.testing.assert_allclose(metres, [[0.5, 0.0, 0.75, 1.0]])
    facing[:] = 0.05
    kernels.spoil_depth(metres, depth, facing, near, near, noise, chance, settings)
    assert metres[0, 0] == 0, 'a grazing surface gives no value'

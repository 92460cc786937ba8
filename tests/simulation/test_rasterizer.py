"""The rasterizer against exact ray casting, and its edge cases."""

import numpy as np
import pytest

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.simulation.rasterizer import rasterize

SIZE = (96, 72)
LENSES = {
    'pinhole': (),
    'boson': (-0.3755301, 0.103669, 0.0, 0.0, 0.0),
    'tangential': (0.11, -0.19, 0.002, -0.003, 0.01),
}


def camera(distortion=()):
    matrix = np.array([[70.0, 0, 46.3], [0, 71.0, 35.1], [0, 0, 1]])
    return Camera(width=SIZE[0], height=SIZE[1], intrinsics=matrix, distortion=distortion)


def hand():
    """A hand 0.3 m before the camera, palm away, turned so that fingers overlap the palm."""
    data = load_hand_model('right')
    pose = np.zeros((1, 15, 3))
    model = HandModel(data)
    pose[0, :6, 2] = 0.5
    orient = np.array([[0.4, 1.2, 1.3]])
    _, vertices = model.forward(
        orient, model.pose_from_angles(pose), np.zeros((1, 10)), np.zeros((1, 3))
    )
    vertices = vertices[0] - vertices[0].mean(0) + [0.01, -0.005, 0.3]
    return vertices, data.faces


def cast(lens, vertices, faces):
    """Depth (H, W) by intersecting every pixel's ray with every front-facing triangle."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    ideal = lens.undistort(np.column_stack([columns.ravel(), rows.ravel()]).astype(float))
    rays = np.column_stack([ideal, np.ones(len(ideal))])
    depth = np.full(len(rays), np.inf)
    for a, b, c in vertices[faces]:
        normal = np.cross(b - a, c - a)
        if normal @ a >= 0:
            continue
        facing = rays @ normal
        with np.errstate(divide='ignore', invalid='ignore'):
            z = (normal @ a) / facing
            hit = rays * z[:, None]
            inside = facing < 0
            for start, end in ((a, b), (b, c), (c, a)):
                inside &= np.cross(end - start, hit - start) @ normal >= 0
        depth[inside] = np.minimum(depth[inside], z[inside])
    return np.where(np.isfinite(depth), depth, 0).reshape(SIZE[::-1])


def draw(lens, vertices, faces, attributes=None):
    values = vertices if attributes is None else attributes
    fragments = rasterize(lens.project(vertices), vertices[:, 2], faces, values, SIZE)
    depth = np.zeros(SIZE[::-1])
    depth[fragments.box] = fragments.depth
    image = np.zeros((*SIZE[::-1], values.shape[1]))
    image[fragments.box] = fragments.attributes
    return depth, image


@pytest.mark.parametrize('name', LENSES)
def test_equals_ray_casting(name):
    lens = camera(LENSES[name])
    vertices, faces = hand()
    expected = cast(lens, vertices, faces)
    depth, _ = draw(lens, vertices, faces)
    covered = expected > 0
    assert covered.sum() > 600
    wrong = covered != (depth > 0)
    assert wrong.sum() <= 0.01 * covered.sum(), 'only outline pixels may differ'
    both = covered & (depth > 0)
    error = np.abs(depth - expected)[both]
    assert np.median(error) < 2e-5
    assert np.mean(error > 5e-4) < 0.01, 'only pixels at an inner outline may differ'


def test_attributes_follow_the_surface():
    lens = camera()
    vertices, faces = hand()
    depth, image = draw(lens, vertices, faces)
    rows, columns = np.nonzero(depth)
    points = lens.unproject(np.column_stack([columns, rows]), depth[rows, columns])
    np.testing.assert_allclose(image[rows, columns], points, atol=3e-4)


def square(z, size=0.1):
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size
    return np.column_stack([corners, np.full(4, z)])


# Counter-clockwise seen from the camera, whose y points down.
FRONT = np.array([[0, 2, 1], [0, 3, 2]])


def test_the_nearer_surface_wins_whatever_the_order():
    lens = camera()
    vertices = np.concatenate([square(0.5), square(0.3, 0.03)])
    for faces in (np.concatenate([FRONT, FRONT + 4]), np.concatenate([FRONT + 4, FRONT])):
        depth, _ = draw(lens, vertices, faces)
        assert depth[35, 46] == pytest.approx(0.3, abs=1e-6)
        assert depth[35, 36] == pytest.approx(0.5, abs=1e-6)
        assert depth[5, 5] == 0


def test_backs_and_unusable_triangles_are_not_drawn():
    lens = camera()
    assert not draw(lens, square(0.5), FRONT[:, ::-1])[0].any()
    assert not draw(lens, square(-0.5), FRONT)[0].any()
    vertices = square(0.5)
    pixels = lens.project(vertices)
    pixels[2] = np.nan
    assert rasterize(pixels, vertices[:, 2], FRONT, vertices, SIZE).empty
    far_off = square(0.5) + np.array([5.0, 0, 0])
    assert rasterize(lens.project(far_off), far_off[:, 2], FRONT, far_off, SIZE).empty


def test_surfaces_are_cut_at_the_border():
    lens = camera()
    depth, _ = draw(lens, square(0.2, 1.0), FRONT)
    np.testing.assert_allclose(depth, 0.2, atol=1e-6)


def test_shared_edges_leave_no_gap():
    lens = camera()
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.linspace(-0.1, 0.1, 12), np.linspace(-0.1, 0.1, 12)), -1)
    grid[1:-1, 1:-1] += generator.uniform(-0.006, 0.006, (10, 10, 2))
    vertices = np.column_stack([grid.reshape(-1, 2), np.full(144, 0.25)])
    corner = np.arange(144).reshape(12, 12)
    a, b, c, d = (x.ravel() for x in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:],
                                      corner[1:, :-1]))  # fmt: skip
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)])
    depth, _ = draw(lens, vertices, faces)
    rows, columns = np.nonzero(depth)
    assert (depth[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] > 0).all()

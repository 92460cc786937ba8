"""Silhouettes: masks on a grid keep their shape, also through a lens, and know what is hidden."""

import numpy as np
import pytest

from hand_pose_ros.annotation.silhouettes import (
    BACKGROUND,
    GRID,
    HAND,
    UNKNOWN,
    distances,
    inside_points,
    silhouette,
    thinned,
)
from hand_pose_ros.geometry.camera import Camera

MOST = 400


def camera(distorted=False):
    return Camera(
        width=320, height=240, intrinsics=np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]]),
        distortion=np.array([-0.3, 0.1, 0.0, 0.0, 0.0] if distorted else []),
        distortion_model='plumb_bob',
    )  # fmt: skip


def disc(middle=(150, 100), radius=30):
    x, y = np.meshgrid(np.arange(320), np.arange(240))
    return (x - middle[0]) ** 2 + (y - middle[1]) ** 2 <= radius**2


def around(lens, middle=(150, 100), radius=25):
    turn = np.linspace(0, 2 * np.pi, 20)
    return lens.undistort(np.array(middle) + radius * np.column_stack([np.cos(turn), np.sin(turn)]))


@pytest.mark.parametrize('distorted', (False, True))
def test_points_of_the_grid_are_those_of_the_mask(distorted):
    lens = camera(distorted)
    found = silhouette(disc(), None, lens, around(lens))
    points, spacing = inside_points(*found, MOST)
    pixels = lens.distort(points)
    assert 100 < len(points) <= MOST
    assert np.hypot(*(pixels - (150, 100)).T).max() < 31.5
    assert np.abs(pixels.mean(axis=0) - (150, 100)).max() < 0.5
    area = len(points) * (spacing * 300) ** 2
    assert area == pytest.approx(np.pi * 30**2, rel=0.06)


def test_what_the_other_hand_covers_and_the_image_cuts_off_is_unknown():
    lens = camera()
    found = silhouette(disc((10, 100)), disc((45, 100)), lens, around(lens, (10, 100)))
    states = {state: (found.cells == state).mean() for state in (BACKGROUND, HAND, UNKNOWN)}
    assert all(share > 0.05 for share in states.values()), states
    # Left of the image nothing is known.
    columns = found.corner[0] + found.step * np.arange(GRID)
    assert (found.cells[:, columns * 300 + 160 < -0.5] == UNKNOWN).all()


def test_distances_are_cells_from_where_the_hand_may_be():
    cells = np.full((GRID, GRID), BACKGROUND, np.uint8)
    cells[40, 20], cells[40, 60] = HAND, UNKNOWN
    away = distances(cells)
    assert away[40, 20] == 0 and away[40, 60] == 0
    assert away[40, 23] == pytest.approx(2.5) and away[44, 60] == pytest.approx(3.5)


@pytest.mark.parametrize('size', (3, 19, 20, 21, 64))
def test_every_pixel_is_near_one_that_was_kept(size):
    pixels = np.argwhere(np.ones((size, size), bool)) + 5
    kept, step = thinned(pixels, MOST)
    assert 0 < len(kept) <= MOST
    distance = np.linalg.norm(pixels[:, None] - kept[None], axis=2).min(axis=1)
    inside = (pixels >= 5 + step / 2).all(axis=1) & (pixels < 5 + size - step / 2).all(axis=1)
    assert distance[inside].max(initial=0.0) <= step * 2**-0.5 + 1e-9


def test_small_masks_stay_whole():
    pixels = np.array([[3, 4], [3, 5], [8, 8]])
    kept, step = thinned(pixels, MOST)
    assert step == 1 and (kept == pixels).all()


def test_an_empty_mask_has_no_pixels():
    assert len(thinned(np.zeros((0, 2), np.int64), MOST)[0]) == 0

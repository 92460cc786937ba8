"""Palm search windows: they cover the image and stay square."""

import numpy as np
import pytest

from hand_pose_ros.estimators.palm_search import tiles, turned, whole_image


@pytest.mark.parametrize('shape', [(256, 320), (834, 384), (384, 683), (100, 100), (50, 500)])
def test_tiles_cover_every_pixel_at_half_the_size(shape):
    image = np.zeros(shape, np.uint8)
    covered = np.zeros(shape, bool)
    for tile in tiles(image):
        assert tile.size == max(shape) / 2
        low = np.maximum(np.floor(tile.center - tile.size / 2), 0).astype(int)
        high = np.ceil(tile.center + tile.size / 2).astype(int)
        covered[low[1] : high[1], low[0] : high[0]] = True
    assert covered.all()


def test_whole_image_is_centred_and_turned_ones_share_its_square():
    image = np.zeros((100, 300), np.uint8)
    whole = whole_image(image)
    np.testing.assert_allclose(whole.center, [150, 50])
    assert whole.size == 300
    assert {round(np.degrees(region.angle)) % 360 for region in turned(image)} == {90, 180, 270}

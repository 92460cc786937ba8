"""Crops: K and boxes agree with the pixels, nothing aliases, missing hands, jitter."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.hand_crops import (
    PatchFrame,
    hand_boxes,
    hand_views,
    jitter_boxes,
    jitter_gains,
    sample_boxes,
    too_dark,
    views_of_image,
)

HEIGHT, WIDTH = 240, 320
K = torch.tensor([[[210.0, 0.0, 150.0], [0.0, 200.0, 130.0], [0.0, 0.0, 1.0]]])


def ramps(height=HEIGHT, width=WIDTH):
    """An image whose first two channels say where a pixel is."""
    x = torch.arange(width, dtype=torch.float32) / width
    y = torch.arange(height, dtype=torch.float32) / height
    shape = (height, width)
    return torch.stack(
        [x.expand(shape), y[:, None].expand(shape), torch.zeros(shape)]
    )[None]  # fmt: skip


def boxes(*rows):
    return torch.tensor([rows], dtype=torch.float32)


def projected(points, matrix):
    image = points @ matrix[0].T
    return image[:, :2] / image[:, 2:]


@given(st.integers(100, 700), st.integers(100, 700), st.sampled_from([112, 224]))
def test_the_patch_intrinsics_project_onto_the_moved_pixels(height, width, size):
    frame = PatchFrame.of(height, width, size)
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(1)) * 0.1
    points[:, 2] += 0.5
    native = projected(points, K)
    assert torch.allclose(frame.to_patch(native), projected(points, frame.intrinsics(K)), atol=1e-3)
    assert torch.allclose(frame.to_native(frame.to_patch(native)), native, atol=1e-3)


def test_the_patch_is_the_square_padded_image():
    views = hand_views(torch.ones(1, 3, HEIGHT, WIDTH), K, torch.full((1, 2, 4), torch.nan), 112)
    rows = views.image[0, 0, :, 56]
    assert views.image.shape == (1, 3, 112, 112)
    assert rows[:13].max() == 0
    assert rows[-13:].max() == 0
    assert rows[16:-16].min() == pytest.approx(1.0)
    assert views.frame.step == pytest.approx(WIDTH / 112)


def test_crops_come_from_the_native_pixels_not_from_the_reduced_image():
    image = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2)) > 0.5
    image = image.float()
    box = boxes([99.5, 59.5, 211.5, 171.5], [149.5, 29.5, 205.5, 85.5])
    views = hand_views(image, K, box, 112)
    # A box of 112 pixels on whole pixels is cut out unchanged.
    assert torch.allclose(views.crops[0, 0], image[0, :, 60:172, 100:212], atol=1e-4)
    assert torch.allclose(views.frame.to_native(views.boxes), box, atol=1e-3)
    assert views.present.tolist() == [[True, True]]


def test_crop_pixels_are_where_the_box_says():
    box = boxes([40.2, 20.7, 140.2, 120.7], [200.0, 100.0, 260.0, 160.0])
    views = hand_views(ramps(), K, box, 112)
    cells = (torch.arange(112) + 0.5) / 112
    for side in range(2):
        x0, y0, x1, y1 = box[0, side]
        x, y = x0 + cells * (x1 - x0), y0 + cells * (y1 - y0)
        assert torch.allclose(views.crops[0, side, 0, 50] * WIDTH, x, atol=1e-2)
        assert torch.allclose(views.crops[0, side, 1, :, 50] * HEIGHT, y, atol=1e-2)


def test_a_box_beyond_the_border_is_black_there_and_keeps_its_corners():
    box = boxes([-60.0, 10.0, 40.0, 110.0], [250.0, 180.0, 350.0, 280.0])
    views = hand_views(torch.ones(1, 3, HEIGHT, WIDTH), K, box, 112)
    left = views.crops[0, 0, 0, 60]
    assert left[:60].max() == 0
    assert left[70:].min() == pytest.approx(1.0)
    assert torch.allclose(views.frame.to_native(views.boxes), box, atol=1e-3)
    assert views.boxes[0, 0, 0] < 0


@pytest.mark.parametrize('period', [2, 3, 5])
def test_stripes_that_are_too_fine_turn_grey_instead_of_aliasing(period):
    x = torch.arange(960)
    image = ((x % period) * 2 < period).float().expand(1, 3, 720, 960)
    whole = torch.tensor([[119.5, -0.5, 839.5, 719.5]])
    patch = sample_boxes(image, torch.zeros(1, dtype=torch.long), whole, 90)
    assert patch.std() < 0.1
    assert float(patch.mean()) == pytest.approx(float(image.mean()), abs=0.02)


def test_a_missing_hand_gets_the_whole_image_and_is_not_present():
    box = boxes([np.nan] * 4, [60.0, 60.0, 120.0, 120.0])
    views = hand_views(ramps(), K, box, 112)
    assert views.present.tolist() == [[False, True]]
    assert torch.equal(views.crops[0, 0], views.image[0])
    assert torch.allclose(views.boxes[0, 0], torch.tensor([-0.5, -0.5, 111.5, 111.5]), atol=1e-4)
    assert torch.isfinite(views.boxes).all()


def test_one_channel_becomes_three_equal_ones():
    box = boxes([10.0, 10.0, 90.0, 90.0], [np.nan] * 4)
    views = hand_views(ramps()[:, :1], K, box, 112)
    assert views.crops.shape == (1, 2, 3, 112, 112)
    assert torch.equal(views.crops[:, :, 0], views.crops[:, :, 2])


@pytest.mark.parametrize('colour', [True, False])
def test_a_live_image_gives_the_same_views(colour):
    generator = np.random.default_rng(3)
    shape = (HEIGHT, WIDTH, 3) if colour else (HEIGHT, WIDTH)
    image = generator.integers(0, 256, shape, dtype=np.uint8)
    box = np.array([[10.0, 10.0, 90.0, 90.0], [100.0, 50.0, 300.0, 250.0]])
    live = views_of_image(image, K[0].numpy().astype(np.float64), box, 112)
    tensor = torch.from_numpy(image).reshape(HEIGHT, WIDTH, -1).permute(2, 0, 1)[None] / 255.0
    batch = hand_views(tensor, K, torch.from_numpy(box).float()[None], 112)
    assert torch.allclose(live.crops, batch.crops, atol=1e-6)
    assert torch.allclose(live.intrinsics, batch.intrinsics)


def test_boxes_are_square_and_one_and_a_half_times_the_longer_side():
    pixels = torch.full((1, 2, 21, 2), torch.nan)
    pixels[0, 0, :3] = torch.tensor([[100.0, 50.0], [140.0, 70.0], [120.0, 60.0]])
    found = hand_boxes(pixels, HEIGHT, WIDTH)
    assert found[0, 0].tolist() == pytest.approx([90.0, 30.0, 150.0, 90.0])
    assert torch.isnan(found[0, 1]).all()
    assert hand_boxes(pixels, HEIGHT, WIDTH, 2.0)[0, 0, 0] == pytest.approx(80.0)


def test_a_hand_with_fewer_than_three_joints_in_the_image_has_no_box():
    pixels = torch.full((21, 2), -50.0)
    pixels[:2] = 10.0
    assert torch.isnan(hand_boxes(pixels, HEIGHT, WIDTH)).all()
    pixels[2] = 12.0
    found = hand_boxes(pixels, HEIGHT, WIDTH)
    assert torch.isfinite(found).all()
    # A joint at the plane of the camera does not blow the box up.
    pixels[3] = 1e7
    assert (hand_boxes(pixels, HEIGHT, WIDTH).abs() < 4 * WIDTH).all()


@given(st.integers(0, 1000))
def test_jitter_moves_boxes_by_a_fifth_of_their_size_at_most(seed):
    box = torch.tensor([[10.0, 20.0, 110.0, 120.0]]).expand(50, 4)
    moved = jitter_boxes(box, torch.Generator().manual_seed(seed))
    assert torch.allclose(moved[:, 2:] - moved[:, :2], torch.tensor(100.0), atol=1e-4)
    assert (moved - box).abs().max() <= 20.0 + 1e-4
    assert (moved - box).abs().max() > 10.0
    sized = jitter_boxes(box, torch.Generator().manual_seed(seed), scale=0.1)
    assert (sized[:, 2] - sized[:, 0]).std() > 1.0


def test_jitter_keeps_missing_boxes_missing():
    moved = jitter_boxes(torch.full((3, 2, 4), torch.nan), torch.Generator().manual_seed(0))
    assert torch.isnan(moved).all()


def test_gains_change_every_channel_of_a_clip_by_its_own_factor():
    image = torch.full((8, 3, 8, 8), 0.5)
    changed = jitter_gains(image, [torch.Generator().manual_seed(seed) for seed in range(4)])
    assert changed.std(dim=(2, 3)).max() < 1e-6
    assert torch.equal(changed[0::2], changed[1::2])
    assert changed[:, :, 0, 0].unique().numel() == 12
    assert changed.min() >= 0.3 - 1e-6
    assert changed.max() <= 0.7 + 1e-6
    gain = 1 + 0.4 * (2 * torch.rand(3, generator=torch.Generator().manual_seed(2)) - 1)
    torch.testing.assert_close(changed[4, :, 0, 0], 0.5 * gain)


def test_tensors_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match='2 images need boxes'):
        hand_views(torch.zeros(2, 3, 64, 64), K.expand(2, 3, 3), torch.zeros(1, 2, 4), 112)


def test_colour_images_without_light_are_too_dark():
    images = torch.full((4, 3, 48, 64), 0.05)
    images[1] = 0.3
    images[2, :, :8] = 0.5  # one lamp
    images[3, :, 0, 0] = 1.0  # one bad pixel
    assert too_dark(images).tolist() == [True, False, False, True]
    # Values of other images are stretched: they say nothing about light.
    assert too_dark(images[:, :1]).tolist() == [False] * 4

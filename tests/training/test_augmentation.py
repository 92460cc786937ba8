"""Augmentation: one draw per clip, and K that stays with the pixels."""

import dataclasses
import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.training import augmentation
from hand_pose_ros.training.augmentation import (
    augment_clips,
    draw_shifts,
    jitter_colours,
    shift_clips,
)
from hand_pose_ros.training.config import AugmentationConfig
from tests.training import fakes


def seeded(clips, seed=0):
    return [torch.Generator().manual_seed(seed + clip) for clip in range(clips)]


def moved_by_hand(images, shifts):
    """Every pixel of images (B T, ..., H, W) by itself."""
    result = torch.zeros_like(images)
    height, width = images.shape[-2:]
    frames = len(images) // len(shifts)
    for number in range(len(images)):
        x, y = shifts[number // frames].tolist()
        for row in range(max(0, y), min(height, height + y)):
            for column in range(max(0, x), min(width, width + x)):
                result[number, ..., row, column] = images[number, ..., row - y, column - x]
    return result


def recoloured_by_hand(clip, config, generator):
    """The changes of a clip (T, C, H, W), one after the other."""
    values = (2 * torch.rand(4, generator=generator) - 1).tolist()
    brightness, contrast, saturation = (
        1 + value * width
        for value, width in zip(
            values, (config.brightness, config.contrast, config.saturation), strict=False
        )
    )
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    for kind in torch.randperm(4, generator=generator).tolist():
        grey = (clip * luma).sum(dim=1, keepdim=True) if clip.shape[1] == 3 else clip
        if kind == 0:
            clip = clip * brightness
        elif kind == 1:
            mean = grey.mean(dim=(2, 3), keepdim=True)
            clip = mean + contrast * (clip - mean)
        elif kind == 2 and clip.shape[1] == 3:
            clip = grey + saturation * (clip - grey)
        elif kind == 3 and clip.shape[1] == 3:
            # Rodrigues about (1, 1, 1) / sqrt(3).
            angle = 2 * math.pi * values[3] * config.hue
            axis = torch.full_like(clip, 3**-0.5)
            along = axis * (axis * clip).sum(dim=1, keepdim=True)
            across = torch.cross(axis, clip, dim=1)
            clip = clip * math.cos(angle) + across * math.sin(angle) + along * (1 - math.cos(angle))
        clip = clip.clamp(0, 1)
    return clip


@given(
    shifts=st.lists(st.tuples(st.integers(-9, 9), st.integers(-7, 7)), min_size=1, max_size=3),
    channels=st.sampled_from([(), (1,), (3,)]),
    frames=st.integers(1, 2),
)
def test_both_ways_of_moving_clips_equal_moving_every_pixel(shifts, channels, frames):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(len(shifts) * frames, *channels, 6, 8, generator=generator)
    shifts = torch.tensor(shifts)
    for way in (augmentation._shifted_by_copies, augmentation._shifted_at_once):
        for moving in (images, (images * 200).byte()):
            assert torch.equal(way(moving, shifts), moved_by_hand(moving, shifts))


@given(
    seed=st.integers(0, 10_000), clips=st.integers(1, 4), frames=st.integers(1, 3),
    channels=st.sampled_from([1, 3]), strength=st.floats(0, 0.5),
)  # fmt: skip
def test_colours_of_all_clips_equal_those_of_each_clip_by_itself(
    seed, clips, frames, channels, strength
):
    batch = fakes.make_batch(clips, frames=frames, modality='rgb', seed=seed, size=(6, 8))
    batch = dataclasses.replace(batch, image=batch.image[:, :channels])
    before = batch.image.clone()
    config = AugmentationConfig(
        brightness=strength, contrast=0.5, saturation=strength, hue=strength / 3
    )
    changed = jitter_colours(batch, config, seeded(clips, seed)).image
    expected = torch.cat(
        [
            recoloured_by_hand(clip, config, generator)
            for clip, generator in zip(before.split(frames), seeded(clips, seed), strict=True)
        ]
    )
    torch.testing.assert_close(changed, expected, atol=3e-6, rtol=0)
    assert torch.equal(batch.image, before)


def test_a_clip_draws_its_shift_four_values_and_an_order():
    batch, draws = fakes.make_batch(2, modality='rgb'), seeded(2, 7)
    augment_clips(batch, AugmentationConfig(shift=0.1), draws)
    for used, fresh in zip(draws, seeded(2, 7), strict=True):
        torch.randint(-3, 4, (2,), generator=fresh)
        torch.rand(4, generator=fresh)
        torch.randperm(4, generator=fresh)
        assert torch.equal(used.get_state(), fresh.get_state())


def reprojected(batch):
    points = batch.joints @ batch.intrinsics[:, None].mT
    return points[..., :2] / points[..., 2:]


@given(x=st.integers(-40, 40), y=st.integers(-30, 30))
def test_the_shifted_camera_sees_the_labels_at_the_shifted_pixels(x, y):
    batch = fakes.make_batch(2)
    moved = shift_clips(batch, torch.tensor([[x, y], [0, 0]]))
    assert (reprojected(moved) - moved.pixels).abs().max() < 1e-3
    expected = batch.pixels[:2] + torch.tensor([x, y])
    torch.testing.assert_close(moved.pixels[:2], expected)
    assert torch.equal(moved.pixels[2:], batch.pixels[2:])


def test_pixels_and_masks_move_with_the_labels():
    batch = fakes.make_batch(1)
    batch.image[:] = 0
    batch.image[:, :, 10, 12] = 1.0
    moved = shift_clips(batch, torch.tensor([[3, -4]]))
    assert moved.image[0, 0].nonzero().tolist() == [[6, 15]]
    assert torch.equal(moved.hand_mask[:, 4:12, 7:15], batch.hand_mask[:, 8:16, 4:12])
    assert moved.hand_mask.sum() == batch.hand_mask.sum()
    assert torch.equal(moved.surface, moved.hand_mask)


def test_joints_that_leave_the_image_are_not_visible():
    batch = fakes.make_batch(1)
    moved = shift_clips(batch, torch.tensor([[40, 0]]))
    assert not moved.visible.any()
    assert not moved.image.any()
    still = shift_clips(batch, torch.tensor([[0, 0]]))
    assert torch.equal(still.image, batch.image)


def test_shifts_are_within_their_share_and_reach_it():
    batch = fakes.make_batch(400)
    shifts = draw_shifts(batch, 0.1, seeded(400))
    assert shifts.abs().max() == 3
    assert {-3, 3} <= set(shifts[:, 0].tolist()) & set(shifts[:, 1].tolist())


def test_frames_of_a_clip_share_their_draw_and_clips_do_not():
    batch = fakes.make_batch(3, modality='rgb')
    batch.image[:] = batch.image[:1]
    changed = jitter_colours(batch, AugmentationConfig(), seeded(3)).image
    assert torch.equal(changed[0], changed[1])
    assert not torch.equal(changed[0], changed[2])
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_grey_pixels_stay_grey_and_hue_turns_colours():
    batch = fakes.make_batch(1, modality='rgb')
    batch.image[:] = 0.4
    only_hue = AugmentationConfig(brightness=0, contrast=0, saturation=0, hue=0.15)
    torch.testing.assert_close(jitter_colours(batch, only_hue, seeded(1)).image, batch.image)
    batch.image[:, 0] = 0.8
    turned = jitter_colours(batch, only_hue, seeded(1)).image
    assert not torch.allclose(turned, batch.image, atol=0.01)
    torch.testing.assert_close(turned.sum(dim=1), batch.image.sum(dim=1))


def test_no_draw_changes_nothing():
    batch = fakes.make_batch(2, modality='rgb')
    off = AugmentationConfig(shift=0, brightness=0, contrast=0, saturation=0, hue=0)
    torch.testing.assert_close(augment_clips(batch, off, seeded(2)).image, batch.image)


def test_depth_is_moved_but_never_recoloured():
    batch = fakes.make_batch(2, modality='depth')
    changed = augment_clips(batch, AugmentationConfig(), seeded(2))
    values = set(batch.image.flatten().tolist()) | {0.0}
    assert set(changed.image.flatten().tolist()) <= values
    assert not torch.equal(changed.intrinsics, batch.intrinsics)


def test_the_same_seed_gives_the_same_batch():
    batch = fakes.make_batch(2)
    one, other = (augment_clips(batch, AugmentationConfig(), seeded(2, 4)) for _ in range(2))
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.intrinsics, other.intrinsics)

"""Noise windows, patterns and kernels of the batched sensors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.simulation import batch_noise as noise

CPU = torch.device('cpu')


def test_both_ways_to_copy_windows_give_the_same():
    bank = noise.normal_bank(CPU)
    places = [(0, 0), (3, 900), (700, 12)]
    assert torch.equal(
        noise._sliced(bank, places, (40, 50)), noise._gathered(bank, places, (40, 50))
    )


@pytest.mark.parametrize('size', [(24, 32), (256, 320), (1080, 1920)])
def test_a_number_gives_its_window_wherever_it_stands(size):
    numbers = noise.frame_numbers((11, 12), 2, 5)
    together = noise.windows(noise.normal_bank(CPU), numbers, size)
    assert together.shape == (4, *size)
    alone = noise.windows(noise.normal_bank(CPU), numbers[2:3], size)
    assert torch.equal(together[2:3], alone)


@given(st.integers(0, 2**62), st.integers(0, 100))
def test_numbers_of_frames_clips_and_salts_differ(seed, salt):
    frames = noise.frame_numbers((seed,), 8, salt)
    others = noise.frame_numbers((seed,), 8, salt + 1) + noise.clip_numbers((seed,), salt)
    assert len({*frames, *others}) == 17


def test_noise_is_normal():
    values = noise.windows(noise.normal_bank(CPU), [123456789], (300, 300))
    assert values.mean().abs() < 0.02 and values.std() == pytest.approx(1, abs=0.02)


def test_patterns_are_of_unit_variance_and_have_no_seam():
    bank = noise.pattern_bank(CPU)
    assert bank.shape == (noise.PATTERN_KINDS, noise.PATTERN, noise.PATTERN)
    torch.testing.assert_close(bank.std((1, 2)), torch.ones(len(bank)), atol=1e-3, rtol=0)
    within = (bank[:4, :, 1:] - bank[:4, :, :-1]).abs().mean()
    across = (bank[:4, :, 0] - bank[:4, :, -1]).abs().mean()
    assert across < 3 * within


def test_patterns_stick_to_the_surface():
    coordinates = torch.rand(2, 8, 9, 2)
    values = noise.patterns(
        torch.tensor([[0, 5]]), coordinates, torch.tensor([0.7]), torch.tensor([[0.2, 0.3]])
    )
    moved = noise.patterns(
        torch.tensor([[0, 5]]), coordinates.roll(3, 2), torch.tensor([0.7]),
        torch.tensor([[0.2, 0.3]]),
    )  # fmt: skip
    assert torch.equal(values.roll(3, 3), moved)


@given(st.floats(0.2, 2), st.floats(0, 1))
def test_kernels_keep_the_mean(sigma, halo):
    kernel = noise.lens_kernels(torch.tensor([sigma]), torch.tensor([halo]))
    assert kernel.sum() == pytest.approx(1, abs=1e-4)


def test_sharpening_overshoots_at_an_edge_and_blur_does_not():
    image = torch.zeros(1, 20, 20)
    image[..., 10:] = 1
    for halo, beyond in ((0.0, False), (0.8, True)):
        kernel = noise.lens_kernels(torch.tensor([0.7]), torch.tensor([halo]))
        assert bool((noise.convolve(image, kernel) > 1.01).any()) == beyond


def test_motion_blurs_along_its_direction_only():
    image = torch.zeros(1, 21, 21)
    image[0, 10, 10] = 1
    kernel = noise.motion_kernels(torch.tensor([0.3]), torch.tensor([[5.0, 0.0]]))
    spot = noise.convolve(image, kernel)[0]
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert spot[10, 8] > 0.05 > spot[8, 10]

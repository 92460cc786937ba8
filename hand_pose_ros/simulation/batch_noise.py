"""Noise and patterns of batched images: banks drawn once, windows of them per clip and frame."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.sensors import stamp_number

_BANK = 1024  # side of the noise banks, pixels
PATTERN = 256  # side of a pattern tile, texels; a tile repeats without a seam
PATTERN_KINDS = 12  # smooth ones first, then patches, stripes, spots


@lru_cache(maxsize=4)
def normal_bank(device: torch.device) -> Tensor:
    """Return (1024, 1024) unit normal noise."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(_BANK, _BANK, generator=generator).to(device)


@lru_cache(maxsize=4)
def uniform_bank(device: torch.device) -> Tensor:
    """Return (1024, 1024) uniform noise in 0..1."""
    generator = torch.Generator().manual_seed(6)
    return torch.rand(_BANK, _BANK, generator=generator).to(device)


def windows(bank: Tensor, numbers: list[int], size: tuple[int, int]) -> Tensor:
    """Return one window (K, H, W) of a bank per number; the number decides which.

    The same number gives the same window on every device and in every batch.
    """
    height, width = size
    rows_free, columns_free = _BANK - height, _BANK - width
    if min(rows_free, columns_free) < 64:
        bank = bank.repeat(1 + (height + 64) // _BANK, 1 + (width + 64) // _BANK)
        rows_free, columns_free = bank.shape[0] - height, bank.shape[1] - width
    places = [(number % rows_free, (number // rows_free) % columns_free) for number in numbers]
    return (_sliced if bank.device.type == 'cpu' else _gathered)(bank, places, size)


def _sliced(bank: Tensor, places: list[tuple[int, int]], size: tuple[int, int]) -> Tensor:
    """Copy windows one by one, which is faster on CPUs."""
    result = torch.empty(len(places), *size, device=bank.device)
    for window, (row, column) in zip(result, places, strict=True):
        window.copy_(bank[row : row + size[0], column : column + size[1]])
    return result


def _gathered(bank: Tensor, places: list[tuple[int, int]], size: tuple[int, int]) -> Tensor:
    """Copy all windows at once, which is faster on GPUs."""
    rows, columns = put(places, bank.device).reshape(-1, 2).T
    return bank.unfold(0, size[0], 1).unfold(1, size[1], 1)[rows, columns]


def frame_numbers(seeds: tuple[int, ...], frames: int, salt: int) -> list[int]:
    """Return one well mixed number per frame of clips with these seeds."""
    return [
        stamp_number(frame, stamp_number(salt, seed)) for seed in seeds for frame in range(frames)
    ]


def clip_numbers(seeds: tuple[int, ...], salt: int) -> list[int]:
    """Return one well mixed number per clip, for what stays over the clip."""
    return [stamp_number(salt, seed ^ 0x5BD1E995) for seed in seeds]


@lru_cache(maxsize=4)
def pattern_bank(device: torch.device) -> Tensor:
    """Return seamless patterns (``PATTERN_KINDS``, 256, 256) of zero mean and unit variance."""
    generator = np.random.default_rng(77)
    tiles = [_smooth(generator, slope) for slope in (1.0, 1.4, 1.8, 2.4)]
    tiles += [_patches(generator, count) for count in (12, 30, 70)]
    tiles += [_stripes(generator, period) for period in (4, 16)]
    tiles += [_spots(generator, count) for count in (20, 60)]
    tiles.append(tiles[1] * np.abs(tiles[2]))
    stacked = np.stack([(tile - tile.mean()) / tile.std() for tile in tiles])
    assert len(stacked) == PATTERN_KINDS
    return torch.from_numpy(stacked.astype(np.float32)).to(device)


def patterns(kinds: Tensor, coordinates: Tensor, scales: Tensor, offsets: Tensor) -> Tensor:
    """Sample seamless patterns at surface coordinates.

    Args:
        kinds: (B, C) int64 which pattern each channel shows, by clip.
        coordinates: (N, H, W, 2) metres on the surface; N / B images a clip.
        scales: (B,) tiles a metre.
        offsets: (B, 2) in tiles.

    Returns:
        (N, C, H, W), about unit variance.
    """
    clips, (count, height, width) = len(kinds), coordinates.shape[:3]
    tiles = pattern_bank(coordinates.device)[kinds]
    # The frames of a clip are sampled as one tall image.
    tall = coordinates.reshape(clips, -1, width, 2)
    grid = torch.addcmul(offsets[:, None, None], tall, scales[:, None, None, None])
    grid.frac_().abs_().mul_(2).sub_(1)
    found = functional.grid_sample(tiles, grid, mode='bilinear', align_corners=True)
    found = found.unflatten(2, (count // clips, height)).transpose(1, 2)
    return found.reshape(count, -1, height, width)


def lens_kernels(sigma: Tensor, halo: Tensor, radius: int = 4) -> Tensor:
    """Return convolution kernels (B, k, k) of a lens's blur and a camera's sharpening.

    Args:
        sigma: (B,) standard deviation of the blur in pixels.
        halo: (B,) how much of a 1.5 pixel wide blur the sharpening takes away, 0 = none.
        radius: half width of the kernels in pixels.
    """
    steps = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    squares = steps[:, None] ** 2 + steps**2

    def gaussian(width: Tensor) -> Tensor:
        kernel = torch.exp(-squares / (2 * width[:, None, None].clamp(min=0.2) ** 2))
        return kernel / kernel.sum((1, 2), keepdim=True)

    wide = gaussian((sigma**2 + 1.5**2).sqrt())
    return (1 + halo)[:, None, None] * gaussian(sigma) - halo[:, None, None] * wide


def motion_kernels(sigma: Tensor, motion: Tensor, radius: int = 3) -> Tensor:
    """Return convolution kernels (B, k, k) of a blur that is drawn along a straight line.

    Args:
        sigma: (B,) standard deviation of the blur in pixels.
        motion: (B, 2) length of the line right and down in pixels.
        radius: half width of the kernels in pixels.
    """
    steps = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    places = torch.linspace(-0.5, 0.5, 7, device=sigma.device)[:, None, None, None]
    x = steps - places * motion[:, 0, None, None]
    y = steps[:, None] - places * motion[:, 1, None, None]
    width = 2 * sigma[:, None, None] ** 2
    kernels = torch.exp(-(x * x + y * y) / width).sum(0)
    return kernels / kernels.sum((1, 2), keepdim=True)


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Convolve every image (N, H, W) with its own kernel (N, k, k); borders are repeated."""
    reach = kernels.shape[-1] // 2
    padded = functional.pad(images[None], (reach,) * 4, mode='replicate')
    return functional.conv2d(padded, kernels[:, None], groups=len(images))[0]


def _smooth(generator: np.random.Generator, slope: float) -> np.ndarray:
    """Noise whose spectrum falls with a power of frequency."""
    frequencies = np.hypot(np.fft.fftfreq(PATTERN)[:, None], np.fft.rfftfreq(PATTERN)[None])
    frequencies[0, 0] = 1.0
    spectrum = np.fft.rfft2(generator.normal(size=(PATTERN, PATTERN))) * frequencies**-slope
    spectrum[0, 0] = 0
    tile = np.fft.irfft2(spectrum, s=(PATTERN, PATTERN))
    return tile / tile.std()


def _patches(generator: np.random.Generator, count: int) -> np.ndarray:
    """Rectangles over each other, few of them far from the rest: tiles, papers, clutter."""
    tile = np.zeros((PATTERN, PATTERN))
    for _ in range(count):
        height, width = generator.integers(4, 90, 2)
        rows = (generator.integers(PATTERN) + np.arange(height)) % PATTERN
        columns = (generator.integers(PATTERN) + np.arange(width)) % PATTERN
        tile[np.ix_(rows, columns)] = generator.standard_t(3)
    return np.clip(tile, -5, 5)


def _stripes(generator: np.random.Generator, period: int) -> np.ndarray:
    """Bent stripes: wood grain, boards, cloth."""
    rows, columns = np.mgrid[:PATTERN, :PATTERN] * (2 * np.pi / PATTERN)
    bend = 0.6 * np.sin(columns + 1) + 0.3 * np.sin(3 * columns + 2)
    base = np.sin(period * rows + bend) + 0.5 * np.sin(3 * period * rows + 2 * bend)
    return base + 0.4 * _smooth(generator, 1.2)


def _spots(generator: np.random.Generator, count: int) -> np.ndarray:
    """Round spots of many sizes and strengths: lamps, plugs, prints."""
    axis = np.arange(PATTERN)
    tile = np.zeros((PATTERN, PATTERN))
    for _ in range(count):
        centre = generator.uniform(0, PATTERN, 2)
        size = np.exp(generator.uniform(np.log(1.5), np.log(22), 2))
        away = [(axis - c + PATTERN / 2) % PATTERN - PATTERN / 2 for c in centre]
        shape = np.exp(-0.5 * (away[0][:, None] / size[0]) ** 2 - 0.5 * (away[1] / size[1]) ** 2)
        tile += generator.standard_t(3) * shape
    return np.clip(tile, -6, 6)

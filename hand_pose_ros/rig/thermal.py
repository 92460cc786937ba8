"""Thermal value conventions: counts to degrees Celsius, and grey-scale stretching."""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ImageError, RigError

ThermalKind = Literal['tlinear', 'planck', 'none']
THERMAL_KINDS: tuple[ThermalKind, ...] = ('tlinear', 'planck', 'none')
ABSOLUTE_ZERO = -273.15

# Enough pixels for a percentile to be stable to a fraction of a grey level.
_SAMPLED_PIXELS = 12_000


@dataclass(frozen=True, kw_only=True)
class ThermalValues:
    """What the counts of a thermal camera mean.

    Attributes:
        kind: ``tlinear`` (linear in temperature), ``planck`` (FLIR's radiometric constants) or
            ``none`` (no temperature: only the order of the values means something).
        gain, offset: tlinear: degrees Celsius = counts * gain + offset. FLIR's TLinear has
            offset -273.15 and gain 0.04 (low resolution), 0.01 or 0.1 (Lepton).
        R1, R2, B, F, O: planck: kelvin = B / ln(R1 / (R2 * (counts + O)) + F). Cameras that
            state kelvin = B / ln(R / (counts - O) + F) have R1 = R, R2 = 1 and O negated.
        white_hot: whether warmer is brighter.
    """

    kind: ThermalKind = 'none'
    gain: float = 0.04
    offset: float = ABSOLUTE_ZERO
    R1: float = 0.0
    R2: float = 1.0
    B: float = 0.0
    F: float = 1.0
    O: float = 0.0  # noqa: E741 - the constant's name in every FLIR file
    white_hot: bool = True

    def __post_init__(self) -> None:
        """Refuse constants no temperature can be made of."""
        if self.kind not in THERMAL_KINDS:
            raise RigError(f'thermal kind {self.kind!r} is unknown: use {", ".join(THERMAL_KINDS)}')
        if self.kind == 'tlinear' and not self.gain > 0:
            raise RigError(f'tlinear gain must be above 0, got {self.gain}, 0.04 is usual')
        if self.kind == 'planck' and not (self.R1 > 0 and self.R2 > 0 and self.B > 0):
            raise RigError(
                f'planck needs R1, R2 and B above 0, got {self.R1}, {self.R2}, {self.B}: read '
                'them from a radiometric file of the camera'
            )


def celsius(counts: NDArray[Any], values: ThermalValues) -> NDArray[np.float32]:
    """Convert counts of any shape to degrees Celsius.

    Counts outside the domain of the Planck formula give NaN. Raises ImageError when the camera
    is not radiometric.
    """
    if values.kind == 'tlinear':
        degrees = np.asarray(counts, dtype=np.float64) * values.gain + values.offset
        return degrees.astype(np.float32)
    if values.kind == 'planck':
        signal = np.asarray(counts, dtype=np.float64) + values.O
        with np.errstate(divide='ignore', invalid='ignore'):
            logarithm = np.log(values.R1 / (values.R2 * signal) + values.F)
            kelvin = np.where((signal > 0) & (logarithm > 0), values.B / logarithm, np.nan)
        return (kelvin + ABSOLUTE_ZERO).astype(np.float32)
    raise ImageError(
        'this thermal camera is not radiometric (values.kind is none), so its counts have no '
        'temperature: give tlinear or planck constants in the rig file if it has them'
    )


def agc_limits(image: NDArray[Any], low: float = 1.0, high: float = 99.8) -> tuple[float, float]:
    """Return the counts at two percentiles of an (H, W) image, from an even subsample."""
    step = max(1, int(np.sqrt(image.size / _SAMPLED_PIXELS)))
    sample = np.ravel(image[step // 2 :: step, step // 2 :: step])
    if not sample.size:
        raise ImageError(f'an image of shape {image.shape} has no pixels to stretch')
    ranks = [round((sample.size - 1) * percent / 100) for percent in (low, high)]
    ordered = np.partition(sample, ranks)
    return float(ordered[ranks[0]]), float(ordered[ranks[1]])


def agc(
    image: NDArray[Any], low: float = 1.0, high: float = 99.8, white_hot: bool = True
) -> NDArray[np.uint8]:
    """Stretch an (H, W) uint8 or uint16 image between two percentiles to white-hot uint8.

    Args:
        image: counts.
        low, high: percentiles of warmth that become 0 and 255.
        white_hot: whether warmer is brighter in ``image``; a black-hot image is inverted first,
            so that the percentiles keep the warm end, wherever it is.
    """
    if image.dtype not in (np.uint8, np.uint16) or image.ndim != 2:
        raise ImageError(
            f'thermal images are uint8 or uint16 of shape (H, W), got {image.dtype} {image.shape}'
        )
    if not white_hot:
        image = np.invert(image)
    bottom, top = agc_limits(image, low, high)
    # Both steps saturate, which is the clipping to the percentiles.
    lifted = cv2.subtract(image, (bottom, 0.0, 0.0, 0.0))
    stretched = cv2.convertScaleAbs(lifted, alpha=255.0 / max(top - bottom, 1.0))
    return np.asarray(stretched, dtype=np.uint8)

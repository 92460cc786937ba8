"""The pixels of one stream: exposure, frozen images, jumps of a thermal camera's gain."""

import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.images import image_array
from hand_pose_ros.errors import BagError
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.sessions.checks.findings import Finding

# Pixels of an image that are looked at, and of how many images exposure is judged.
_SAMPLED_PIXELS = 5000
_EXPOSURE_EVERY = 5
# Share of pixels at the top of the range that makes an image over-exposed, and level that not
# even the brightest percent of an under-exposed one reaches.
_CLIPPED_SHARE = 0.1
_DARK_LEVEL = 0.06
# Share of images with a problem that is worth telling.
_TOLD_SHARE = 0.05
# A jump of the median by this part of the usual contrast is no motion.
_JUMP = 0.35
# Images in a row that are equal bit for bit; sensors have noise.
_FROZEN = 2


@dataclass(frozen=True, kw_only=True)
class ImagesReport:
    """What the pixels of a stream say.

    Attributes:
        size: (width, height) of the images, (0, 0) without any.
        encoding: of the images.
        sampled: images whose exposure was judged.
        over, under: share of them that are over- and under-exposed; of depth cameras ``under`` is
            the share with fewer than one pixel in five valid.
        frozen: runs of equal images: stamp of the first (ns), how many repeat it, seconds.
        jumps: stamps (ns) at which the level of a thermal camera jumped.
        broken: images that could not be read.
    """

    size: tuple[int, int] = (0, 0)
    encoding: str = ''
    sampled: int = 0
    over: float = 0.0
    under: float = 0.0
    frozen: list[tuple[int, int, float]] = field(default_factory=list)
    jumps: list[int] = field(default_factory=list)
    broken: int = 0


class StreamImages:
    """Looks at the images of one stream as they come; memory does not grow but by a few bytes."""

    def __init__(self, modality: Modality) -> None:
        """Look at the images of a camera of some modality."""
        self._modality = modality
        self._size = (0, 0)
        self._encoding = ''
        self._count = self._sampled = self._over = self._under = self._broken = 0
        self._last_crc = -1
        self._last_stamp = self._run_start = 0
        self._run = 0
        self._frozen: list[tuple[int, int, float]] = []
        self._levels = array('d')
        self._contrasts = array('d')
        self._stamps = array('q')

    def add(self, message: Any, stamp: int) -> None:
        """Look at one sensor_msgs/Image."""
        self._follow_freeze(zlib.crc32(message.data), stamp)
        self._size, self._encoding = (message.width, message.height), message.encoding
        thermal = self._modality == 'thermal'
        if thermal or self._count % _EXPOSURE_EVERY == 0:
            try:
                pixels = _sample(image_array(message))
            except BagError:
                self._broken += 1
                self._count += 1
                return
            if self._count % _EXPOSURE_EVERY == 0:
                self._judge_exposure(pixels)
            if thermal:
                low, middle, high = np.percentile(pixels, (5, 50, 95))
                self._levels.append(float(middle))
                self._contrasts.append(float(high - low))
                self._stamps.append(stamp)
        self._count += 1

    def report(self) -> ImagesReport:
        """Return what was seen."""
        self._end_run()
        sampled = max(self._sampled, 1)
        return ImagesReport(
            size=self._size, encoding=self._encoding, sampled=self._sampled,
            over=self._over / sampled, under=self._under / sampled, frozen=self._frozen,
            jumps=self._jumps(), broken=self._broken,
        )  # fmt: skip

    @property
    def levels(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Stamps (N,) ns and median counts (N,) of a thermal camera's images."""
        return np.array(self._stamps, np.int64), np.array(self._levels)

    def _follow_freeze(self, crc: int, stamp: int) -> None:
        if crc == self._last_crc:
            self._run += 1
        else:
            self._end_run()
            self._run_start, self._run = stamp, 0
        self._last_crc, self._last_stamp = crc, stamp

    def _end_run(self) -> None:
        if self._run >= _FROZEN - 1:
            seconds = (self._last_stamp - self._run_start) * 1e-9
            self._frozen.append((self._run_start, self._run, seconds))
        self._run = 0

    def _judge_exposure(self, pixels: NDArray[Any]) -> None:
        self._sampled += 1
        if self._modality == 'depth':
            valid = np.isfinite(pixels) & (pixels > 0)
            self._under += bool(valid.mean() < 0.2)
            return
        if not np.issubdtype(pixels.dtype, np.integer):
            return
        top = np.iinfo(pixels.dtype).max
        self._over += bool((pixels >= 0.98 * top).mean() > _CLIPPED_SHARE)
        if self._modality != 'thermal':
            # Counts of thermal cameras and of 10 or 12 bits in 16 do not fill their range.
            top = 255 if pixels.dtype == np.uint8 else max(int(pixels.max()), 1023)
            self._under += bool(np.percentile(pixels, 99) < _DARK_LEVEL * top)

    def _jumps(self) -> list[int]:
        stamps, levels = self.levels
        if len(levels) < 3:
            return []
        steps = np.abs(np.diff(levels))
        usual = float(np.median(self._contrasts))
        noise = 1.4826 * float(np.median(steps))
        places = np.flatnonzero((steps > _JUMP * usual) & (steps > 10 * noise))
        return [int(stamps[place + 1]) for place in places]


def images_findings(name: str, report: ImagesReport, modality: Modality) -> Iterator[Finding]:
    """Yield what is wrong with the pixels of a stream."""
    if report.broken:
        yield Finding(
            severity='lossy', subject=name,
            text=f'{report.broken} images are no raw images of a known encoding.',
        )  # fmt: skip
    if report.frozen:
        longest = max(seconds for _, _, seconds in report.frozen)
        repeats = sum(count for _, count, _ in report.frozen)
        why = (
            'flat-field corrections of the sensor' if modality == 'thermal' else 'a stalled driver'
        )
        yield Finding(
            severity='warning', subject=name,
            text=f'{repeats} images repeat the one before bit for bit, in {len(report.frozen)} '
            f'runs of up to {longest:.2f} s: {why}.',
        )  # fmt: skip
    if report.jumps:
        yield Finding(
            severity='warning', subject=name,
            text=f'the level of the image jumps {len(report.jumps)} times: automatic gain or a '
            'flat-field correction; switch automatic gain off, or record 16-bit counts.',
        )  # fmt: skip
    if report.over > _TOLD_SHARE:
        yield Finding(
            severity='warning', subject=name,
            text=f'{100 * report.over:.0f} % of the images are over-exposed: lower exposure, gain '
            'or the emitter.',
        )  # fmt: skip
    if report.under > _TOLD_SHARE:
        what = (
            'hardly have a valid pixel' if modality == 'depth' else 'are too dark to see anything'
        )
        yield Finding(
            severity='warning',
            subject=name,
            text=f'{100 * report.under:.0f} % of the images {what}.',
        )


def _sample(image: NDArray[Any]) -> NDArray[Any]:
    """Return an even subsample of an image's pixels, channels mixed."""
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / _SAMPLED_PIXELS)))
    return image[step // 2 :: step, step // 2 :: step].ravel()

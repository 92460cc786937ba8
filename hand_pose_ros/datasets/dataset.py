"""HandDataset: numbered labelled frames, and clips of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hand_pose_ros.datasets.sample import HandSample
from hand_pose_ros.datasets.windows import Window, make_windows


class HandDataset(ABC):
    """What every reader offers: ``len``, ``dataset[i]``, iteration and ``clips``.

    Attributes:
        shipped_hand: whether shapes and translations are about the hand that ships with us.
    """

    shipped_hand = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> HandSample: ...

    def __iter__(self) -> Iterator[HandSample]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))

    @property
    def segments(self) -> list[range]:
        """Frames of each recording; without video each frame is one."""
        return [range(index, index + 1) for index in range(len(self))]

    def clips(self, length: int = 1, *, spacing: int = 1, overlapping: bool = False) -> 'Clips':
        """Return clips of ``length`` frames; arguments as in ``make_windows``."""
        windows = make_windows(self.segments, length, spacing=spacing, overlapping=overlapping)
        return Clips(self, windows)


class Clips(Sequence[list[HandSample]]):
    """Clips of a data set, read when they are asked for."""

    def __init__(self, dataset: HandDataset, windows: list[Window]) -> None:
        """Take windows of a data set."""
        self._dataset = dataset
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> list[HandSample]:  # type: ignore[override]
        """Read one clip; repeated frames are read once and marked as padding."""
        window = self.windows[index]
        read = {frame: self._dataset[frame] for frame in dict.fromkeys(window.frames)}
        return [
            replace(read[frame], padding=padding)
            for frame, padding in zip(window.frames, window.padding, strict=True)
        ]


def runs(frames: Sequence[tuple[Any, int]], *, step: int = 1) -> list[range]:
    """Cut sorted (recording, number) pairs where the recording changes or numbers are missing.

    Args:
        frames: of all recordings, in order.
        step: largest difference between numbers of neighbours.
    """
    starts = [
        place
        for place, (recording, number) in enumerate(frames)
        if place == 0 or frames[place - 1][0] != recording or number - frames[place - 1][1] > step
    ]
    return [range(*pair) for pair in pairwise([*starts, len(frames)])]

"""History: what hands were before they were judged or corrected, so that it can be taken back."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.sessions.labels import CORRECTABLE, SessionLabels

# Steps that can be taken back.
_LONGEST = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class HandBefore:
    """One hand as it was.

    Attributes:
        row: of the labels.
        side: 0 left, 1 right.
        verdict: on it.
        values: what a correction changes, by the names of ``SessionLabels``; empty for a verdict.
    """

    row: int
    side: int
    verdict: int
    values: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, labels: SessionLabels, row: int, side: int, *, with_pose: bool) -> 'HandBefore':
        """Copy a hand's verdict, and its pose if that is about to change."""
        names = CORRECTABLE if with_pose else ()
        return cls(
            row=row, side=side, verdict=int(labels.verdict[row, side]),
            values={name: np.array(getattr(labels, name)[row, side]) for name in names},
        )  # fmt: skip

    def restore(self, labels: SessionLabels) -> None:
        """Enter the hand as it was."""
        labels.verdict[self.row, self.side] = self.verdict
        for name, value in self.values.items():
            getattr(labels, name)[self.row, self.side] = value


class History:
    """Steps of a review, the last one first to be taken back."""

    def __init__(self) -> None:
        """Begin without any."""
        self._steps: deque[list[HandBefore]] = deque(maxlen=_LONGEST)

    @contextmanager
    def step(
        self, labels: SessionLabels, hands: Iterable[tuple[int, int]], *, with_pose: bool = False
    ) -> Iterator[None]:
        """Enclose a change of hands (row, side): one that fails leaves them as they were."""
        before = [HandBefore.of(labels, row, side, with_pose=with_pose) for row, side in hands]
        try:
            yield
        except BaseException:
            for hand in before:
                hand.restore(labels)
            raise
        if before:
            self._steps.append(before)

    def take_back(self) -> list[HandBefore]:
        """Return what the last step changed, as it was; nothing when there is no step left."""
        return self._steps.pop() if self._steps else []

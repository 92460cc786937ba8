"""Stream schedule: which 2D streams are looked at in a frame."""

from collections.abc import Iterable


class StreamSchedule:
    """The best stream is looked at every time, the others take turns."""

    def __init__(self, preferred: Iterable[str], per_frame: int) -> None:
        """Prepare.

        Args:
            preferred: stream names, best first.
            per_frame: streams looked at in each frame, at least 1.
        """
        self._preferred = list(preferred)
        self._per_frame = max(1, per_frame)
        self._turn = 0

    def choose(self, present: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the streams to look at now, and those to fall back on."""
        present = set(present)
        order = [name for name in self._preferred if name in present]
        if len(order) <= self._per_frame:
            return order, []
        others = order[1:]
        shift = self._turn % len(others)
        self._turn += 1
        order = [order[0], *others[shift:], *others[:shift]]
        return order[: self._per_frame], order[self._per_frame :]

    def reset(self) -> None:
        """Start the turns again."""
        self._turn = 0

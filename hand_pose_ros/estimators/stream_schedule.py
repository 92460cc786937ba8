"""Stream schedule: which 2D streams are looked at in a frame."""

from collections.abc import Iterable

# Frames in a row that must leave room before one more stream is looked at.
_PATIENCE = 8


class StreamSchedule:
    """The best stream is looked at first, the others take turns, as many as time allows."""

    def __init__(self, preferred: Iterable[str], per_frame: int, budget: float = 0.0) -> None:
        """Prepare.

        Args:
            preferred: stream names, best first.
            per_frame: most streams looked at in each frame, at least 1.
            budget: time a frame may take in seconds; 0 for as long as it takes.
        """
        self._preferred = list(preferred)
        self._most = max(1, per_frame)
        self._budget = budget
        self._per_frame = self._most
        self.reset()

    def choose(self, present: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the streams to look at now, and those to fall back on."""
        present = set(present)
        order = [name for name in self._preferred if name in present]
        if len(order) <= self._per_frame:
            return order, []
        first = 1 if self._per_frame > 1 else 0
        others = order[first:]
        shift = self._turn % len(others)
        self._turn += 1
        order = [*order[:first], *others[shift:], *others[:shift]]
        return order[: self._per_frame], order[self._per_frame :]

    def spent(self, seconds: float) -> None:
        """Learn how long a frame took, and look at fewer or more streams in the next ones."""
        if not self._budget:
            return
        if seconds > self._budget:
            self._per_frame = max(1, self._per_frame - 1)
            self._easy = 0
        elif seconds * (self._per_frame + 1) < self._budget * self._per_frame:
            self._easy += 1
            if self._easy >= _PATIENCE:
                self._per_frame = min(self._most, self._per_frame + 1)
                self._easy = 0
        else:
            self._easy = 0

    def reset(self) -> None:
        """Start the turns again."""
        self._turn = 0
        self._easy = 0
        self._per_frame = self._most

"""The beat of recordings that are played as cameras."""

import threading
import time
from typing import Literal

Pace = Literal['recorded', 'rate']
PACES: tuple[Pace, ...] = ('recorded', 'rate')


class Player:
    """Keeps the beat: says when a recorded stamp is due and what stamp its sample gets.

    Only live samples wait until they are due: recorded ones are paced by who takes them, which
    keeps the cameras of a recording in step, whenever each of them was started.
    """

    def __init__(
        self,
        *,
        live: bool,
        period: int,
        closed: threading.Event,
        cycle: int = 0,
        origin: int | None = None,
    ) -> None:
        """Prepare; the clock starts with the first ``wait``.

        Args:
            live: whether samples get the time at which they are due; late ones are skipped.
            period: between samples, nanoseconds.
            closed: ends every wait.
            cycle: nanoseconds of one loop; 0 when there is none. A live loop is thought to have
                begun at the epoch, so that all players of one cycle are at the same place.
            origin: recorded stamp at which the loop begins; that of the first sample by default.
        """
        self._live = live
        self._period = period
        self._closed = closed
        self._cycle = cycle
        self._origin = origin
        self._lead: int | None = None
        self._dropped = 0
        self._started = False

    def take_dropped(self) -> int:
        """Return the samples skipped since the last call."""
        dropped, self._dropped, self._started = self._dropped, 0, True
        return dropped

    def wait(self, recorded: int) -> int | None:
        """Wait until a sample is due; return its stamp, or None when it is to be skipped."""
        if not self._live:
            return recorded
        now = time.time_ns()
        if self._lead is None:
            begin = now - now % self._cycle if self._cycle else now
            self._lead = begin - (recorded if self._origin is None else self._origin)
        due = recorded + self._lead
        if now - due > self._period:
            self._dropped += self._started
            return None
        if due > now:
            self._closed.wait((due - now) / 1e9)
        return due

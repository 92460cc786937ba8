"""The beat of recordings that are played as cameras."""

import threading
import time
from typing import Literal

Pace = Literal['recorded', 'rate', 'none']
PACES: tuple[Pace, ...] = ('recorded', 'rate', 'none')

# Further behind than this, the player lets the delay stand instead of hurrying after it.
_GIVE_UP = 500_000_000


class Player:
    """Keeps the beat: says when a recorded stamp is due and what stamp its sample gets."""

    def __init__(
        self,
        *,
        paced: bool,
        live: bool,
        period: int,
        closed: threading.Event,
        cycle: int = 0,
        origin: int | None = None,
    ) -> None:
        """Prepare; the clock starts with the first ``wait``.

        Args:
            paced: whether to wait at all.
            live: whether samples get the time at which they are due; late ones are skipped.
            period: between samples, nanoseconds.
            closed: ends every wait.
            cycle: nanoseconds of one loop; 0 when there is none. A live loop is thought to have
                begun at the epoch, so that all players of one cycle are at the same place.
            origin: recorded stamp at which the loop begins; that of the first sample by default.
        """
        self._paced = paced
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
        if not self._paced:
            return time.time_ns() if self._live else recorded
        now = time.time_ns()
        if self._lead is None:
            begin = now - now % self._cycle if self._cycle else now
            self._lead = begin - (recorded if self._origin is None else self._origin)
        due = recorded + self._lead
        if self._live and now - due > self._period:
            self._dropped += self._started
            return None
        if not self._live and now - due > _GIVE_UP:
            self._lead += now - due
        if due > now:
            self._closed.wait((due - now) / 1e9)
        return due if self._live else recorded

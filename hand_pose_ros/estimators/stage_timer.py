"""Stage timer: where the time of a frame goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimer:
    """Adds up the seconds spent in each stage of a frame.

    Attributes:
        seconds: by stage, of the frame in progress or the last one.
    """

    def __init__(self, *stages: str) -> None:
        """Name the stages, which are always all reported."""
        self._stages = stages
        self.begin()

    def begin(self) -> None:
        """Start a frame."""
        self.seconds = dict.fromkeys(self._stages, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

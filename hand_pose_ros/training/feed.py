"""Batches prepared ahead of the training by threads, in the order of their steps."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar('Batch')


class Feed(Generic[Batch]):
    """Makes ``make(number)`` for consecutive numbers a little before each is asked for.

    What a number gives depends on the number alone, never on the threads.
    """

    def __init__(
        self, make: Callable[[int], Batch], *, workers: int, ahead: int, count: int | None = None
    ) -> None:
        """Prepare with ``workers`` threads, 0 for none, at most ``ahead`` batches ahead.

        Where there are only ``count`` batches, none beyond them is made.
        """
        self._make = make
        self._ahead, self._count = ahead, count
        self._pool = ThreadPoolExecutor(workers, 'batches') if workers else None
        self._waiting: dict[int, Future[Batch]] = {}

    def take(self, number: int) -> Batch:
        """Return batch ``number``; errors of its making are raised here."""
        if self._pool is None:
            return self._make(number)
        end = number + self._ahead + 1
        wanted = range(number, end if self._count is None else min(end, self._count))
        for skipped in [known for known in self._waiting if known not in wanted]:
            self._waiting.pop(skipped).cancel()
        for coming in wanted:
            if coming not in self._waiting:
                self._waiting[coming] = self._pool.submit(self._make, coming)
        return self._waiting.pop(number).result()

    def close(self) -> None:
        """Stop preparing."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

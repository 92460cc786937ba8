"""A thread that works on the newest item only."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar('Item')


class NewestOnlyWorker(Generic[Item]):
    """Calls a function with items in a thread of its own; a newer item replaces one that waits.

    Attributes:
        replaced: items that were never worked on because a newer one came.
    """

    def __init__(self, work: Callable[[Item], None], name: str) -> None:
        """Start the thread.

        Args:
            work: must not raise; what it raises ends the thread.
            name: of the thread.
        """
        self.replaced = 0
        self._work = work
        self._slot: list[Item] = []
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over an item; never blocks on the work."""
        with self._changed:
            self.replaced += len(self._slot)
            self._slot[:] = [item]
            self._changed.notify()

    def stop(self, timeout: float = 5.0) -> bool:
        """Finish the item under way, forget the one that waits, and end the thread.

        Returns:
            Whether the thread has ended in time.
        """
        with self._changed:
            self._stopping = True
            self._slot.clear()
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._slot and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                item = self._slot.pop()
            self._work(item)
            del item

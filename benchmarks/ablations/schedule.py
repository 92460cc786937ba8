"""What is done next: clips are rendered first, then networks trained that need nothing undone."""

from collections.abc import Collection, Sequence

from benchmarks.ablations.runs import Clips, Place, Run, clip_stores, needed
from benchmarks.ablations.workers import Job


class Schedule:
    """The jobs of some runs, handed out one after another.

    Attributes:
        renderings: collections of clips to be rendered, the largest first.
    """

    def __init__(self, runs: Sequence[Run], done: Collection[Run], place: Place) -> None:
        """Plan what is left of ``runs``, in their order, when those of ``done`` have results."""
        self._place = place
        self._done: set[Run | str] = set(done)
        self._waiting = [run for run in runs if run not in self._done]
        self._reads = {run: clip_stores(run, place) for run in self._waiting}
        found = {key: clips for stores in self._reads.values() for key, clips in stores.items()}
        self.renderings = sorted(found.values(), key=lambda clips: -clips.images)
        self._unrendered = list(self.renderings)
        self._failed: set[Run | str] = set()

    def take(self) -> Job | None:
        """Return the next job that can be done now."""
        from benchmarks.ablations import measure

        if self._unrendered:
            clips = self._unrendered.pop(0)
            return Job(name=clips, function=measure.render, arguments=(clips, self._place))
        for run in self._waiting:
            if self._ready(run):
                self._waiting.remove(run)
                return Job(name=run, function=measure.execute, arguments=(run, self._place))
        return None

    def finished(self, name: Clips | Run) -> None:
        """Note that a job was done, so that others may follow."""
        self._done.add(_known_by(name))

    def failed(self, name: Clips | Run) -> None:
        """Note that a job was not done: it is tried once more, for memory may have been short."""
        if _known_by(name) in self._failed:
            return
        self._failed.add(_known_by(name))
        if isinstance(name, Clips):
            self._unrendered.append(name)
        else:
            self._waiting.append(name)

    def _ready(self, run: Run) -> bool:
        before = needed(run)
        return self._reads[run].keys() <= self._done and (before is None or before in self._done)


def _known_by(name: Clips | Run) -> Run | str:
    return name.key if isinstance(name, Clips) else name

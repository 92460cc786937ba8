"""The batches of a run: which clips, their augmentation, and this process's share of them."""

from collections.abc import Iterator

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.errors import TrainingError
from hand_pose_ros.training.config import DataConfig
from hand_pose_ros.training.distributed import World
from hand_pose_ros.training.feed import Feed
from hand_pose_ros.training.seeds import generator
from hand_pose_ros.training.sources import (
    Rendered,
    drawn_source,
    make_source,
    numbers_of_step,
)
from hand_pose_ros.training.tasks.base import Task


class TrainingData:
    """Training batches by number and the validation set.

    Augmentation is drawn for each place in the batch of all processes, so that several processes
    see together what one would see alone.
    """

    def __init__(
        self, config: DataConfig, task: Task, *, seed: int, world: World,
        report: Rendered | None = None,
    ) -> None:  # fmt: skip
        """Open or render all sources; arguments as in ``make_source``.

        Raises:
            TrainingError: the processes cannot share the batch evenly.
        """
        if config.batch % world.size:
            raise TrainingError(
                f'data.batch is {config.batch}, which {world.size} processes cannot share: make '
                'it a multiple of their number'
            )
        self._config, self._task, self._seed, self._world = config, task, seed, world
        every = (*config.train, config.validation)
        if world.is_first:
            sources = [make_source(one, config, world.device, report=report) for one in every]
        world.wait()
        if not world.is_first:
            sources = [make_source(one, config, world.device, render=False) for one in every]
        self._sources, self._validation = sources[:-1], sources[-1]
        if self._validation.count == 0:
            raise TrainingError('data.validation is endless: give it a number of clips')
        self._weights = [one.weight for one in config.train]
        self._feed = Feed(self.make, workers=config.workers, ahead=config.ahead)

    def take(self, number: int) -> ViewBatch:
        """Return training batch ``number`` of this process, prepared ahead."""
        return self._feed.take(number)

    def make(self, number: int) -> ViewBatch:
        """Return training batch ``number`` of this process."""
        source = self._sources[drawn_source(self._weights, seed=self._seed, step=number)]
        clips = numbers_of_step(
            source.count, seed=self._seed, step=number, batch=self._config.batch
        )
        places = range(len(clips))[self._world.share(len(clips))]
        batch = source.read([clips[place] for place in places])
        draws = [generator(self._seed, 2, number, place) for place in places]
        return self._task.augment(batch, draws).to(self._world.device)

    def validation(self) -> Iterator[ViewBatch]:
        """Walk through the validation clips in order."""
        for start in range(0, self._validation.count, self._config.validation_batch):
            clips = range(start, min(start + self._config.validation_batch, self._validation.count))
            yield self._validation.read(clips).to(self._world.device)

    def close(self) -> None:
        """Stop preparing batches."""
        self._feed.close()

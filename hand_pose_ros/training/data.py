"""The batches of a run: which clips, their augmentation, and this process's share of them."""

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.datasets.mixing import Mixture
from hand_pose_ros.errors import TrainingError
from hand_pose_ros.training.config import DataConfig
from hand_pose_ros.training.distributed import World
from hand_pose_ros.training.feed import Feed
from hand_pose_ros.training.recorded import RecordedClips
from hand_pose_ros.training.seeds import generator
from hand_pose_ros.training.sources import Rendered, Source, make_source
from hand_pose_ros.training.tasks.base import Task


class TrainingData:
    """Training batches by number and the validation set.

    Which clips a batch has, and their augmentation, depend on its number and the seed alone, and
    each process takes its share: several processes see together what one would see alone.
    """

    def __init__(
        self, config: DataConfig, task: Task, *, seed: int, world: World,
        report: Rendered | None = None,
    ) -> None:  # fmt: skip
        """Open or render all sources; arguments as in ``make_source``.

        Raises:
            TrainingError: the processes cannot share the batch evenly, or the validation set has
                no end.
        """
        if config.batch % world.size:
            raise TrainingError(
                f'data.batch is {config.batch}, which {world.size} processes cannot share: make '
                'it a multiple of their number'
            )
        self._config, self._task, self._seed, self._world = config, task, seed, world
        sources = _open(config, world, report)
        self._sources, self._validation = sources[:-1], sources[-1]
        for source in self._sources:
            if isinstance(source, RecordedClips) and isinstance(self._validation, RecordedClips):
                source.check_apart(self._validation)
        if self._validation.count == 0:
            raise TrainingError('data.validation is endless: give it a number of clips')
        self._mixture = Mixture(
            counts=tuple(max(source.count, 1) for source in self._sources),
            weights=tuple(one.weight for one in config.train),
            seed=seed,
        )
        self._feed = Feed(self.make, workers=config.workers, ahead=config.ahead)

    def take(self, number: int) -> ViewBatch:
        """Return training batch ``number`` of this process, prepared ahead."""
        return self._feed.take(number)

    def make(self, number: int) -> ViewBatch:
        """Return training batch ``number`` of this process."""
        batches = []
        for source, places, clips in self._shares(number):
            batch = self._sources[source].read(clips)
            draws = [generator(self._seed, 2, number, place) for place in places]
            batches.append(self._task.augment(batch, draws).to(self._world.device))
        return joined_batches(batches)

    def validation(self) -> Iterator[ViewBatch]:
        """Walk through the validation clips in order."""
        yield from batches_of(self._validation, self._config.validation_batch, self._world.device)

    def close(self) -> None:
        """Stop preparing batches."""
        self._feed.close()

    def _shares(self, number: int) -> Iterator[tuple[int, list[int], list[int]]]:
        """Return source, places in the batch and clips of this process's share, by source."""
        batch, world = self._config.batch, self._world
        pairs = self._mixture.draw(number, batch, rank=world.rank, world=world.size)
        first = world.rank * batch // world.size
        for source in sorted({source for source, _ in pairs}):
            own = [(first + i, clip) for i, (s, clip) in enumerate(pairs) if s == source]
            places = [place for place, _ in own]
            # What has no end is walked through in order.
            endless = self._sources[source].count == 0
            clips = [number * batch + place if endless else clip for place, clip in own]
            yield source, places, clips


def batches_of(source: Source, size: int, device: torch.device) -> Iterator[ViewBatch]:
    """Walk through the clips of a source in order, ``size`` at a time."""
    for start in range(0, source.count, size):
        yield source.read(range(start, min(start + size, source.count))).to(device)


def joined_batches(batches: Sequence[ViewBatch]) -> ViewBatch:
    """Put batches of several sources together; masks that one lacks count as not labelled.

    Raises:
        TrainingError: their images differ in size or kind.
    """
    if len(batches) == 1:
        return batches[0]
    kinds = {(one.image.shape[-2:], one.modality, one.frames) for one in batches}
    if len(kinds) > 1:
        raise TrainingError(
            'the sources of data.train give images of different size or kind '
            f'({", ".join(sorted(str((*size, *rest)) for size, *rest in kinds))}): set '
            'data.image_size'
        )
    batches = [_complete(one, batches) for one in batches]
    values: dict[str, object] = {
        name: torch.cat([getattr(one, name) for one in batches])
        for name, value in vars(batches[0]).items()
        if isinstance(value, Tensor)
    }
    values['valid'] = {
        name: torch.cat([one.valid[name] for one in batches]) for name in batches[0].valid
    }
    return dataclasses.replace(batches[0], **values)  # type: ignore[arg-type]


def _complete(batch: ViewBatch, batches: Sequence[ViewBatch]) -> ViewBatch:
    """Give a batch the fields and channels that others have."""
    channels = max(one.image.shape[1] for one in batches)
    image = batch.image.expand(-1, channels, -1, -1)
    if any(one.surface is None for one in batches):
        batch = dataclasses.replace(batch, surface=None)
    if batch.hand_mask is None and any(one.hand_mask is not None for one in batches):
        nothing = torch.zeros_like(image[:, 0], dtype=torch.uint8)
        batch = dataclasses.replace(
            batch,
            hand_mask=nothing,
            valid={**batch.valid, 'mask': torch.zeros_like(batch.valid['mask'])},
        )
    return dataclasses.replace(batch, image=image)


def _open(config: DataConfig, world: World, report: Rendered | None) -> list[Source]:
    """Open training sources and the validation source; the first process renders them."""
    every = (*config.train, config.validation)
    if world.is_first:
        sources = [make_source(one, config, world.device, report=report) for one in every]
    world.wait()
    if not world.is_first:
        sources = [make_source(one, config, world.device, render=False) for one in every]
    return sources

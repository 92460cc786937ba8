"""Where batches come from: rendered clips, clips rendered on the fly, and recorded data sets."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.errors import TrainingError
from hand_pose_ros.training.clip_store import ClipStore
from hand_pose_ros.training.config import PIXEL_LABELS, DataConfig, SourceConfig
from hand_pose_ros.training.feed import Feed

# Told how many of how many clips are rendered.
Rendered = Callable[[int, int], None]
# Frames rendered between two entries of the index; small work leaves a GPU idle.
_CHUNK = {'cpu': 64, 'cuda': 256}
# Processes that draw clips for a GPU, which renders faster than one draws, and from how many clips
# on it is worth to start them.
_DRAWING, _MANY = 4, 2000


class Source(Protocol):
    """A numbered collection of clips.

    Attributes:
        count: clips, or 0 if there are infinitely many.
    """

    count: int

    def read(self, clips: Sequence[int]) -> ViewBatch:
        """Return the clips of these numbers as one batch."""
        ...


class SimulatedClips:
    """Clips that are rendered when they are asked for; there is no end of them."""

    count = 0

    def __init__(self, config: SourceConfig, data: DataConfig, device: torch.device) -> None:
        """Prepare the simulator."""
        self._simulator = _simulator(config, device)
        self._first, self._stream, self._frames = config.first, data.stream, data.frames
        self._left_out = dict.fromkeys(set(PIXEL_LABELS) - set(data.labels))

    def read(self, clips: Sequence[int]) -> ViewBatch:
        """Render the clips."""
        numbers = [self._first + clip for clip in clips]
        batches = self._simulator.clips(numbers, streams=(self._stream,), frames=self._frames)
        return dataclasses.replace(batches[self._stream], **self._left_out)

    def close(self) -> None:
        """End the processes that draw clips, if there are any."""
        self._simulator.close()


class CachedClips:
    """A fixed number of simulated clips, rendered once into a folder."""

    def __init__(
        self, config: SourceConfig, data: DataConfig, device: torch.device,
        *, render: bool = True, report: Rendered | None = None,
    ) -> None:  # fmt: skip
        """Open the clips and render those that are not there yet.

        Args:
            config: which clips.
            data: stream, frames per clip and the cache folder.
            device: where batches go.
            render: render what is missing; otherwise another process already has.
            report: told the progress of the rendering.
        """
        self.count = config.clips
        self._device = device
        description = {
            'setting': config.setting, 'split': config.split, 'seed': config.seed,
            'first': config.first, 'rectified': config.rectified,
            'options': dict(config.options), 'stream': data.stream, 'frames': data.frames,
            'labels': sorted(data.labels),
        }  # fmt: skip
        folder = data.cache.expanduser() / _name(description, config.clips)
        self.store = ClipStore(folder, description, config.clips)
        if render and self.store.done < self.count:
            self._render(config, data, report)

    def read(self, clips: Sequence[int]) -> ViewBatch:
        """Return the clips from the cache."""
        return self.store.read(clips, self._device)

    def _render(self, config: SourceConfig, data: DataConfig, report: Rendered | None) -> None:
        simulator = SimulatedClips(config, data, self._device)
        chunk = max(1, _CHUNK.get(self._device.type, 64) // data.frames)
        starts = range(self.store.done, self.count, chunk)

        def rendered(number: int) -> ViewBatch:
            first = starts[number]
            return simulator.read(range(first, min(first + chunk, self.count)))

        # On a GPU, what comes next is rendered while this is fetched and written.
        workers = 0 if self._device.type == 'cpu' else 2
        feed = Feed(rendered, workers=workers, ahead=2, count=len(starts))
        try:
            for number in range(len(starts)):
                self.store.append(feed.take(number))
                if report is not None:
                    report(self.store.done, self.count)
        finally:
            feed.close()
            simulator.close()


def make_source(
    config: SourceConfig, data: DataConfig, device: torch.device,
    *, render: bool = True, report: Rendered | None = None,
) -> Source:  # fmt: skip
    """Return the source of a configuration; arguments as in ``CachedClips``."""
    if config.data != 'simulated':
        from hand_pose_ros.training.recorded import recorded_source

        return recorded_source(config, data, device)
    if config.clips:
        return CachedClips(config, data, device, render=render, report=report)
    return SimulatedClips(config, data, device)


def _simulator(config: SourceConfig, device: torch.device) -> Any:
    from hand_pose_ros.simulation.batch import BatchSimulator
    from hand_pose_ros.simulation.batch_config import SimulationConfig

    options: dict[str, Any] = dict(config.options)
    try:
        simulation = SimulationConfig(
            seed=config.seed, setting=config.setting, split=config.split,  # type: ignore[arg-type]
            rectified=config.rectified, **options,
        )  # fmt: skip
    except TypeError as error:
        raise TrainingError(f'data.options of the simulation cannot be used: {error}') from None
    many = device.type != 'cpu' and (config.clips == 0 or config.clips >= _MANY)
    return BatchSimulator(simulation, device, workers=_DRAWING if many else 0)


def _name(description: dict[str, Any], count: int) -> Path:
    text = json.dumps([description, count], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Path(f'{description["stream"]}_{description["split"]}_{count}_{digest}')

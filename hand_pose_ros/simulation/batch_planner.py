"""Planner: draws clips, on request in several processes, for devices that render faster."""

import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from hand_pose_ros.errors import DataError
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_draw import draw_plan
from hand_pose_ros.simulation.batch_environment import Environment
from hand_pose_ros.simulation.batch_objects import Things, things
from hand_pose_ros.simulation.batch_plan import ClipPlan
from hand_pose_ros.simulation.batch_sensors import draw_environments

_SHARE = 8  # clips a process draws at a time
_LOOKS = ('person', 'heat', 'light', 'depth')  # of an environment


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """What happens in B clips.

    Attributes:
        numbers: of the clips.
        frames: moments a clip.
        plans: one a clip.
        things: the meshes of each clip's objects.
    """

    numbers: Sequence[int]
    frames: int
    plans: list[ClipPlan]
    things: list[Things]


def draw(config: SimulationConfig, numbers: Sequence[int], frames: int) -> Drawn:
    """Draw clips."""
    _check(numbers, frames)
    plans = [draw_plan(config, number, frames) for number in numbers]
    made = [things(plan.solids) for plan in plans]
    return Drawn(numbers=numbers, frames=frames, plans=plans, things=made)


class Planner:
    """Draws clips and their environments; the processes, if any, start when first needed."""

    def __init__(self, config: SimulationConfig, workers: int = 0) -> None:
        """Take the configuration; ``workers`` is the number of processes, 0 = none."""
        self._config = config
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def draw(
        self, numbers: Sequence[int], frames: int, device: torch.device
    ) -> tuple[Drawn, Environment]:
        """Draw clips and what they look like, the same whatever the number of processes."""
        _check(numbers, frames)
        if not self._workers:
            environment = draw_environments(self._config, numbers, device)
            return draw(self._config, numbers, frames), environment
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, get_context('spawn'), _begin, (self._config,)
            )
        shares = [numbers[start : start + _SHARE] for start in range(0, len(numbers), _SHARE)]
        parts = [
            pickle.loads(part)  # noqa: S301 - from the processes started above
            for part in self._pool.map(_draw_share, shares, [frames] * len(shares))
        ]
        drawn = Drawn(
            numbers=numbers, frames=frames,
            plans=[plan for part, _ in parts for plan in part.plans],
            things=[thing for part, _ in parts for thing in part.things],
        )  # fmt: skip
        return drawn, _together([environment for _, environment in parts], device)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _check(numbers: Sequence[int], frames: int) -> None:
    if not len(numbers) or min(numbers) < 0:
        raise DataError(f'clips are asked for by numbers from 0 on, got {list(numbers)}')
    if frames < 1:
        raise DataError(f'a clip has 1 frame or more, got {frames}')


_own: dict[str, SimulationConfig] = {}  # of a worker process


def _begin(config: SimulationConfig) -> None:
    torch.set_num_threads(1)
    _own['config'] = config


def _draw_share(numbers: Sequence[int], frames: int) -> bytes:
    """Draw clips in a worker; as bytes, so that tensors are not passed as open files."""
    config = _own['config']
    environment = draw_environments(config, numbers)
    # Arrays are read back fifty times faster than tensors.
    arrays: dict[str, Any] = {name: _as_arrays(getattr(environment, name)) for name in _LOOKS}
    return pickle.dumps((draw(config, numbers, frames), replace(environment, **arrays)))


def _as_arrays(look: Any) -> Any:
    """Return a part of an environment with arrays in place of its tensors."""
    return replace(
        look, **{field.name: getattr(look, field.name).numpy() for field in fields(look)}
    )


def _together(environments: Sequence[Environment], device: torch.device) -> Environment:
    """Join environments whose numbers are arrays and put them on a device."""
    looks: dict[str, Any] = {}
    for name in _LOOKS:
        parts = [getattr(environment, name) for environment in environments]
        tensors = {
            field.name: put(np.concatenate([getattr(part, field.name) for part in parts]), device)
            for field in fields(parts[0])
        }
        looks[name] = type(parts[0])(**tensors)
    return Environment(
        settings=tuple(name for environment in environments for name in environment.settings),
        seeds=tuple(seed for environment in environments for seed in environment.seeds),
        **looks,
    )

"""The data sets by name: what ``hand-pose train`` and ``evaluate`` open from a configuration."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hand_pose_ros.datasets.arctic import Arctic
from hand_pose_ros.datasets.assembly_hands import AssemblyHands
from hand_pose_ros.datasets.dataset import HandDataset
from hand_pose_ros.datasets.depth_dataset import DepthDataset
from hand_pose_ros.datasets.ego_exo4d import EgoExo4D
from hand_pose_ros.datasets.epic import EpicHandKps, EpicVisor
from hand_pose_ros.datasets.h2o import H2O
from hand_pose_ros.datasets.icvl import Icvl
from hand_pose_ros.datasets.msra import Msra
from hand_pose_ros.datasets.nyu import Nyu
from hand_pose_ros.datasets.sessions import Sessions
from hand_pose_ros.datasets.thermohands import ThermoHands
from hand_pose_ros.errors import DataError

HAND_DATASETS: dict[str, type[HandDataset]] = {
    'thermohands': ThermoHands,
    'arctic': Arctic,
    'assembly_hands': AssemblyHands,
    'h2o': H2O,
    'epic_hand_kps': EpicHandKps,
    'epic_visor': EpicVisor,
    'ego_exo4d': EgoExo4D,
    'sessions': Sessions,
}
DEPTH_DATASETS: dict[str, type[DepthDataset]] = {'nyu': Nyu, 'icvl': Icvl, 'msra': Msra}


def open_dataset(
    name: str, root: str | Path, options: Mapping[str, Any] | None = None
) -> HandDataset:
    """Open a data set of two hands.

    Args:
        name: key of ``HAND_DATASETS``.
        root: folder it lies in.
        options: of its reader, such as ``split``.

    Raises:
        DataError: the name or an option is unknown, or the reader misses a file.
    """
    return _open(HAND_DATASETS, name, root, options)


def open_depth_dataset(
    name: str, root: str | Path, options: Mapping[str, Any] | None = None
) -> DepthDataset:
    """Open a depth benchmark of one hand; arguments and errors as in ``open_dataset``."""
    return _open(DEPTH_DATASETS, name, root, options)


def splits_of(name: str) -> tuple[str, ...]:
    """Return the splits a data set has; empty where it is one piece."""
    every: dict[str, type[Any]] = {**HAND_DATASETS, **DEPTH_DATASETS}
    parameter = _options(_known(every, name)).get('split')
    if parameter is None:
        return ()
    return tuple(getattr(parameter.annotation, '__args__', ()))


def _open(
    known: Mapping[str, type[Any]], name: str, root: str | Path, options: Mapping[str, Any] | None
) -> Any:
    reader = _known(known, name)
    given = dict(options or {})
    allowed = _options(reader)
    for option, value in given.items():
        if option not in allowed:
            raise DataError(
                f'the data set {name} has no option {option!r}: use {", ".join(allowed) or "none"}'
            )
        choices = getattr(allowed[option].annotation, '__args__', ())
        if choices and all(isinstance(one, str) for one in choices) and value not in choices:
            raise DataError(
                f'{option} {value!r} of the data set {name} is unknown: use {", ".join(choices)}'
            )
    return reader(Path(root).expanduser(), **given)


def _known(known: Mapping[str, type[Any]], name: str) -> type[Any]:
    if name not in known:
        raise DataError(f'there is no data set {name!r}: use {", ".join(known)}')
    return known[name]


def _options(reader: type[Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(reader).parameters
    return {key: value for key, value in parameters.items() if value.kind is value.KEYWORD_ONLY}

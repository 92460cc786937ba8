"""Session export: labelled sessions into one folder, whole or not at all."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting.csv_table import CsvWriter
from hand_pose_ros.exporting.episodes import Episode, episodes_of
from hand_pose_ros.exporting.hdf5 import Hdf5Writer
from hand_pose_ros.exporting.lerobot import LeRobotWriter
from hand_pose_ros.exporting.live_estimates import live_estimates
from hand_pose_ros.exporting.retargeting import Retargeter, Robot
from hand_pose_ros.exporting.validation import validate_lerobot
from hand_pose_ros.exporting.writer import EpisodeWriter
from hand_pose_ros.rig.rig_file import rig_document
from hand_pose_ros.sessions.labels import ABSENT
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.skeleton import JOINT_NAMES, PARENTS

Format = Literal['lerobot', 'hdf5', 'csv']
FORMATS: tuple[Format, ...] = get_args(Format)
RIG_FILE = 'rig.json'

_WRITERS: dict[Format, type[EpisodeWriter]] = {
    'lerobot': LeRobotWriter,
    'hdf5': Hdf5Writer,
    'csv': CsvWriter,
}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How sessions become episodes.

    Attributes:
        format: of the files.
        rate: moments per second.
        task: text that says what is done.
        split_gap: a silence of both hands that is longer, seconds, parts two episodes.
        minimum_quality: labels below it count as absent.
        truth: use the exact hands of simulated sessions instead of labels.
        live: use what an estimator told while recording instead of labels.
        robot: name of a robot whose hands follow; empty for none.
        urdf: folder of the robots' hands.
    """

    format: Format = 'lerobot'
    rate: float = 30.0
    task: str = 'move the hands'
    split_gap: float = 1.0
    minimum_quality: float = 0.0
    truth: bool = False
    live: bool = False
    robot: Robot | Literal[''] = ''
    urdf: Path = Path()


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        episodes, moments: how many.
        valid: share of moments at which each hand is valid, left and right.
    """

    folder: Path
    episodes: int
    moments: int
    valid: tuple[float, float]


def export_sessions(
    paths: Sequence[Path], output: Path, options: ExportOptions,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Exported:  # fmt: skip
    """Export sessions as one data set.

    It is written beside its place and moved there when it is whole and, for LeRobot, has been
    read back and found right.

    Args:
        paths: bags of the sessions.
        output: folder that must not exist yet.
        options: how.
        progress: told how many of how many sessions are done.

    Raises:
        DataError: if the output exists, a session has no usable hand, or nothing can be written.
    """
    if output.exists():
        raise DataError(f'{output} exists already: remove it or name another folder.')
    retargeter = Retargeter(options.robot, options.urdf) if options.robot else None
    beside = output.with_name(f'.{output.name}.new')
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        writer = _WRITERS[options.format](folder=beside, rate=options.rate, task=options.task)
        found: list[Episode] = []
        described: list[dict[str, Any]] = []
        for place, path in enumerate(paths):
            with Session.open(path) as session:
                episodes = _export(session, writer, options, retargeter)
                described.append(_described(session, episodes, len(found)))
            found += episodes
            progress(place + 1, len(paths))
        writer.finish()
        (beside / RIG_FILE).write_text(_rig_text(described), encoding='utf-8')
        if options.format == 'lerobot':
            validate_lerobot(beside)
        beside.rename(output)
    except OSError as error:
        raise DataError(f'{output} cannot be written ({error.strerror or error}).') from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    moments = sum(len(episode) for episode in found)
    seen = sum(episode.valid.sum(axis=0) for episode in found) / moments
    return Exported(
        folder=output, episodes=len(found), moments=moments, valid=(float(seen[0]), float(seen[1]))
    )


def _export(
    session: Session, writer: EpisodeWriter, options: ExportOptions, retargeter: Retargeter | None
) -> list[Episode]:
    labels = live_estimates(session) if options.live else session.labels(truth=options.truth)
    labels.origin[labels.quality < options.minimum_quality] = ABSENT
    try:
        episodes = episodes_of(
            labels, session.rig, session.stamps, rate=options.rate, split_gap=options.split_gap
        )
    except DataError as error:
        raise DataError(f'{session.path}: {error}') from None
    if retargeter is not None:
        episodes = [replace(one, robot=retargeter.moved(one)) for one in episodes]
    writer.add(session, episodes)
    return episodes


def _described(session: Session, episodes: list[Episode], first: int) -> dict[str, Any]:
    """Return where the episodes of a session, numbered from ``first``, come from."""
    return {
        'session': session.path.name,
        'episodes': list(range(first, first + len(episodes))),
        'start_stamps': [int(episode.stamps[0]) for episode in episodes],
        'rig': rig_document(session.rig),
    }


def _rig_text(sessions: list[dict[str, Any]]) -> str:
    """Return skeleton, calibrations and origins as JSON."""
    content = {
        'joints': list(JOINT_NAMES),
        'joint_parents': list(PARENTS),
        'frame': "the rig's: x forward, y left, z up, metres",
        'sessions': sessions,
    }
    return json.dumps(content, indent=2) + '\n'

"""CSV: one row a moment and episode, units in the names of the columns; no images."""

import csv
from dataclasses import dataclass

from hand_pose_ros.exporting.episodes import STATE_NAMES, Episode
from hand_pose_ros.exporting.lerobot import vector_features
from hand_pose_ros.exporting.writer import EpisodeWriter
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.skeleton import SIDES

FILE = 'episodes.csv'
_POSE, _BETAS = 'observation.hand_pose', 'observation.betas'


def columns(episode: Episode | None = None) -> list[str]:
    """Return the names of the columns, with those of a robot's joints if the episode has any."""
    state = [f'{name}_m' if 'rotation' not in name else name for name in STATE_NAMES]
    features = vector_features()
    joints = [f'{name}_m' for name in features['observation.joints']]
    pose = [f'{side}_pose_{rest}_rad' for side, rest in map(_parted, features[_POSE])]
    betas = [f'{side}_beta_{rest}' for side, rest in map(_parted, features[_BETAS])]
    flags = [f'{side}_{flag}' for side in SIDES for flag in ('valid', 'interpolated')]
    robot = [
        f'{side}_robot_{name}_rad'
        for side, motion in zip(SIDES, episode.robot if episode else (), strict=False)
        for name in motion.names
    ]
    numbers = [*state, *joints, *pose, *betas, *robot]
    return ['episode', 'frame', 'time_s', 'stamp_ns', *flags, *numbers]


def _parted(name: str) -> tuple[str, str]:
    side, _, rest = name.partition('_')
    return side, rest


@dataclass(kw_only=True)
class CsvWriter(EpisodeWriter):
    """One table with all episodes; it has no place for the task."""

    _count: int = 0

    def add(self, session: Session, episodes: list[Episode]) -> None:
        """Append the episodes of one session."""
        del session
        path = self.folder / FILE
        is_new = not path.exists()
        with path.open('a', newline='', encoding='utf-8') as stream:
            writer = csv.writer(stream)
            if is_new:
                writer.writerow(columns(episodes[0]))
            for episode in episodes:
                for place in range(len(episode)):
                    writer.writerow(self._row(episode, place))
                self._count += 1

    def finish(self) -> None:
        """Nothing describes a table but its columns."""

    def _row(self, episode: Episode, place: int) -> list[str]:
        flags = [
            str(int(values[place, side]))
            for side in range(2)
            for values in (episode.valid, episode.interpolated)
        ]
        numbers = episode.state[place].tolist()
        for values in (episode.joints, episode.hand_pose, episode.betas):
            numbers += values[place].ravel().tolist()
        for motion in episode.robot:
            numbers += motion.angles[place].tolist()
        return [
            str(self._count), str(place), f'{episode.times[place]:.6f}',
            str(episode.stamps[place]), *flags, *(f'{value:.6f}' for value in numbers),
        ]  # fmt: skip

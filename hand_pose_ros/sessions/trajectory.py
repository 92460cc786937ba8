"""Trajectory: how another body (an exo camera) moved against the rig during a session."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.sessions.tables import read_table, write_table

Array = NDArray[np.float64]

# Poses are not interpolated over a longer silence, nor carried on beyond the ends by more.
_LONGEST_GAP = 250_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """Poses of one body.

    Attributes:
        body: its name, as ``CameraDescription.body`` has it.
        stamps: (M,) int64 nanoseconds, rising.
        T_rig_body: (M, 4, 4) maps points of the body's frame into the rig frame at the stamps.
    """

    body: str
    stamps: NDArray[np.int64]
    T_rig_body: Array

    def __post_init__(self) -> None:
        """Refuse poses without an order in time."""
        count = len(self.stamps)
        if self.T_rig_body.shape != (count, 4, 4) or not count:
            raise DataError(
                f'trajectory of {self.body}: {count} stamps do not fit poses of shape '
                f'{self.T_rig_body.shape}, give one (4, 4) pose a stamp.'
            )
        if np.any(np.diff(self.stamps) <= 0):
            raise DataError(f'trajectory of {self.body}: stamps must rise, sort its poses.')

    def at(self, stamp: int) -> Array | None:
        """Return the pose (4, 4) at a stamp, or None where none was known for a quarter second."""
        after = int(np.searchsorted(self.stamps, stamp))
        if after == len(self.stamps) or (after == 0 and self.stamps[0] != stamp):
            end = min(after, len(self.stamps) - 1)
            near = abs(int(self.stamps[end]) - stamp) <= _LONGEST_GAP
            return self.T_rig_body[end].copy() if near else None
        if self.stamps[after] == stamp:
            return self.T_rig_body[after].copy()
        start, end = int(self.stamps[after - 1]), int(self.stamps[after])
        if end - start > _LONGEST_GAP:
            return None
        share = (stamp - start) / (end - start)
        pair = self.T_rig_body[after - 1 : after + 1]
        turn = Slerp([0.0, 1.0], Rotation.from_matrix(pair[:, :3, :3]))(share).as_matrix()
        return rigid(turn, (1 - share) * pair[0, :3, 3] + share * pair[1, :3, 3])

    def save(self, path: Path) -> None:
        """Write the trajectory to a npz file, whole or not at all."""
        write_table(
            path,
            {'body': np.array(self.body), 'stamps': self.stamps, 'T_rig_body': self.T_rig_body},
        )

    @classmethod
    def load(cls, path: Path) -> 'Trajectory':
        """Read a trajectory.

        Raises:
            DataError: if the file is missing or no trajectory.
        """
        table = read_table(path, ('body', 'stamps', 'T_rig_body'))
        return cls(
            body=str(table['body']),
            stamps=table['stamps'].astype(np.int64),
            T_rig_body=table['T_rig_body'].astype(np.float64),
        )


def trajectory_file(session: Path) -> Path:
    """Return where the trajectory of a session's exo cameras lies."""
    return session.parent / f'{session.name}_trajectory.npz'

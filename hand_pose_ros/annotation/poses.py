"""Poses: the parameters of both hands over time, and how they are carried over gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS, HandPose
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.skeleton import SIDES, Side

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Poses:
    """Hand-model parameters of N frames (left, right); NaN where a hand is absent.

    Attributes:
        stamps: (N,) int64 nanoseconds, rising.
        global_orient: (N, 2, 3) axis-angle, rad.
        hand_pose: (N, 2, 15, 3) axis-angle, rad.
        betas: (N, 2, 10).
        translation: (N, 2, 3) metres.
        tracked: (N, 2) bool, False where a pose was carried over a gap.
    """

    stamps: NDArray[np.int64]
    global_orient: Array
    hand_pose: Array
    betas: Array
    translation: Array
    tracked: NDArray[np.bool_]

    @classmethod
    def of(cls, stamps: NDArray[np.int64], hands: Sequence[dict[int, HandPose]]) -> 'Poses':
        """Gather the parameters of hands, by side (0 left), of each frame."""
        n = len(stamps)
        poses = cls(
            stamps=stamps, global_orient=np.full((n, 2, 3), np.nan),
            hand_pose=np.full((n, 2, 15, 3), np.nan), betas=np.full((n, 2, 10), np.nan),
            translation=np.full((n, 2, 3), np.nan), tracked=np.zeros((n, 2), bool),
        )  # fmt: skip
        for row, sides in enumerate(hands):
            for side, hand in sides.items():
                for name in MODEL_PARAMETERS:
                    getattr(poses, name)[row, side] = getattr(hand.parameters, name)
                poses.tracked[row, side] = True
        return poses

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which hands (N, 2) have a pose."""
        return np.asarray(np.isfinite(self.translation).all(axis=2))

    def enter(self, row: int, other: 'Poses', other_row: int, side: int) -> None:
        """Take over the hand of a side from a row of other poses."""
        for name in (*MODEL_PARAMETERS, 'tracked'):
            getattr(self, name)[row, side] = getattr(other, name)[other_row, side]

    def joints(self) -> Array:
        """Return joints (N, 2, 21, 3) in metres, NaN for absent hands."""
        joints = np.full((len(self.stamps), 2, 21, 3), np.nan)
        for side, name in enumerate(SIDES):
            rows = np.flatnonzero(self.present[:, side])
            if len(rows):
                joints[rows, side] = hand_model(name).joints(
                    self.global_orient[rows, side], self.hand_pose[rows, side],
                    self.betas[rows, side], self.translation[rows, side],
                )  # fmt: skip
        return joints


@lru_cache(maxsize=2)
def hand_model(side: Side) -> HandModel:
    """Return the shipped hand of a side."""
    return HandModel(load_hand_model(side))


def carried_over_gaps(poses: Poses, longest: float) -> Poses:
    """Return poses with gaps of at most ``longest`` seconds filled from both of their ends.

    Rotations are turned evenly (slerp), the rest is interpolated linearly.
    """
    arrays = {name: getattr(poses, name).copy() for name in MODEL_PARAMETERS}
    times: Array = (poses.stamps - poses.stamps[:1]) * np.float64(1e-9)
    for side in range(2):
        rows = np.flatnonzero(poses.present[:, side])
        for before, after in pairwise(rows):
            if after - before > 1 and times[after] - times[before] <= longest:
                _fill(arrays, side, int(before), int(after), times)
    return Poses(stamps=poses.stamps, tracked=poses.tracked, **arrays)


def _fill(arrays: dict[str, Array], side: int, before: int, after: int, times: Array) -> None:
    ends = [before, after]
    middle = np.arange(before + 1, after)
    share = (times[middle] - times[before]) / (times[after] - times[before])
    turns = np.concatenate(
        [arrays['global_orient'][ends, side, None], arrays['hand_pose'][ends, side]], axis=1
    )
    for joint in range(turns.shape[1]):
        between = Slerp([0.0, 1.0], Rotation.from_rotvec(turns[:, joint]))(share).as_rotvec()
        if joint == 0:
            arrays['global_orient'][middle, side] = between
        else:
            arrays['hand_pose'][middle, side, joint - 1] = between
    for name in ('betas', 'translation'):
        start, end = arrays[name][ends, side]
        arrays[name][middle, side] = start + share[:, None] * (end - start)

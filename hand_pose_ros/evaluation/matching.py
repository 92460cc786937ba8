"""Brings truth to the stamps of results, so that motion between stamps is not counted as error."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTrack:
    """Joints of one hand over time.

    Attributes:
        stamps: (N,) strictly increasing integer nanoseconds.
        joints: (N, 21, 3) metres, NaN where the hand is absent.
    """

    stamps: Stamps
    joints: Array

    @classmethod
    def of(cls, samples: Iterable[tuple[int, Array]]) -> 'JointTrack':
        """Build a track from (stamp, joints (21, 3)) in any order; the last of a stamp wins."""
        ordered = sorted(dict(samples).items())
        stamps = np.array([stamp for stamp, _ in ordered], dtype=np.int64)
        joints = np.array([joints for _, joints in ordered], dtype=np.float64)
        return cls(stamps=stamps, joints=joints.reshape(len(ordered), JOINT_COUNT, 3))

    def at(self, stamps: Stamps, max_gap: int = 100_000_000) -> Array:
        """Joints (M, 21, 3) at other stamps (M,), linearly between the two samples around each.

        NaN before the first and after the last sample, and where the two samples are more than
        ``max_gap`` nanoseconds apart; a stamp that equals a sample's takes that sample as it is.
        """
        stamps = np.asarray(stamps, dtype=np.int64)
        result = np.full((len(stamps), JOINT_COUNT, 3), np.nan)
        if not len(self.stamps) or not len(stamps):
            return result
        right = np.searchsorted(self.stamps, stamps)
        inside = right < len(self.stamps)
        exact = inside & (self.stamps[np.minimum(right, len(self.stamps) - 1)] == stamps)
        result[exact] = self.joints[right[exact]]
        between = inside & ~exact & (right > 0)
        above = right[between]
        before, after = self.stamps[above - 1], self.stamps[above]
        weight = ((stamps[between] - before) / (after - before))[:, None, None]
        mixed = (1.0 - weight) * self.joints[above - 1] + weight * self.joints[above]
        mixed[(after - before) > max_gap] = np.nan
        result[between] = mixed
        return result

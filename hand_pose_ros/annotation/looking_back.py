"""Looking back: hands are followed backwards in time from where they were found to where not yet.

A hand that comes into view is found by a live estimator when it shows well; with the whole session
at hand, it can be followed back from there.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hand_pose_ros.annotation.poses import Poses
from hand_pose_ros.annotation.watching import follow
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.rig.frame import RigFrame

# Frames in which the estimator gets hold of the hand before those where it was missing.
_LEAD = 6
# Frames without the hand after which it is given up.
_PATIENCE = 12


def look_back(poses: Poses, frame: Callable[[int], RigFrame], estimator: Estimator) -> Poses:
    """Return poses with the hands added that show when frames are seen in reverse.

    Args:
        poses: hands followed forwards, in frames that follow each other.
        frame: reads the frame of a row.
        estimator: follows hands; its tracks are forgotten.
    """
    for side in range(2):
        for start, end in _silences(poses, side):
            _follow_back(poses, side, start, end, frame, estimator)
    return poses


def in_reverse(frame: RigFrame, pivot: int) -> RigFrame:
    """Return a frame as it would be if time ran backwards from a stamp."""
    streams = {
        name: replace(stream, stamp=2 * pivot - stream.stamp)
        for name, stream in frame.streams.items()
    }
    return replace(frame, streams=streams)


def _silences(poses: Poses, side: int) -> list[tuple[int, int]]:
    """Return (first, end) rows of the runs without a hand that a tracked one follows."""
    present = poses.present[:, side]
    edges = np.flatnonzero(np.diff(np.concatenate([[True], present]).astype(int)))
    starts = [int(edge) for edge in edges if not present[edge]]
    ends = [int(edge) for edge in edges if present[edge]]
    return list(zip(starts, ends, strict=False))


def _follow_back(
    poses: Poses, side: int, start: int, end: int, frame: Callable[[int], RigFrame],
    estimator: Estimator,
) -> None:  # fmt: skip
    """Enter the hand of one side in rows ``start`` to ``end`` - 1 as long as it is seen."""
    first = min(end + _LEAD, len(poses.stamps)) - 1
    pivot = int(poses.stamps[first])
    estimator.reset()
    unseen = 0
    for row in range(first, start - 1, -1):
        found = follow(estimator, [in_reverse(frame(row), pivot)])
        seen = bool(found.present[0, side])
        unseen = 0 if seen else unseen + 1
        if row < end and seen:
            poses.enter(row, found, 0, side)
        if row < end and unseen > _PATIENCE:
            return

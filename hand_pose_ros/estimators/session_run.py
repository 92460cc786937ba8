"""A live estimator run over a recorded session, beside the session's labels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.session_labels import labels_of
from hand_pose_ros.errors import DataError
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES

Array = NDArray[np.float64]


def run_over(
    session: Session, estimator: Estimator, *, truth: bool, limit: int = 0,
    report: Callable[[int, int], None] = lambda *_: None,
) -> tuple[Array, Array]:  # fmt: skip
    """Run an estimator over a session's frames in order, with the rig's own cameras.

    Args:
        session: open.
        estimator: made for its rig.
        truth: take the exact hands of a simulated session instead of its labels.
        limit: stop after so many labelled frames, 0 for none.
        report: told the frames done, and all of them.

    Returns:
        estimated and labelled joints (N, 2, 21, 3) in the frame of the rig's reference camera,
        metres, sides left and right; NaN where there is no hand.

    Raises:
        DataError: if the session has no labels.
    """
    labels = labels_of(session, truth=truth, minimum_quality=0.0)
    rows = {int(number): row for row, number in enumerate(labels.numbers)}
    numbers = sorted(rows)[: limit or None]
    if not numbers:
        raise DataError(f'{session.path} has no labelled frame: annotate it again')
    estimated = np.full((len(numbers), len(SIDES), JOINT_COUNT, 3), np.nan)
    T_ref_rig = inverse(session.rig.reference_camera.T_rig_cam)
    places = {number: place for place, number in enumerate(numbers)}
    for number, frame in session.frames(numbers, session.rig.synchronizer.streams):
        place = places[number]
        # The most certain hand of each side comes last and stays.
        for hand in sorted(estimator.estimate(frame), key=lambda hand: hand.score):
            if hand.joints is not None:
                estimated[place, SIDES.index(hand.side)] = apply(
                    T_ref_rig @ frame.T_rig_frame, hand.joints
                )
        report(place + 1, len(numbers))
    return estimated, labels.joints[[rows[number] for number in numbers]]

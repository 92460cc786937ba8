"""Live estimates: the hands that an estimator told while a session was recorded, as labels."""

from typing import Any

import numpy as np

from hand_pose_ros.bags.messages import HANDS, deserialised, stamp_of
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.labels import FITTED, INTERPOLATED, SessionLabels
from hand_pose_ros.sessions.session import Session

TOPIC = '/hand_pose/hands'
# States of a hand in HandPose3D.msg; a lost hand has no pose.
_ORIGINS = {1: FITTED, 2: INTERPOLATED}


def live_estimates(session: Session) -> SessionLabels:
    """Return the estimates recorded on ``/hand_pose/hands``, one row a message.

    Tracked hands count as fitted, predicted ones as interpolated, hands without a fitted model as
    absent; ``quality`` is the estimator's score.

    Raises:
        DataError: if the bag has none, or they are in another frame than the session's labels.
    """
    frame_id = session.rig.reference_camera.frame_id
    found: dict[int, list[Any]] = {}
    with BagReader(session.path) as reader:
        for entry in reader.messages(TOPIC):
            content = deserialised(entry.data, HANDS)
            if content.header.frame_id != frame_id:
                raise DataError(
                    f'{session.path} {TOPIC}: hands are in {content.header.frame_id}, not in '
                    f'{frame_id}: export with the rig they were estimated with.'
                )
            found[stamp_of(content)] = content.hands
    if not found:
        raise DataError(
            f'{session.path} holds no {TOPIC}: record it with `hand-pose record --results`, or '
            'annotate the session.'
        )
    stamps = np.array(sorted(found), np.int64)
    numbers = np.searchsorted(session.stamps, stamps).clip(0, len(session.stamps) - 1)
    labels = SessionLabels.empty(stamps, numbers, frame_id)
    for row, stamp in enumerate(stamps.tolist()):
        for hand in sorted(found[stamp], key=lambda hand: hand.score):
            if hand.state in _ORIGINS and hand.has_parameters and hand.side < 2:
                _enter(labels, row, hand)
    return labels


def _enter(labels: SessionLabels, row: int, hand: Any) -> None:
    side = hand.side
    labels.joints[row, side] = [(point.x, point.y, point.z) for point in hand.joints]
    labels.global_orient[row, side] = hand.global_orient
    labels.hand_pose[row, side] = np.reshape(hand.hand_pose, (15, 3))
    labels.betas[row, side] = hand.betas
    labels.translation[row, side] = hand.translation
    labels.quality[row, side] = np.clip(hand.score, 0.0, 1.0)
    labels.origin[row, side] = _ORIGINS[hand.state]

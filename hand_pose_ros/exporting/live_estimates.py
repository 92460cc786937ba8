"""Live estimates: the hands that an estimator told while a session was recorded, as labels."""

from typing import Any

import numpy as np

from hand_pose_ros.bags.messages import HANDS, deserialised, stamp_of
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.hand_messages import RESULTS_TOPIC, STATES, enter_hand
from hand_pose_ros.sessions.labels import FITTED, INTERPOLATED, SessionLabels
from hand_pose_ros.sessions.session import Session

# A lost hand has no pose.
_ORIGINS = {STATES['tracked']: FITTED, STATES['predicted']: INTERPOLATED}


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
        for entry in reader.messages(RESULTS_TOPIC):
            content = deserialised(entry.data, HANDS)
            if content.header.frame_id != frame_id:
                raise DataError(
                    f'{session.path} {RESULTS_TOPIC}: hands are in {content.header.frame_id}, '
                    f'not in {frame_id}: export with the rig they were estimated with.'
                )
            found[stamp_of(content)] = content.hands
    if not found:
        raise DataError(
            f'{session.path} holds no {RESULTS_TOPIC}: record it with `hand-pose record '
            '--results`, or annotate the session.'
        )
    stamps = np.array(sorted(found), np.int64)
    numbers = np.searchsorted(session.stamps, stamps).clip(0, len(session.stamps) - 1)
    labels = SessionLabels.empty(stamps, numbers, frame_id)
    for row, stamp in enumerate(stamps.tolist()):
        for hand in sorted(found[stamp], key=lambda hand: hand.score):
            if hand.state in _ORIGINS and hand.has_parameters and hand.side < 2:
                quality = float(np.clip(hand.score, 0.0, 1.0))
                enter_hand(labels, row, hand, quality=quality, origin=_ORIGINS[hand.state])
    return labels

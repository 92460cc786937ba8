"""The exact hands that a simulated session carries."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.messages import HANDS, deserialised, stamp_of
from hand_pose_ros.bags.places import message_places
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.labels import FITTED, SessionLabels

_LOST = 3


def truth_topic(rig: RigDescription) -> str:
    """Return where a simulated rig's reference camera tells the exact hands."""
    return f'/{rig.reference}/ground_truth'


def recorded_truth(
    reader: BagReader, rig: RigDescription, stamps: NDArray[np.int64]
) -> SessionLabels | None:
    """Return the recorded truth at the stamps of sets; None for a session that has none.

    The truth is told at the stamps of the reference camera, its constant offset included. Hands
    that no camera sees, and stamps without truth, are absent.
    """
    topic = truth_topic(rig)
    places = message_places(reader, topic)
    offset = rig.reference_camera.time_offset
    found = {}
    for number in range(len(places.received(topic))):
        content = deserialised(places.read(topic, number).data, HANDS)
        found[stamp_of(content) - offset] = content.hands
    if not found:
        return None
    labels = SessionLabels.empty(stamps, np.arange(len(stamps)), rig.reference_camera.frame_id)
    for row, stamp in enumerate(stamps.tolist()):
        for hand in found.get(stamp, ()):
            if hand.state != _LOST and hand.has_parameters:
                _fill(labels, row, hand)
    return labels


def _fill(labels: SessionLabels, row: int, hand: Any) -> None:
    side = hand.side
    labels.joints[row, side] = [(point.x, point.y, point.z) for point in hand.joints]
    labels.global_orient[row, side] = hand.global_orient
    labels.hand_pose[row, side] = np.reshape(hand.hand_pose, (15, 3))
    labels.betas[row, side] = hand.betas
    labels.translation[row, side] = hand.translation
    labels.quality[row, side] = 1.0
    labels.origin[row, side] = FITTED

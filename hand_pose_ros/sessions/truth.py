"""The exact hands that a simulated session carries."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.messages import HANDS, deserialised, stamp_of
from hand_pose_ros.bags.places import message_places
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.hand_messages import STATES, enter_hand
from hand_pose_ros.sessions.labels import FITTED, SessionLabels


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
            if hand.state != STATES['lost'] and hand.has_parameters:
                enter_hand(labels, row, hand, quality=1.0, origin=FITTED)
    return labels

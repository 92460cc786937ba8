"""Label bag: the labels of a session as a rosbag2 bag, to be played beside the session."""

import shutil
from collections.abc import Callable
from pathlib import Path

from hand_pose_ros.annotation.label_masks import LabelledMeshes, image_places, label_mask
from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import DataError
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.sessions.hand_messages import hands_message
from hand_pose_ros.sessions.labels import SessionLabels, mask_topic
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.skeleton import SIDES

HANDS_TOPIC = '/labels/hands'


def write_label_bag(
    folder: Path,
    session: Session,
    labels: SessionLabels,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write hands and masks of every labelled set; an older bag is replaced when all is written.

    Messages carry the header stamps of the images they belong to, hands that of the reference
    image, and are stored at the time the image was received, so that they play in step.

    Args:
        folder: the bag.
        session: the labels are of.
        labels: their ``numbers`` are those of the session's sets.
        progress: told the number of rows done.
    """
    # The file inside is named like the folder, so only a folder above may have another name.
    unfinished = folder.with_name(f'.{folder.name}.new')
    shutil.rmtree(unfinished, ignore_errors=True)
    partial = unfinished / folder.name
    try:
        _write(partial, session, labels, progress)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        # Nothing that is half done stays on a disk that may be full of it.
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(
    folder: Path, session: Session, labels: SessionLabels, progress: Callable[[int], None]
) -> None:
    meshes = LabelledMeshes(labels)
    with BagWriter(folder, compression='zstd') as writer:
        writer.add_topic(HANDS_TOPIC, messages.HANDS)
        for name, camera in session.rig.cameras.items():
            if name in session.streams and camera.camera is not None:
                writer.add_topic(mask_topic(name), messages.IMAGE)
        for row, number in enumerate(labels.numbers.tolist()):
            _write_hands(writer, session, labels, row)
            for place in image_places(session, number):
                mask = label_mask(place, meshes.at(row, place.stamp))
                content = messages.image(
                    mask, 'mono8', place.header_stamp,
                    session.rig.cameras[place.camera].frame_id,
                )  # fmt: skip
                received = _received(session, number, place.camera)
                writer.write(mask_topic(place.camera), messages.serialised(content), received)
            progress(row + 1)
    if writer.ending is not None:
        raise DataError(f'{folder} cannot be written ({writer.ending.reason}): free space.')


def hand_poses(labels: SessionLabels, row: int) -> list[HandPose]:
    """Return the usable labelled hands of a row as hand poses."""
    hands = []
    for side, name in enumerate(SIDES):
        if labels.usable[row, side]:
            hands.append(
                HandPose(
                    side=name, track_id=side + 1, state='tracked',
                    score=float(labels.quality[row, side]), joints=labels.joints[row, side],
                    parameters=labels.parameters(row, side),
                )
            )  # fmt: skip
    return hands


def _write_hands(writer: BagWriter, session: Session, labels: SessionLabels, row: int) -> None:
    number = int(labels.numbers[row])
    entry = session.sets[number]
    reference = session.rig.reference if session.rig.reference in entry else next(iter(entry))
    stamp = int(session.streams[reference].stamps[entry[reference]])
    content = hands_message(
        hand_poses(labels, row), stamp, labels.frame_id, streams=list(entry),
        estimator='annotation',
    )  # fmt: skip
    received = _received(session, number, reference)
    writer.write(HANDS_TOPIC, messages.serialised(content), received)


def _received(session: Session, number: int, camera: str) -> int:
    return int(session.streams[camera].received[session.sets[number][camera]])

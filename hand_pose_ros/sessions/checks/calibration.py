"""Whether a bag has what places its pixels in space: intrinsics, the rig, its tree of frames."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from hand_pose_ros.bags.messages import CAMERA_INFO, TRANSFORMS, deserialised
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.errors import BagError
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.checks.findings import Finding
from hand_pose_ros.sessions.recorded_rig import info_topic


def calibration_findings(
    reader: BagReader, rig: RigDescription | None, streams: Sequence[str]
) -> Iterator[Finding]:
    """Yield what is missing of the calibration.

    Args:
        reader: the open bag.
        rig: recorded in it, or given.
        streams: names of the cameras that have images.
    """
    frames = _static_frames(reader)
    unplaced: list[str] = []
    for name in streams:
        topic = info_topic(name) if rig is not None and name in rig.cameras else _info_beside(name)
        info = _first_info(reader, topic)
        known = rig.cameras[name] if rig is not None and name in rig.cameras else None
        if (info is None or info.k[0] == 0) and (known is None or known.camera is None):
            what = f'there is no {topic}' if info is None else f'{topic} is not calibrated (K is 0)'
            yield Finding(
                severity='warning', subject=name,
                text=f'{what} and no rig file has its intrinsics: calibrate the camera.',
            )  # fmt: skip
        if known is not None and known.frame_id not in frames:
            unplaced.append(known.frame_id)
    if unplaced:
        yield Finding(
            severity='warning', subject='',
            text=f'/tf_static does not place {", ".join(unplaced)}; the rig file in the bag does.',
        )  # fmt: skip


def _static_frames(reader: BagReader) -> set[str]:
    found = set()
    # Damage is told by the pass over the images.
    with suppress(BagError):
        for message in reader.messages('/tf_static'):
            transforms = deserialised(message.data, TRANSFORMS).transforms
            found |= {entry.child_frame_id for entry in transforms}
    return found


def _first_info(reader: BagReader, topic: str) -> Any:
    with suppress(BagError):
        for message in reader.messages(topic):
            return deserialised(message.data, CAMERA_INFO)
    return None


def _info_beside(topic: str) -> str:
    """Return where the intrinsics of an image topic usually are."""
    return f'{topic.rpartition("/")[0]}/camera_info'

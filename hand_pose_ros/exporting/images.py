"""Images of episodes: the set nearest to each moment, as videos and raw counts want it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.exporting.episodes import Episode
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.rig.thermal import agc
from hand_pose_ros.sessions.session import Session


@dataclass(frozen=True, kw_only=True, eq=False)
class MomentImages:
    """What the cameras saw at one moment; a camera without an image in the set is left out.

    Attributes:
        video: (H, W, 3) uint8 by camera, all but depth.
        raw: (H, W) uint16 counts by camera, of thermal and depth cameras with 16 bits.
    """

    video: dict[str, NDArray[np.uint8]]
    raw: dict[str, NDArray[np.uint16]]


def episode_images(session: Session, episode: Episode) -> Iterator[MomentImages]:
    """Yield the images of every moment of an episode; moments that share a set share them."""
    needed = sorted(set(episode.sets.tolist()))
    frames = session.frames(needed)
    number, images = -1, MomentImages(video={}, raw={})
    for wanted in episode.sets.tolist():
        while number < wanted:
            number, frame = next(frames)
            images = _converted(session, frame.streams)
        yield images


def video_cameras(session: Session) -> dict[str, CameraDescription]:
    """Return the cameras whose images become videos."""
    cameras = {name: session.rig.cameras[name] for name in session.streams}
    return {name: camera for name, camera in cameras.items() if camera.modality != 'depth'}


def raw_cameras(session: Session) -> dict[str, CameraDescription]:
    """Return the cameras with 16 bits, which a video would lose."""
    cameras = {name: session.rig.cameras[name] for name in session.streams}
    return {
        name: camera
        for name, camera in cameras.items()
        if camera.modality == 'depth' or camera.encoding == 'mono16'
    }


def _converted(session: Session, streams: dict[str, Any]) -> MomentImages:
    videos, raws = video_cameras(session), raw_cameras(session)
    video, raw = {}, {}
    for name, stream in streams.items():
        if name in videos:
            video[name] = _eight_bits(stream.image, stream.white_hot)
        if name in raws:
            raw[name] = _counts(stream.image, raws[name])
    return MomentImages(video=video, raw=raw)


def _eight_bits(image: NDArray[Any], white_hot: bool) -> NDArray[np.uint8]:
    if image.ndim == 3:
        return np.ascontiguousarray(image)
    grey = agc(image, white_hot=white_hot) if image.dtype == np.uint16 else image
    return np.repeat(grey[..., None], 3, axis=2)


def _counts(image: NDArray[Any], camera: CameraDescription) -> NDArray[np.uint16]:
    """Return the camera's own 16-bit counts; depth in metres is exactly counts times its scale."""
    if camera.modality != 'depth':
        return image.astype(np.uint16)
    values = camera.values
    scale = values.scale if isinstance(values, DepthValues) and camera.encoding == '16UC1' else 1e-3
    counts = np.rint(np.nan_to_num(image) / scale)
    return np.clip(counts, 0, 65535).astype(np.uint16)

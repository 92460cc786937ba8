"""RigFrame: what all cameras of the rig saw at about the same time."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera

Modality = Literal['thermal', 'nir', 'depth', 'rgb']
MODALITIES: tuple[Modality, ...] = ('thermal', 'nir', 'depth', 'rgb')


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamImage:
    """One image of one stream.

    Attributes:
        image: pixels in their native type: thermal (H, W) uint16 counts or uint8, nir (H, W)
            uint8 or uint16, depth (H, W) float32 **metres** (NaN = invalid), rgb (H, W, 3) uint8
            in R, G, B order.
        stamp: acquisition time in integer nanoseconds, the stream's constant offset removed.
        camera: intrinsics, or None when the camera is not calibrated (2D results only).
        T_rig_cam: (4, 4) maps points of this camera's optical frame into the rig frame.
        frame_id: name of the optical frame, for example ``thermal_optical_frame``.
        white_hot: for thermal, whether warmer is brighter.
    """

    image: NDArray[Any]
    stamp: int
    camera: Camera | None = None
    T_rig_cam: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    frame_id: str = ''
    white_hot: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class RigFrame:
    """A synchronised set of images; any stream may be missing.

    Attributes:
        streams: images by stream name (``thermal``, ``nir``, ``depth``, ``rgb``); at least one.
        reference: name of the stream, present in ``streams``, whose stamp the results carry.
        frame_id: the frame the results are expressed in; the same for every frame of a run, also
            when that camera's own image is missing.
        T_rig_frame: (4, 4) maps points of ``frame_id`` into the rig frame.
    """

    streams: dict[str, StreamImage]
    reference: str
    frame_id: str = ''
    T_rig_frame: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))

    @property
    def stamp(self) -> int:
        """Acquisition stamp of the reference image in nanoseconds."""
        return self.streams[self.reference].stamp

    @property
    def spread(self) -> int:
        """Largest difference between two stamps of the set in nanoseconds."""
        stamps = [stream.stamp for stream in self.streams.values()]
        return max(stamps) - min(stamps)

"""The interface of camera drivers, and how one is made by name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraSample:
    """One captured image.

    Attributes:
        image: native pixels (see ``encoding``).
        encoding: ROS encoding: ``mono8``, ``mono16``, ``16UC1``, ``32FC1``, ``rgb8``, ``bgr8``.
        stamp: acquisition time, integer nanoseconds since the driver's epoch: Unix time for live
            sources, the recorded time for replayed ones.
        dropped: images the source lost before this one since the last sample.
        extras: what else the driver knows at this stamp: of the simulated rig ``truth``, and
            ``T_rig_body`` (4, 4) of a camera on another body.
    """

    image: NDArray[Any]
    encoding: str
    stamp: int
    dropped: int = 0
    extras: dict[str, Any] = field(default_factory=dict)


class CameraDriver(Protocol):
    """A source of images of one stream; used as ``open``, then iterate, then ``close``.

    Attributes:
        camera: intrinsics of the delivered images, or None when unknown.
        live: True when stamps are now (samples come at the sensor's own pace); False when the
            source is a recording whose stamps the caller may pace or rewrite.
    """

    camera: Camera | None
    live: bool

    def open(self) -> None:
        """Acquire the device or file; raises CameraError with the fix."""
        ...

    def samples(self) -> Iterator[CameraSample]:
        """Yield samples in stamp order until the source ends or ``close`` is called.

        Blocks until the next sample is due; safe to run in a thread of its own.
        """
        ...

    def close(self) -> None:
        """Release everything; may be called from another thread and more than once."""
        ...

"""The way of one camera's messages into the inference node."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from message_filters import SimpleFilter
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from hand_pose_ros.errors import ImageError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.ros.camera_info import camera_from_info
from hand_pose_ros.ros.diagnostics import RateMeter
from hand_pose_ros.ros.images import compressed_array, image_array
from hand_pose_ros.ros.stamps import nanoseconds

Lookup = Callable[[str], NDArray[np.float64]]

# Rig file and camera_info may differ by rounding, in pixels.
_INTRINSICS_TOLERANCE = 0.5


class Arrivals(SimpleFilter):
    """Counts the messages of a stream and lets all through whose stamps make sense.

    Attributes:
        meter: counts what arrived.
        refused: messages whose stamp is in the future.
    """

    def __init__(
        self,
        source: SimpleFilter,
        *,
        topic: str,
        offset: int,
        now: Callable[[], int],
        allowance: Callable[[], int],
        complain: Callable[[str, str], None],
    ) -> None:
        """Listen to a filter.

        Args:
            source: where messages come from.
            topic: for the text of errors.
            offset: constant lateness of the stamps in nanoseconds.
            now: the node's clock in nanoseconds; 0 while there is no time yet.
            allowance: how far in the future a stamp may be, in nanoseconds.
            complain: called with a key and a sentence.
        """
        super().__init__()
        self.meter = RateMeter()
        self.refused = 0
        self._topic = topic
        self._offset = offset
        self._now = now
        self._allowance = allowance
        self._complain = complain
        source.registerCallback(self._take)

    def _take(self, message: Any) -> None:
        stamp = nanoseconds(message.header.stamp)
        self.meter.count(stamp)
        now = self._now()
        ahead = stamp - self._offset - now
        if now and ahead > self._allowance():
            self.refused += 1
            self._complain(
                f'{self._topic} future',
                f'{self._topic}: stamp {stamp} ns is {ahead * 1e-9:.1f} s in the future, the image '
                'is not used: synchronise the clocks (chrony, PTP), or set use_sim_time for a bag',
            )
            return
        self.signalMessage(message)


class StreamInput:
    """Turns the image messages of one camera into stream images, checked against camera_info."""

    def __init__(
        self,
        description: CameraDescription,
        topic: str,
        *,
        from_info: bool,
        lookup: Lookup,
        complain: Callable[[str, str], None],
    ) -> None:
        """Make the input of a camera.

        Args:
            description: the camera as the rig file has it.
            topic: of the images, for the text of errors.
            from_info: take intrinsics from camera_info even when the rig file has some.
            lookup: returns ``T_rig_frame`` of a frame by its name from /tf_static; raises
                ImageError while it is not known.
            complain: called with a key and a sentence.
        """
        self.description = description
        self._topic = topic
        self._info_topic = topic.rpartition('/image_raw')[0] + '/camera_info'
        self._from_info = from_info or description.camera is None
        self._needs_lookup = description.extrinsics_from_tf
        self._lookup = lookup
        self._complain = complain
        self._info: CameraInfo | None = None
        self._read: CameraInfo | None = None
        self._camera: Camera | None = None

    def set_camera_info(self, message: CameraInfo) -> None:
        """Take a camera_info; it is read when the next image is."""
        self._info = message

    def stream_image(self, message: Image | CompressedImage) -> StreamImage:
        """Return the image of a message in the form estimators take.

        Raises:
            HandPoseError: the image, its camera_info or the rig file cannot be right.
        """
        if isinstance(message, CompressedImage):
            pixels, encoding = compressed_array(message, self._topic)
        else:
            pixels, encoding = image_array(message, self._topic)
        height, width = pixels.shape[:2]
        self._check_info(message.header.frame_id, width, height)
        if self._from_info:
            self._use_info((width, height))
        if self._needs_lookup:
            frame_id = message.header.frame_id or self.description.frame_id
            self.description = replace(self.description, T_rig_cam=self._lookup(frame_id))
            self._needs_lookup = False
        stamp = nanoseconds(message.header.stamp)
        try:
            return stream_image(pixels, encoding, stamp, self.description)
        except ImageError as error:
            raise ImageError(f'{self._topic}: {error}') from None

    def _check_info(self, frame_id: str, width: int, height: int) -> None:
        info = self._info
        if info is None:
            return
        size = info.width, info.height
        if info.roi.width or info.binning_x > 1 or info.binning_y > 1:
            camera = camera_from_info(info, self._info_topic)
            size = camera.width, camera.height
        if size != (width, height):
            raise ImageError(
                f'{self._info_topic} says {size[0]}x{size[1]} but the image is {width}x{height}: '
                'correct the calibration file of the camera driver'
            )
        if frame_id and info.header.frame_id and frame_id != info.header.frame_id:
            raise ImageError(
                f'{self._info_topic} is in frame {info.header.frame_id!r} but the image in '
                f'{frame_id!r}: correct the camera driver'
            )
        if not self._from_info:
            self._compare(info)

    def _compare(self, info: CameraInfo) -> None:
        """Say when camera_info and the rig file have different intrinsics."""
        if self._same_camera(info) or self.description.camera is None:
            return
        self._read = info
        calibrated = np.array(info.k)
        difference = np.abs(calibrated - self.description.camera.intrinsics.ravel()).max()
        if calibrated[0] and difference > _INTRINSICS_TOLERANCE:
            self._complain(
                f'{self._info_topic} differs',
                f'{self._info_topic}: K differs from the rig file by {difference:.1f} px; the rig '
                'file is used, set the parameter intrinsics to camera_info to use the message',
            )

    def _use_info(self, size: tuple[int, int]) -> None:
        info = self._info
        if info is None:
            raise ImageError(
                f'{self._info_topic}: no message yet, and the rig file has no intrinsics for '
                f'{self.description.name} to use instead: give the camera driver a calibration'
            )
        if self._same_camera(info):
            return
        camera = camera_from_info(info, self._info_topic)
        self.description = replace(self.description, camera=camera, size=size)
        self._read = info

    def _same_camera(self, info: CameraInfo) -> bool:
        """Whether a camera_info has the intrinsics that were read last."""
        last = self._read
        return last is info or (
            last is not None
            and last.width == info.width
            and last.height == info.height
            and last.distortion_model == info.distortion_model
            and last.d == info.d
            and bool(np.array_equal(last.k, info.k))
        )

"""Driver `realsense`: colour, depth and infrared of RealSense cameras and their recordings."""

import queue
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.cameras.realsense_device import Mailbox, RealSenseDevice
from hand_pose_ros.cameras.realsense_library import Source, StreamRequest
from hand_pose_ros.errors import CameraError, RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.parsing import Section

# Stream option -> stream type and index.
_STREAMS = {
    'color': ('color', 0),
    'depth': ('depth', 0),
    'infrared1': ('infrared', 1),
    'infrared2': ('infrared', 2),
    'infrared': ('infrared', 0),
}
_USUAL = {'rgb': 'color', 'depth': 'depth', 'nir': 'infrared1'}
# librealsense's names of the pixels of each encoding.
_FORMATS = {
    'color': {name: name for name in ('rgb8', 'bgr8', 'rgba8', 'bgra8')},
    'depth': {'16UC1': 'z16'},
    'infrared': {'mono8': 'y8', 'mono16': 'y16'},
}
_POLL = 0.1
_MOST_SILENT = 5.0

# Devices that cameras of one rig object share in this process.
_devices: 'weakref.WeakKeyDictionary[RigDescription, dict[Source, RealSenseDevice]]'
_devices = weakref.WeakKeyDictionary()
_devices_lock = threading.Lock()


def create(description: CameraDescription, rig: RigDescription) -> 'RealSenseCamera':
    """Make the driver of one camera; raises CameraError naming an option that does not fit."""
    return RealSenseCamera(description, rig, *_parsed(description, rig))


class RealSenseCamera:
    """One stream of a RealSense device (see CameraDriver).

    The cameras of one rig that name the same device share it. A recording is played by each camera
    for itself, in real time with its recorded stamps.
    """

    def __init__(
        self,
        description: CameraDescription,
        rig: RigDescription,
        source: Source,
        request: StreamRequest,
    ) -> None:
        """Prepare without touching a device.

        Args:
            description: the camera.
            rig: what it belongs to.
            source: device or recording.
            request: the stream that is wanted of it.
        """
        self.camera: Camera | None = description.camera
        self.live = not source.playback
        self._description = description
        self._rig = rig
        self._source = source
        self._request = request
        self._closed = threading.Event()
        self._device: RealSenseDevice | None = None
        self._mailbox: Mailbox | None = None

    def open(self) -> None:
        """Open the device, or join the cameras that have it open."""
        self._closed.clear()
        with _devices_lock:
            shared = _devices.setdefault(self._rig, {}) if self.live else {}
            device = shared.get(self._source)
            try:
                if device is None:
                    device = RealSenseDevice(self._source, self._requests())
                    self._mailbox = device.listen(self._description.name)
                    device.start()
                    shared[self._source] = device
                else:
                    self._mailbox = device.listen(self._description.name)
            except CameraError as error:
                raise CameraError(f'{self._description.name}: {error}') from None
            self._device = device
        if self.camera is None:
            self.camera = device.cameras[self._description.name]

    def samples(self) -> Iterator[CameraSample]:
        """Yield images as they come; see CameraDriver.

        Raises:
            CameraError: the device delivers nothing any more.
        """
        mailbox = self._mailbox
        if mailbox is None:
            raise CameraError(f'{self._description.name}: is not open, call open() first')
        last, heard = None, time.monotonic()
        while not self._closed.is_set():
            try:
                image = mailbox.get(timeout=_POLL)
            except queue.Empty:
                if time.monotonic() - heard > _MOST_SILENT:
                    raise CameraError(
                        f'{self._description.name}: {self._source} sends no images, check its '
                        'cable and port'
                    ) from None
                continue
            if image is None:
                return
            heard = time.monotonic()
            dropped = 0 if last is None else max(0, image.number - last - 1)
            last = image.number
            yield CameraSample(
                image=image.pixels,
                encoding=self._description.encoding,
                stamp=image.stamp,
                dropped=dropped,
            )

    def close(self) -> None:
        """Leave the device; the last of its cameras stops it."""
        self._closed.set()
        with _devices_lock:
            device, self._device = self._device, None
            if device is None or not device.leave(self._description.name):
                return
            shared = _devices.get(self._rig, {})
            if shared.get(self._source) is device:
                del shared[self._source]
            device.stop()

    def _requests(self) -> list[StreamRequest]:
        """What all cameras of the rig want of a device; of a recording, what this one wants."""
        if not self.live:
            return [self._request]
        parsed = [
            _parsed(camera, self._rig)
            for camera in self._rig.cameras.values()
            if camera.driver == self._description.driver
        ]
        return [request for source, request in parsed if source == self._source]


def _parsed(description: CameraDescription, rig: RigDescription) -> tuple[Source, StreamRequest]:
    """Read the options of a camera: where its images come from, and which they are.

    Options of a rig file are ``serial`` (of the device; empty takes the only one), ``playback``
    (a recording of librealsense to play instead) and ``stream`` (``color``, ``depth``,
    ``infrared1``, ``infrared2``, or ``infrared`` of devices that have one; by default what fits
    the modality).
    """
    source = f'{rig.name}: cameras.{description.name}'
    try:
        section = Section(description.driver_options, source, 'driver_options')
        usual = _USUAL.get(description.modality, '')
        if not usual:
            raise RigError(f'{source}: a RealSense has no {description.modality} camera')
        name = section.text('stream', usual, choices=tuple(_STREAMS))
        serial = str(section.take('serial', ''))
        playback = section.text('playback', '')
        section.finish()
    except RigError as error:
        raise CameraError(str(error)) from None
    stream, index = _STREAMS[name]
    formats = _FORMATS[stream]
    if description.encoding not in formats:
        raise CameraError(
            f'{source}: stream {name} does not come as {description.encoding}, use '
            f'{", ".join(formats)}'
        )
    values = description.values
    request = StreamRequest(
        camera=description.name,
        stream=stream,
        index=index,
        pixel_format=formats[description.encoding],
        size=description.size,
        rate=round(description.rate),
        depth_scale=values.scale if isinstance(values, DepthValues) else None,
    )
    path = str(Path(playback).expanduser()) if playback else ''
    return Source(serial=serial, playback=path), request

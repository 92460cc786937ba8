"""A RealSense device whose streams several cameras of one rig share."""

import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.cameras.clock_mapping import ClockMapping, RisingStamps
from hand_pose_ros.cameras.realsense_library import (
    Source,
    StreamRequest,
    check_depth_scale,
    choose_profile,
    device_camera,
    find_device,
    library,
)
from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import Camera

# Images of one camera that may wait; a live camera loses the oldest, a recording waits.
_MAILBOX = 8
# Frames that librealsense keeps for us.
_QUEUE = 16
_POLL_MILLISECONDS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceImage:
    """One image.

    Attributes:
        pixels: (H, W) or (H, W, 3).
        stamp: nanoseconds: Unix time, or as recorded.
        number: of the frame, as the device counts.
    """

    pixels: NDArray[Any]
    stamp: int
    number: int


Mailbox = queue.Queue[DeviceImage | None]


class RealSenseDevice:
    """An open device or recording, streaming all that some cameras want of it.

    Each sensor of the device fills a frame queue of its own, which a thread empties. Stamps of the
    device's own clock are mapped to Unix time, alike for all its streams; stamps that librealsense
    has brought to Unix time already (global and system time) stay, and so do those of recordings.

    Attributes:
        cameras: intrinsics that the device has of each camera's stream, None where it has none.
    """

    def __init__(self, source: Source, requests: list[StreamRequest]) -> None:
        """Find the device and the streams; nothing is streamed before ``start``.

        Raises:
            CameraError: no such device or stream, one asked for twice, or another depth scale.
        """
        self.cameras: dict[str, Camera | None] = {}
        self._library = library()
        self._mailboxes: dict[str, Mailbox] = {}
        # (type, index) of a stream -> camera.
        self._names: dict[tuple[str, int], str] = {}
        self._rising = {request.camera: RisingStamps() for request in requests}
        self._clock, self._clock_lock = ClockMapping(), threading.Lock()
        self._stopping = threading.Event()
        # Sensors and what each is to stream, by the name of the sensor.
        self._sensors: dict[str, Any] = {}
        self._profiles: dict[str, list[Any]] = {}
        self._threads: list[threading.Thread] = []
        self._source = source
        device = find_device(source)
        self._playback = device.as_playback() if device.is_playback() else None
        for request in requests:
            self._choose(device, request)

    def start(self) -> None:
        """Start all streams; those who listen already miss nothing of a recording.

        Raises:
            CameraError: the device is busy.
        """
        queues = {name: self._library.frame_queue(_QUEUE, True) for name in self._sensors}
        try:
            for name, sensor in self._sensors.items():
                sensor.open(self._profiles[name])
            # All are open before the first starts: a recording runs from then on.
            for name, sensor in self._sensors.items():
                sensor.start(queues[name])
        except RuntimeError as error:
            self.stop()
            raise CameraError(
                f'{self._source}: cannot be started ({error}): another process may have it, and '
                'several streams of one device need one process (leave --processes out)'
            ) from None
        for frames in queues.values():
            thread = threading.Thread(target=self._pump, args=(frames,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def listen(self, camera: str) -> Mailbox:
        """Return where the images of a camera arrive from now on; None ends them."""
        mailbox = self._mailboxes[camera] = Mailbox(_MAILBOX)
        return mailbox

    def leave(self, camera: str) -> bool:
        """Deliver no more images to a camera; returns whether nobody is left."""
        self._mailboxes.pop(camera, None)
        return not self._mailboxes

    def stop(self) -> None:
        """Stop all streams."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for sensor in self._sensors.values():
            for step in (sensor.stop, sensor.close):
                try:
                    step()
                except RuntimeError:
                    # A device that is gone can be neither stopped nor closed.
                    continue

    def _choose(self, device: Any, request: StreamRequest) -> None:
        sensor, profile = choose_profile(device, request, self._source)
        check_depth_scale(sensor, request, self._source)
        self.cameras[request.camera] = device_camera(profile)
        other = self._names.setdefault(_stream_of(profile), request.camera)
        if other != request.camera:
            raise CameraError(
                f'{self._source}: {other} and {request.camera} are both {request}, set another '
                'stream for one of them'
            )
        name = sensor.get_info(self._library.camera_info.name)
        self._sensors.setdefault(name, sensor)
        self._profiles.setdefault(name, []).append(profile)

    def _pump(self, frames: Any) -> None:
        """Take the frames of one sensor to those who listen; runs in a thread of its own."""
        played = False
        while not self._stopping.is_set():
            try:
                frame = frames.wait_for_frame(_POLL_MILLISECONDS)
            except RuntimeError:
                if played and self._has_ended():
                    break
                continue
            played = True
            self._deliver(frame, time.time_ns())
        for mailbox in list(self._mailboxes.values()):
            self._put(mailbox, None)

    def _has_ended(self) -> bool:
        stopped = self._library.playback_status.stopped
        return self._playback is not None and self._playback.current_status() == stopped

    def _deliver(self, frame: Any, arrival: int) -> None:
        name = self._names.get(_stream_of(frame.profile), '')
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            return
        image = DeviceImage(
            # The memory is librealsense's own.
            pixels=np.array(frame.get_data()),
            stamp=self._stamp(frame, arrival, name),
            number=frame.get_frame_number(),
        )
        self._put(mailbox, image)

    def _put(self, mailbox: Mailbox, image: DeviceImage | None) -> None:
        """Put into a mailbox; when it is full, the oldest makes room, or a recording waits."""
        while True:
            try:
                mailbox.put(image, timeout=_POLL_MILLISECONDS / 1e3 if self._playback else 0)
                return
            except queue.Full:
                if self._stopping.is_set():
                    return
            if not self._playback:
                with suppress(queue.Empty):
                    mailbox.get_nowait()

    def _stamp(self, frame: Any, arrival: int, name: str) -> int:
        stamp = round(frame.get_timestamp() * 1e6)
        hardware = self._library.timestamp_domain.hardware_clock
        if self._playback is None and frame.get_frame_timestamp_domain() == hardware:
            with self._clock_lock:
                stamp = self._clock.to_unix(stamp, arrival, name)
        return self._rising[name].next(stamp)


def _stream_of(profile: Any) -> tuple[str, int]:
    return profile.stream_type().name, profile.stream_index()

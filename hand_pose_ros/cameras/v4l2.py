"""Driver `v4l2`: USB cameras of Linux, thermal (Y16: Boson, Lepton on PureThermal) and colour."""

import logging
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.cameras.lepton import TELEMETRY_ROWS
from hand_pose_ros.cameras.v4l2_capture import (
    PIXEL_FORMATS,
    Capture,
    CaptureMode,
    OpenCapture,
    OpenCvCapture,
    PixelFormat,
    check_mode,
    pixels,
)
from hand_pose_ros.cameras.v4l2_devices import PURE_THERMAL, VideoDevices
from hand_pose_ros.cameras.v4l2_frames import FrameInterpreter
from hand_pose_ros.errors import CameraError, RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.parsing import Section

Telemetry = Literal['auto', 'on', 'off']
TELEMETRY: tuple[Telemetry, ...] = ('auto', 'on', 'off')

# What each encoding can come from, the usual format first.
_FORMATS: dict[str, tuple[PixelFormat, ...]] = {
    'mono16': ('y16',),
    'mono8': ('grey',),
    'rgb8': ('mjpg', 'yuyv'),
    'bgr8': ('mjpg', 'yuyv'),
}
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 5.0
# So many frames of a wrong length in a row mean that the stream is lost.
_MOST_BROKEN = 30

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class V4l2Options:
    """Options of the driver, as in ``driver_options`` of a rig file.

    Attributes:
        device: path (best one of /dev/v4l/by-id), or USB ids such as ``09cb:4007``; empty takes
            the thermal camera that is plugged in.
        pixel_format: ``y16``, ``grey``, ``mjpg`` or ``yuyv``; by default what the encoding needs.
        telemetry: rows below the image of a Lepton: ``on``, ``off``, or ``auto``: from PureThermal
            boards that give them.
    """

    device: str = ''
    pixel_format: PixelFormat = 'y16'
    telemetry: Telemetry = 'auto'


def create(description: CameraDescription, rig: RigDescription) -> 'V4l2Camera':
    """Make the driver of one camera; raises CameraError naming an option that does not fit."""
    source = f'{rig.name}: cameras.{description.name}'
    try:
        section = Section(description.driver_options, source, 'driver_options')
        formats = _FORMATS.get(description.encoding, ())
        if not formats:
            raise RigError(
                f'{source}: encoding {description.encoding} does not come from a video device, '
                f'use {", ".join(_FORMATS)}'
            )
        # Any camera gives colour; thermal ones are known by their ids.
        known = description.modality == 'thermal'
        options = V4l2Options(
            device=section.text('device', '') if known else section.text('device'),
            pixel_format=cast(
                PixelFormat, section.text('pixel_format', formats[0], choices=PIXEL_FORMATS)
            ),
            telemetry=cast(Telemetry, section.text('telemetry', 'auto', choices=TELEMETRY)),
        )
        section.finish()
        if options.pixel_format not in formats:
            section.error(
                'pixel_format',
                f'is {options.pixel_format!r}, but {description.encoding} comes from '
                f'{" or ".join(formats)}',
            )
        if options.telemetry == 'on' and description.size[0] not in TELEMETRY_ROWS:
            section.error('telemetry', 'is on, but only a Lepton has any (160 or 80 pixels wide)')
    except RigError as error:
        raise CameraError(str(error)) from None
    return V4l2Camera(description, options)


@dataclass(frozen=True, kw_only=True)
class _Device:
    """An open device."""

    capture: Capture
    path: Path
    mode: CaptureMode
    telemetry_rows: int


class V4l2Camera:
    """One video device as a camera (see CameraDriver).

    A device that goes away is looked for until it is back; what was missed is counted in
    ``dropped``. ``extras`` of thermal images have ``flat_field`` (whether the shutter is closed
    and the image stands still) and, of a Lepton, ``telemetry``.
    """

    def __init__(
        self,
        description: CameraDescription,
        options: V4l2Options,
        *,
        devices: VideoDevices | None = None,
        open_capture: OpenCapture = OpenCvCapture,
    ) -> None:
        """Prepare without touching a device.

        Args:
            description: the camera.
            options: of the driver.
            devices: where devices are looked for.
            open_capture: opens one.
        """
        self.camera: Camera | None = description.camera
        self.live = True
        self._description = description
        self._options = options
        self._devices = devices or VideoDevices()
        self._open_capture = open_capture
        self._closed = threading.Event()
        self._streaming = False
        self._device: _Device | None = None

    def open(self) -> None:
        """Find the device and open it in the described mode; raises CameraError with the fix."""
        self._closed.clear()
        try:
            self._device = self._opened()
        except CameraError as error:
            raise CameraError(f'{self._description.name}: {error}') from None

    def samples(self) -> Iterator[CameraSample]:
        """Yield images as they come, until ``close``; see CameraDriver."""
        if self._device is None:
            raise CameraError(f'{self._description.name}: is not open, call open() first')
        interpreter = FrameInterpreter(self._description)
        self._streaming = True
        missed = 0
        try:
            while not self._closed.is_set():
                missed = yield from self._until_lost(self._device, interpreter, missed)
                missed += self._wait_for_return()
        finally:
            self._streaming = False
            self._release()

    def close(self) -> None:
        """Stop; may be called from any thread and more than once."""
        self._closed.set()
        # A device must not be closed while it is read: samples does it when it ends.
        if not self._streaming:
            self._release()

    def _until_lost(
        self, device: _Device, interpreter: FrameInterpreter, missed: int
    ) -> Generator[CameraSample, None, int]:
        """Yield images until the device is lost; returns the frames missed since the last."""
        broken = 0
        last = time.monotonic()
        while not self._closed.is_set() and broken < _MOST_BROKEN:
            frame = device.capture.read()
            if frame is None:
                missed += self._periods(last)
                break
            last = time.monotonic()
            image = pixels(frame, device.mode)
            if image is None:
                broken, missed = broken + 1, missed + 1
                continue
            yield interpreter.sample(
                image, frame.milliseconds, telemetry_rows=device.telemetry_rows, missed=missed
            )
            broken = missed = 0
        return missed

    def _wait_for_return(self) -> int:
        """Open the device again when it is back; returns how many frames that cost."""
        if self._closed.is_set():
            return 0
        began = time.monotonic()
        self._say(f'{self._device.path if self._device else "device"} is lost, waiting for it')
        self._release()
        wait, said = _FIRST_WAIT, ''
        while not self._closed.wait(wait):
            try:
                self._device = self._opened()
            except CameraError as error:
                if str(error) != said:
                    said = str(error)
                    self._say(said)
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            self._say('is back')
            break
        return self._periods(began)

    def _periods(self, since: float) -> int:
        """How many frames fit between a monotonic time in seconds and now."""
        return round((time.monotonic() - since) * self._description.rate)

    def _opened(self) -> _Device:
        path = self._devices.find(self._options.device)
        errors = []
        for rows in self._telemetry_rows(path):
            width, height = self._description.size
            mode = CaptureMode(
                pixel_format=self._options.pixel_format,
                width=width,
                height=height + rows,
                rate=self._description.rate,
            )
            capture = self._open_capture(path, mode)
            try:
                check_mode(capture, path, mode)
            except CameraError as error:
                capture.release()
                errors.append(error)
                continue
            return _Device(capture=capture, path=path, mode=mode, telemetry_rows=rows)
        raise errors[-1]

    def _telemetry_rows(self, path: Path) -> list[int]:
        """How many rows of telemetry to ask for, the best first."""
        rows = TELEMETRY_ROWS.get(self._description.size[0], 0)
        wanted = self._options.telemetry
        if wanted == 'off' or not rows or self._options.pixel_format != 'y16':
            return [0]
        if wanted == 'on':
            return [rows]
        return [rows, 0] if self._devices.usb_ids(path) == PURE_THERMAL else [0]

    def _say(self, text: str) -> None:
        _LOG.warning('%s: %s', self._description.name, text)

    def _release(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            device.capture.release()

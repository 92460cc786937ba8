"""Raw frames of a video device: the boundary to OpenCV, which tests replace."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import CameraError

PixelFormat = Literal['y16', 'grey', 'mjpg', 'yuyv']
PIXEL_FORMATS: tuple[PixelFormat, ...] = ('y16', 'grey', 'mjpg', 'yuyv')

_CODES = {'y16': 'Y16 ', 'grey': 'GREY', 'mjpg': 'MJPG', 'yuyv': 'YUYV'}
# Formats that are passed on as they come; the others are decoded to colour.
_RAW: dict[str, Any] = {'y16': np.dtype('<u2'), 'grey': np.dtype('u1')}

# OpenCV would wait ten seconds for a camera that went silent, and could not be closed meanwhile.
_TIMEOUT_VARIABLE = 'OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT'


@dataclass(frozen=True, kw_only=True)
class CaptureMode:
    """What a device is asked for.

    Attributes:
        pixel_format: ``y16``, ``grey``, ``mjpg`` or ``yuyv``.
        width, height: of the frames, rows of telemetry included.
        rate: frames per second.
    """

    pixel_format: PixelFormat
    width: int
    height: int
    rate: float


class RawFrame(NamedTuple):
    """What one read gives.

    Attributes:
        data: pixels in whatever shape the backend has them.
        milliseconds: stamp of the buffer as the kernel gave it; 0 when there is none.
    """

    data: NDArray[Any]
    milliseconds: float


class Capture(Protocol):
    """An open video device.

    Attributes:
        size: (width, height) that the device settled for.
        fourcc: pixel format that it settled for, four characters.
    """

    size: tuple[int, int]
    fourcc: str

    def read(self) -> RawFrame | None:
        """Wait for the next frame; None when the device is gone or silent."""
        ...

    def release(self) -> None:
        """Close the device."""
        ...


class OpenCapture(Protocol):
    """Opens a device."""

    def __call__(self, path: Path, mode: CaptureMode) -> Capture:
        """Return the open device; raises CameraError when it cannot be opened."""
        ...


class OpenCvCapture:
    """A video device through OpenCV's V4L2 backend (see Capture)."""

    def __init__(self, path: Path, mode: CaptureMode) -> None:
        """Open a device and ask it for a mode; raises CameraError when another has it."""
        os.environ.setdefault(_TIMEOUT_VARIABLE, '2')
        # The backend takes numbers only, and a link of /dev/v4l/by-id leads to one.
        number = path.resolve().name.removeprefix('video')
        if not number.isdecimal():
            raise CameraError(f'{path} is no video device: name one like /dev/video0')
        self._capture = cv2.VideoCapture(int(number), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(
                f'{path} cannot be opened: another program may have it (fuser {path}), or it '
                'gives no video'
            )
        settings = {
            # The order counts: the format first, then how it is converted.
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*_CODES[mode.pixel_format]),
            cv2.CAP_PROP_FRAME_WIDTH: mode.width,
            cv2.CAP_PROP_FRAME_HEIGHT: mode.height,
            cv2.CAP_PROP_FPS: mode.rate,
            cv2.CAP_PROP_CONVERT_RGB: float(mode.pixel_format not in _RAW),
            # The oldest frame must not wait in a queue for readers that were late once.
            cv2.CAP_PROP_BUFFERSIZE: 2,
        }
        for key, value in settings.items():
            self._capture.set(key, value)
        width, height, code = (
            round(self._capture.get(key))
            for key in (
                cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FOURCC,
            )
        )  # fmt: skip
        self.size = (width, height)
        self.fourcc = code.to_bytes(4, 'little', signed=code < 0).decode('ascii', 'replace')

    def read(self) -> RawFrame | None:
        """Wait for the next frame; see Capture."""
        read, data = self._capture.read()
        if not read or data is None:
            return None
        return RawFrame(data, self._capture.get(cv2.CAP_PROP_POS_MSEC))

    def release(self) -> None:
        """Close the device."""
        self._capture.release()


def check_mode(capture: Capture, path: Path, mode: CaptureMode) -> None:
    """Raise CameraError when a device settled for something else than it was asked for."""
    if (capture.size, capture.fourcc) == ((mode.width, mode.height), _CODES[mode.pixel_format]):
        return
    width, height = capture.size
    raise CameraError(
        f'{path} gives {width}x{height} {capture.fourcc.strip()} instead of {mode.width}x'
        f'{mode.height} {_CODES[mode.pixel_format].strip()}: correct size and pixel_format in the '
        f'rig file to what v4l2-ctl --device {path} --list-formats-ext shows'
    )


def pixels(frame: RawFrame, mode: CaptureMode) -> NDArray[Any] | None:
    """Return a frame as (H, W) counts or (H, W, 3) blue first; None when its length is wrong.

    OpenCV gives raw formats flat, as bytes or as values, depending on its version.
    """
    dtype = _RAW.get(mode.pixel_format)
    shape: tuple[int, ...] = (mode.height, mode.width)
    if dtype is None:
        return frame.data if frame.data.shape == (*shape, 3) else None
    data = np.ascontiguousarray(frame.data).view(np.uint8).ravel()
    if data.size != mode.width * mode.height * dtype.itemsize:
        return None
    return data.view(dtype).reshape(shape).astype(dtype.newbyteorder('='), copy=False)

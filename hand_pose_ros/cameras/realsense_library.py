"""librealsense: getting it, finding devices with it, and choosing streams."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hand_pose_ros.cameras.lens_models import made_camera
from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import Camera

_MOST_LISTED = 12


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where images come from.

    Attributes:
        serial: serial number of a device; empty takes the only one.
        playback: recording of librealsense to play instead of a device; empty for none.
    """

    serial: str = ''
    playback: str = ''

    def __str__(self) -> str:
        """What errors call it."""
        return self.playback or f'RealSense {self.serial or "camera"}'


@dataclass(frozen=True, kw_only=True)
class StreamRequest:
    """What one camera wants of a device.

    Attributes:
        camera: its name.
        stream: ``color``, ``depth`` or ``infrared``.
        index: which of two infrared streams; 0 for the others.
        pixel_format: name of a librealsense format, for example ``z16``.
        size: (width, height) in pixels.
        rate: images per second.
        depth_scale: metres per count that the rig file states; None for no depth.
    """

    camera: str
    stream: str
    index: int
    pixel_format: str
    size: tuple[int, int]
    rate: int
    depth_scale: float | None = None

    def __str__(self) -> str:
        """What errors call it."""
        width, height = self.size
        index = self.index or ''
        return f'{self.stream}{index} {width}x{height} {self.pixel_format} at {self.rate} Hz'


def library() -> Any:
    """Return pyrealsense2; raises CameraError naming what has to be installed."""
    try:
        import pyrealsense2
    except ModuleNotFoundError:
        raise CameraError(
            'the driver realsense needs pyrealsense2: pip install -r requirements/realsense.txt'
        ) from None
    except ImportError as error:
        raise CameraError(
            f'pyrealsense2 cannot be loaded ({error}): install the Debian package libusb-1.0-0 '
            '(sudo apt install libusb-1.0-0)'
        ) from None
    return pyrealsense2


def find_device(source: Source) -> Any:
    """Return a device, or a recording as one.

    Raises:
        CameraError: there is none, or more than one to choose from.
    """
    context = library().context()
    if source.playback:
        path = Path(source.playback).expanduser()
        if not path.is_file():
            raise CameraError(f'{path}: there is no such recording, check the path')
        try:
            return context.load_device(str(path))
        except RuntimeError as error:
            raise CameraError(
                f'{path}: is no recording that librealsense can play ({error}); the driver bag '
                'reads other bags'
            ) from None
    serials = {serial_of(device): device for device in context.query_devices()}
    if source.serial in serials:
        return serials[source.serial]
    known = ', '.join(serials) or 'none'
    if source.serial or not serials:
        raise CameraError(
            f'{source} is not plugged in (there is {known}): use a USB 3 port and cable, and '
            'install the udev rules of librealsense'
        )
    if len(serials) > 1:
        raise CameraError(f'there are several RealSense cameras ({known}): set serial to one')
    return next(iter(serials.values()))


def serial_of(device: Any) -> str:
    """Return the serial number of a device, empty when it has none."""
    serial = library().camera_info.serial_number
    return str(device.get_info(serial)) if device.supports(serial) else ''


def choose_profile(device: Any, request: StreamRequest, source: Source) -> tuple[Any, Any]:
    """Return the sensor and the stream profile that fit a request.

    Raises:
        CameraError: there is none; the error lists what there is of that kind.
    """
    offered = [
        (sensor, profile.as_video_stream_profile())
        for sensor in device.query_sensors()
        for profile in sensor.get_stream_profiles()
        if profile.is_video_stream_profile()
    ]
    for sensor, profile in offered:
        if _description(profile) == str(request):
            return sensor, profile
    of_kind = dict.fromkeys(
        _description(profile)
        for _, profile in offered
        if profile.stream_type().name == request.stream
    )
    raise CameraError(
        f'{source}: {request.camera} wants {request}, which is not offered (a USB 2 port offers '
        f'less): correct size, rate and encoding in the rig file to one of '
        f'{"; ".join(list(of_kind)[:_MOST_LISTED]) or "(no such stream)"}'
    )


def check_depth_scale(sensor: Any, request: StreamRequest, source: Source) -> None:
    """Raise CameraError when counts of depth mean something else than the rig file says."""
    option = library().option.depth_units
    if request.depth_scale is None or not sensor.supports(option):
        return
    scale = float(sensor.get_option(option))
    if abs(scale - request.depth_scale) > 1e-3 * scale:
        raise CameraError(
            f'{source}: counts of depth are {scale:g} m but the rig file says '
            f'{request.depth_scale:g}, set cameras.{request.camera}.values.scale to {scale:g}'
        )


def device_camera(profile: Any) -> Camera | None:
    """Return the intrinsics of a stream that are stored in its device; None when there are none."""
    found = profile.get_intrinsics()
    K = [found.fx, 0.0, found.ppx, 0.0, found.fy, found.ppy, 0.0, 0.0, 1.0]
    return made_camera((found.width, found.height), K, found.model.name, found.coeffs)


def _description(profile: Any) -> str:
    return str(
        StreamRequest(
            camera='',
            stream=profile.stream_type().name,
            index=profile.stream_index(),
            pixel_format=profile.format().name,
            size=(profile.width(), profile.height()),
            rate=profile.fps(),
        )
    )

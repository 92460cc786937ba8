"""Finding video devices: by path, or by the USB ids of what they belong to."""

import os
import re
from pathlib import Path

from hand_pose_ros.errors import CameraError

PURE_THERMAL = '1e4e:0100'
BOSON = '09cb:4007'
THERMAL_CAMERAS = {PURE_THERMAL: 'Lepton on a PureThermal board', BOSON: 'Boson'}

_USB_IDS = re.compile(r'[0-9a-f]{4}:[0-9a-f]{4}\Z')


class VideoDevices:
    """The video devices of this machine, as /dev and /sys show them at the moment of a call."""

    def __init__(self, dev: Path = Path('/dev'), sys: Path = Path('/sys')) -> None:
        """Take the folders to look in."""
        self._dev = dev
        self._classes = sys / 'class' / 'video4linux'

    def find(self, device: str) -> Path:
        """Return the path of a device that can be opened.

        Args:
            device: a path (better one of /dev/v4l/by-id, which survives replugging, than
                /dev/video0), USB ids such as ``1e4e:0100``, or empty for any thermal camera known.

        Raises:
            CameraError: there is none or more than one, or it may not be opened.
        """
        if '/' in device:
            return self._usable(Path(device))
        if device and not _USB_IDS.match(device.lower()):
            raise CameraError(
                f'device {device!r} is neither a path nor USB ids: give /dev/v4l/by-id/... or '
                f'ids as lsusb shows them, for example {PURE_THERMAL}'
            )
        wanted = [device.lower()] if device else list(THERMAL_CAMERAS)
        found = [node for node, ids in self._nodes() if ids in wanted]
        if not found:
            kinds = ' or '.join(
                f'{ids} ({THERMAL_CAMERAS[ids]})' if ids in THERMAL_CAMERAS else ids
                for ids in wanted
            )
            raise CameraError(
                f'no video device with USB ids {kinds} is plugged in: check the cable and lsusb, '
                'or name the device by its path'
            )
        if len(found) > 1:
            raise CameraError(
                f'{len(found)} devices fit {device or "a thermal camera"} '
                f'({", ".join(map(str, found))}): set device to a path in /dev/v4l/by-id'
            )
        return self._usable(found[0])

    def usb_ids(self, path: Path) -> str:
        """Return the USB ids of an existing device, empty when it is not on USB."""
        return self._ids(self._classes / path.resolve().name)

    def _nodes(self) -> list[tuple[Path, str]]:
        """All capture devices with their USB ids; metadata nodes of cameras are left out."""
        entries = sorted(self._classes.glob('video*')) if self._classes.is_dir() else []
        return [
            (self._dev / entry.name, self._ids(entry))
            for entry in entries
            if _text(entry / 'index') in ('0', '')
        ]

    def _ids(self, entry: Path) -> str:
        # device is the USB interface; its parent is the USB device, which has the ids.
        parent = (entry / 'device').resolve().parent
        vendor, product = _text(parent / 'idVendor'), _text(parent / 'idProduct')
        return f'{vendor}:{product}' if vendor and product else ''

    def _usable(self, path: Path) -> Path:
        if not path.exists():
            known = ', '.join(str(node) for node, _ in self._nodes()) or 'none'
            raise CameraError(
                f'{path} does not exist: plug the camera in or name another (there is {known})'
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise CameraError(
                f'{path} may not be opened: add your user to the group video '
                '(sudo usermod -aG video $USER) and log in again'
            )
        return path


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding='ascii').strip()
    except (OSError, UnicodeDecodeError):
        return ''

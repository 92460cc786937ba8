"""A make-believe machine with video devices: folders like /dev and /sys, and what they deliver."""

from pathlib import Path

import numpy as np

from hand_pose_ros.cameras.v4l2_capture import RawFrame
from hand_pose_ros.cameras.v4l2_devices import VideoDevices

_CODES = {'y16': 'Y16 ', 'grey': 'GREY', 'mjpg': 'MJPG', 'yuyv': 'YUYV'}


class Machine:
    """Has devices that can be plugged in and out, and plays frames to whoever opens one.

    Attributes:
        frames: what reads give, in order: a RawFrame, None (gone), or something to call first.
        opened: paths and modes that were asked for.
        released: how many devices were closed.
        settles: overrides what a device settles for, (size, fourcc).
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.dev, self.sys = folder / 'dev', folder / 'sys'
        (self.sys / 'class' / 'video4linux').mkdir(parents=True)
        self.dev.mkdir()
        self.devices = VideoDevices(self.dev, self.sys)
        self.frames = []
        self.opened = []
        self.released = 0
        self.settles = lambda mode: ((mode.width, mode.height), _CODES[mode.pixel_format])

    def plug(self, name='video0', ids='1e4e:0100', index=0):
        """Add a device node; USB cameras have a second node, index 1, for metadata."""
        vendor, product = ids.split(':')
        usb = self.sys / 'devices' / f'usb-{name}'
        interface = usb / '1-1:1.0'
        interface.mkdir(parents=True, exist_ok=True)
        (usb / 'idVendor').write_text(vendor + '\n')
        (usb / 'idProduct').write_text(product + '\n')
        entry = self.sys / 'class' / 'video4linux' / name
        entry.mkdir()
        (entry / 'index').write_text(f'{index}\n')
        (entry / 'device').symlink_to(interface)
        (self.dev / name).touch()
        return self.dev / name

    def unplug(self, name='video0'):
        entry = self.sys / 'class' / 'video4linux' / name
        (entry / 'index').unlink()
        (entry / 'device').unlink()
        entry.rmdir()
        (self.dev / name).unlink()

    def open(self, path, mode):
        self.opened.append((path, mode))
        return FakeCapture(self, mode)


class FakeCapture:
    """An open device of the machine."""

    def __init__(self, machine, mode):
        self.machine = machine
        self.size, self.fourcc = machine.settles(mode)

    def read(self):
        while self.machine.frames:
            frame = self.machine.frames.pop(0)
            if not callable(frame):
                return frame
            frame()
        return None

    def release(self):
        self.machine.released += 1


def flat(image, milliseconds=0.0):
    """A frame as OpenCV 4.10 and later give Y16: one row of bytes."""
    return RawFrame(np.ascontiguousarray(image).view(np.uint8).reshape(1, -1), milliseconds)


def lepton_frame(image, *, uptime=1000, counter=1, state=3, desired=False, rows=2):
    """An image with the telemetry that a Lepton appends."""
    words = np.zeros(rows * image.shape[1], np.uint16)
    status = state << 4 | desired << 3
    for place, value in ((1, uptime), (3, status), (20, counter)):
        words[place], words[place + 1] = value & 0xFFFF, value >> 16
    return np.vstack([image, words.reshape(rows, -1)])

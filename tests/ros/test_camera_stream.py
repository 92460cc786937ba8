"""Camera drivers in their threads."""

import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.cameras.image_folder import ImageFolderCamera, ImageFolderOptions
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.ros import camera_stream
from hand_pose_ros.ros.camera_stream import CameraStream, ReplayClock

MILLISECOND = 1_000_000


class Driver:
    """Delivers given stamps, then fails or ends."""

    camera = None

    def __init__(self, stamps, live=True, error=None, open_error=None):
        self.stamps, self.live, self.error, self.open_error = stamps, live, error, open_error
        self.closed = threading.Event()

    def open(self):
        if self.open_error:
            raise self.open_error

    def samples(self):
        for stamp in self.stamps:
            yield CameraSample(image=np.zeros((2, 2), np.uint8), encoding='mono8', stamp=stamp)
        if self.error:
            raise self.error
        if self.live == 'waits':
            self.closed.wait(10)

    def close(self):
        self.closed.set()


@pytest.fixture
def play(monkeypatch):
    """Starts streams that open their driver again at once; stops them at the end."""
    monkeypatch.setattr(camera_stream, '_FIRST_WAIT', 0.01)
    monkeypatch.setattr(camera_stream, '_LONGEST_WAIT', 0.02)
    streams = []

    def start(drivers, **options):
        drivers = iter(drivers)
        got, errors = [], []
        stream = CameraStream(
            lambda: next(drivers),
            lambda sample, stamp: got.append((stamp, time.time_ns())),
            complain=errors.append,
            name='nir',
            replay=options.pop('replay', ReplayClock()),
            **options,
        )
        streams.append(stream)
        return SimpleNamespace(stream=stream, got=got, errors=errors)

    yield start
    for stream in streams:
        assert stream.stop()


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_live_samples_keep_their_stamps(play):
    run = play([Driver([5, 6, 7], live='waits')])
    wait_for(lambda: len(run.got) == 3)
    assert [stamp for stamp, _ in run.got] == [5, 6, 7]
    assert run.stream.error == ''


def test_a_driver_that_fails_is_opened_again(play):
    run = play([
        Driver([], open_error=CameraError('nir: no device at /dev/video9, plug it in')),
        Driver([1], error=CameraError('nir: the device is gone')),
        Driver([2], error=ZeroDivisionError('a fault in the driver')),
        Driver([3]),
        Driver([4], live='waits'),
    ])  # fmt: skip
    wait_for(lambda: len(run.got) == 4)
    assert [stamp for stamp, _ in run.got] == [1, 2, 3, 4]
    assert 'no device at /dev/video9' in run.errors[0]
    assert 'the device is gone' in run.errors[1]
    assert 'ZeroDivisionError' in run.errors[2]
    assert 'stopped delivering' in run.errors[3]
    assert run.stream.opened == 4


def test_a_recording_is_played_at_its_pace_with_stamps_of_now(play):
    stamps = [100 * MILLISECOND, 150 * MILLISECOND, 200 * MILLISECOND]
    before = time.time_ns()
    run = play([Driver(stamps, live=False)], replay=ReplayClock(start=before + 20 * MILLISECOND))
    wait_for(lambda: run.stream.finished)
    assert np.diff([stamp for stamp, _ in run.got]).tolist() == 2 * [50 * MILLISECOND]
    assert run.got[0][0] == before + 20 * MILLISECOND
    for stamp, delivered in run.got:
        assert -MILLISECOND <= delivered - stamp < 500 * MILLISECOND
    assert run.errors == []


def test_a_recording_can_keep_its_stamps(play):
    run = play([Driver([7, 8], live=False)], restamp=False)
    wait_for(lambda: run.stream.finished)
    assert [stamp for stamp, _ in run.got] == [7, 8]


def test_cameras_of_one_recording_stay_in_step(play):
    replay = ReplayClock()
    first = play([Driver([1000], live=False)], replay=replay)
    wait_for(lambda: first.stream.finished)
    second = play([Driver([3000], live=False)], replay=replay)
    wait_for(lambda: second.stream.finished)
    assert second.got[0][0] - first.got[0][0] == 2000


def test_a_folder_that_starts_late_catches_up(play, tmp_path):
    """It is paced here alone: by the clock of all cameras, not by its own first image."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((6, 8), number, np.uint8))
    (tmp_path / 'timestamps.txt').write_text('100.0\n200.0\n300.0')
    camera = CameraDescription(name='nir', modality='nir', size=(8, 6), encoding='mono8')
    began = time.time_ns() - 300 * 10**9
    run = play(
        [ImageFolderCamera(camera, ImageFolderOptions(path=str(tmp_path)))],
        replay=ReplayClock(origin=100 * 10**9, start=began),
    )
    wait_for(lambda: run.stream.finished)
    assert [stamp - began for stamp, _ in run.got] == [0, 100 * 10**9, 200 * 10**9]


def test_stopping_does_not_complain(play):
    run = play([Driver([1], live='waits')])
    wait_for(lambda: run.got)
    assert run.stream.stop()
    assert run.errors == []

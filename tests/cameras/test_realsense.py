"""Driver realsense: on librealsense's software device, and on a real recording."""

import itertools
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hand_pose_ros.cameras import realsense, realsense_device, realsense_library, registry
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription, RigDescription

SIZE = (64, 48)
MILLISECOND = 1_000_000


def described(name, modality, encoding='', **options):
    return CameraDescription(
        name=name, modality=modality, driver='realsense', driver_options=options, size=SIZE,
        rate=30.0, encoding=encoding,
    )  # fmt: skip


def rig_of(*cameras):
    return RigDescription(name='rig', cameras={camera.name: camera for camera in cameras})


DEPTH = described('depth', 'depth')
RGB = described('rgb', 'rgb')
NIR = described('nir', 'nir')


@pytest.fixture(scope='module')
def rs():
    try:
        return realsense_library.library()
    except CameraError as error:
        pytest.skip(str(error))


class Software:
    """A make-believe device with the streams of a D400, and what it sends."""

    def __init__(self, rs, *, depth_units=0.001):
        self.rs = rs
        self.device = rs.software_device()
        stereo = self.device.add_sensor('Stereo Module')
        colour = self.device.add_sensor('RGB Camera')
        stereo.add_read_only_option(rs.option.depth_units, depth_units)
        kinds = {
            'depth': (stereo, rs.stream.depth, 0, rs.format.z16, np.uint16, ()),
            'nir': (stereo, rs.stream.infrared, 1, rs.format.y8, np.uint8, ()),
            'nir2': (stereo, rs.stream.infrared, 2, rs.format.y8, np.uint8, ()),
            'rgb': (colour, rs.stream.color, 0, rs.format.rgb8, np.uint8, (3,)),
        }
        self.streams = {}
        for uid, (name, (sensor, kind, index, format_, dtype, tail)) in enumerate(kinds.items()):
            stream = rs.video_stream()
            stream.type, stream.index, stream.uid, stream.fmt = kind, index, uid, format_
            stream.width, stream.height, stream.fps = *SIZE, 30
            stream.bpp = np.dtype(dtype).itemsize * (tail or (1,))[0]
            stream.intrinsics = self.intrinsics(name)
            profile = sensor.add_video_stream(stream).as_video_stream_profile()
            self.streams[name] = (sensor, profile, dtype, tail, stream.bpp)
        self.kept = []
        self.opened = 0

    def intrinsics(self, name):
        found = self.rs.intrinsics()
        found.width, found.height = SIZE
        found.fx, found.fy, found.ppx, found.ppy = 60.0, 61.0, 31.5, 23.5
        inverse = name == 'rgb'
        models = self.rs.distortion
        found.model = models.inverse_brown_conrady if inverse else models.brown_conrady
        found.coeffs = [0.05, -0.01, 0.001, 0.0, 0.0] if inverse else [0.0] * 5
        return found

    def send(self, name, number, milliseconds, domain='hardware_clock'):
        sensor, profile, dtype, tail, bpp = self.streams[name]
        frame = self.rs.software_video_frame()
        frame.pixels = np.full((*SIZE[::-1], *tail), number, dtype)
        frame.stride, frame.bpp = SIZE[0] * bpp, bpp
        frame.timestamp, frame.frame_number = milliseconds, number
        frame.domain = getattr(self.rs.timestamp_domain, domain)
        frame.profile = profile
        self.kept.append(frame.pixels)
        sensor.on_video_frame(frame)


@pytest.fixture
def software(rs, monkeypatch):
    made = Software(rs)

    def find(source):
        made.opened += 1
        return made.device

    monkeypatch.setattr(realsense_device, 'find_device', find)
    return made


@pytest.fixture
def opened():
    drivers = []

    def open_all(*cameras):
        rig = rig_of(*cameras)
        for camera in cameras:
            drivers.append(registry.create(camera, rig))
            drivers[-1].open()
        return drivers[-len(cameras) :]

    yield open_all
    for driver in drivers:
        driver.close()


def taken(driver, count):
    return list(itertools.islice(driver.samples(), count))


def test_streams_of_one_device_share_it(software, opened):
    drivers = opened(DEPTH, RGB, NIR)
    assert software.opened == 1
    for number in range(3):
        for name in ('depth', 'rgb', 'nir'):
            software.send(name, number, 1000.0 + 33 * number)
    for driver, encoding in zip(drivers, ('16UC1', 'rgb8', 'mono8'), strict=True):
        samples = taken(driver, 3)
        assert driver.live
        assert [s.image.flat[0] for s in samples] == [0, 1, 2]
        assert {s.encoding for s in samples} == {encoding}
        assert samples[0].image.shape[:2] == SIZE[::-1]
        assert samples[0].image.flags.owndata
    # The device goes when the last of them does, and can be opened again.
    for driver in drivers:
        driver.close()
        driver.close()
    (again,) = opened(DEPTH)
    software.send('depth', 9, 5000.0)
    assert taken(again, 1)[0].image.flat[0] == 9
    assert software.opened == 2


def test_the_devices_clock_becomes_unix_time(software, opened, monkeypatch):
    """Colour takes longer to arrive, but images of one moment have one stamp."""
    now = 0
    monkeypatch.setattr(realsense_device, 'time', SimpleNamespace(time_ns=lambda: now))
    drivers = dict(zip(('depth', 'rgb'), opened(DEPTH, RGB), strict=True))
    start = 1_700_000_000_000_000_000
    for number in range(4):
        for name, delay in (('depth', 5), ('rgb', 30)):
            now = start + (33 * number + delay) * MILLISECOND
            software.send(name, number, 50_000.0 + 33 * number)
            mailbox = drivers[name]._mailbox
            wait_for(lambda box=mailbox, count=number: box.qsize() > count)
    for driver in drivers.values():
        stamps = [start + (33 * number + 5) * MILLISECOND for number in range(4)]
        assert [s.stamp for s in taken(driver, 4)] == stamps


@pytest.mark.parametrize('domain', ['global_time', 'system_time'])
def test_unix_stamps_stay(software, opened, domain):
    (depth,) = opened(DEPTH)
    software.send('depth', 1, 1_700_000_000_123.25, domain)
    (sample,) = taken(depth, 1)
    assert sample.stamp == pytest.approx(1_700_000_000_123_250_000, abs=500)


def test_lost_frames_are_counted_by_their_numbers(software, opened):
    (nir,) = opened(NIR)
    for number in (4, 5, 9):
        software.send('nir', number, 33.0 * number)
    assert [s.dropped for s in taken(nir, 3)] == [0, 0, 3]


def test_a_slow_reader_gets_the_newest(software, opened):
    (nir,) = opened(NIR)
    for number in range(30):
        software.send('nir', number, 33.0 * number)
        wait_for(lambda n=number: nir._mailbox.queue and nir._mailbox.queue[-1].number == n)
    assert [s.image.flat[0] for s in taken(nir, 3)] == [22, 23, 24]


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_second_infrared_camera(software, opened):
    left, right = opened(NIR, described('other', 'nir', stream='infrared2'))
    software.send('nir', 1, 10.0)
    software.send('nir2', 2, 10.0)
    assert taken(left, 1)[0].image.flat[0] == 1
    assert taken(right, 1)[0].image.flat[0] == 2


def test_intrinsics_come_from_the_device_when_the_rig_has_none(software, opened):
    depth, rgb = opened(DEPTH, RGB)
    assert depth.camera.intrinsics.tolist() == [[60, 0, 31.5], [0, 61, 23.5], [0, 0, 1]]
    assert not depth.camera.is_distorted
    # The colour lens is given by its inverse.
    assert rgb.camera.distortion[0] == pytest.approx(-0.05, abs=0.01)
    mine = replace(depth.camera, intrinsics=depth.camera.intrinsics * 1.0)
    for driver in (depth, rgb):
        driver.close()
    (known,) = opened(replace(DEPTH, camera=mine))
    assert known.camera is mine


def test_another_depth_scale_is_refused(software, opened):
    wrong = replace(DEPTH, values=DepthValues(scale=0.000125))
    with pytest.raises(CameraError, match=r'depth: .*0.001 m but the rig file says 0.000125, set'):
        opened(wrong)
    assert len(opened(DEPTH)) == 1


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'size': (63, 48)}, 'wants depth 63x48 z16 at 30 Hz, which is not offered'),
        ({'rate': 90.0}, 'one of depth 64x48 z16 at 30 Hz'),
        (
            {'modality': 'nir', 'values': None, 'encoding': 'mono8',
             'driver_options': {'stream': 'infrared'}},
            'one of infrared1 64x48 y8 at 30 Hz; infrared2 64x48 y8 at 30 Hz',
        ),
    ],
)  # fmt: skip
def test_a_stream_that_is_not_offered_lists_what_is(software, opened, changes, text):
    with pytest.raises(CameraError, match=text):
        opened(replace(DEPTH, **changes))


def test_a_stream_asked_for_twice_is_refused(software, opened):
    with pytest.raises(CameraError, match='depth and second are both depth 64x48 z16 at 30 Hz'):
        opened(DEPTH, described('second', 'depth'))


def test_a_device_that_falls_silent_is_an_error(software, opened, monkeypatch):
    monkeypatch.setattr(realsense, '_MOST_SILENT', 0.05)
    (depth,) = opened(DEPTH)
    with pytest.raises(CameraError, match='depth: RealSense camera sends no images'):
        next(depth.samples())


def test_close_ends_the_wait(software, opened):
    (depth,) = opened(DEPTH)
    software.send('depth', 1, 1.0)
    for _ in depth.samples():
        depth.close()


def test_samples_want_an_open_device():
    driver = registry.create(DEPTH, rig_of(DEPTH))
    with pytest.raises(CameraError, match='call open'):
        next(driver.samples())


@pytest.mark.parametrize(
    ('camera', 'text'),
    [
        (described('thermal', 'thermal'), 'a RealSense has no thermal camera'),
        (described('nir', 'nir', stream='infra'), "stream is 'infra', did you mean"),
        (described('depth', 'depth', '32FC1'), 'does not come as 32FC1, use 16UC1'),
        (described('depth', 'depth', serail='1'), "serail is unknown, did you mean 'serial'"),
    ],
)
def test_options_are_checked(camera, text):
    with pytest.raises(CameraError, match=text):
        registry.create(camera, rig_of(camera))


def test_without_the_wheel_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyrealsense2', None)
    with pytest.raises(CameraError, match=r'pip install -r requirements/realsense\.txt'):
        registry.create(DEPTH, rig_of(DEPTH)).open()


def test_without_libusb_the_error_names_the_package(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == 'pyrealsense2':
                raise ImportError('libusb-1.0.so.0: cannot open shared object file')

    monkeypatch.delitem(sys.modules, 'pyrealsense2', raising=False)
    monkeypatch.setattr(sys, 'meta_path', [Broken(), *sys.meta_path])
    with pytest.raises(CameraError, match=r'libusb-1.0.so.0.*Debian package libusb-1.0-0'):
        registry.create(DEPTH, rig_of(DEPTH)).open()


class Context:
    """A librealsense that sees devices with given serial numbers."""

    def __init__(self, *serials):
        self.serials = serials

    def context(self):
        return self

    def query_devices(self):
        return [_Device(serial) for serial in self.serials]

    camera_info = SimpleNamespace(serial_number='serial_number')


class _Device:
    def __init__(self, serial):
        self.serial = serial

    def supports(self, info):
        return True

    def get_info(self, info):
        return self.serial


@pytest.mark.parametrize(
    ('serials', 'wanted', 'text'),
    [
        ((), '', r'RealSense camera is not plugged in \(there is none\)'),
        (('1', '2'), '3', r'RealSense 3 is not plugged in \(there is 1, 2\)'),
        (('1', '2'), '', r'several RealSense cameras \(1, 2\): set serial'),
    ],
)
def test_devices_are_found_by_their_serial_numbers(monkeypatch, serials, wanted, text):
    monkeypatch.setattr(realsense_library, 'library', lambda: Context(*serials))
    with pytest.raises(CameraError, match=text):
        realsense_library.find_device(realsense_library.Source(serial=wanted))


def test_the_right_device_is_found(monkeypatch):
    monkeypatch.setattr(realsense_library, 'library', lambda: Context('1', '2'))
    find = realsense_library.find_device
    assert find(realsense_library.Source(serial='2')).serial == '2'
    monkeypatch.setattr(realsense_library, 'library', lambda: Context('7'))
    assert find(realsense_library.Source()).serial == '7'


@pytest.fixture
def recording(rs, test_data):
    return str(test_data / 'realsense_bag' / 'single_depth_color_640x480.bag')


def test_a_real_recording_is_played(recording, opened):
    cameras = [
        replace(camera, size=(640, 480), rate=6.0, driver_options={'playback': recording})
        for camera in (DEPTH, RGB)
    ]
    depth, rgb = opened(*cameras)
    assert not depth.live
    samples = list(depth.samples())
    # The same stamps and pixels as the driver bag reads from this file.
    assert [s.stamp for s in samples] == [360_815_089_000, 360_981_765_000]
    assert samples[0].image.mean() == pytest.approx(1163.876, abs=0.001)
    (colour,) = rgb.samples()
    assert colour.stamp == 360_713_523_000
    assert colour.image.shape == (480, 640, 3)
    assert depth.camera.intrinsics[0, 0] == pytest.approx(390.431, abs=0.001)
    assert rgb.camera.intrinsics[0, 0] == pytest.approx(613.204, abs=0.001)


def test_what_is_no_recording_is_a_sentence(rs, tmp_path):
    for content, text in ((None, 'there is no such recording'), (b'x' * 100, 'the driver bag')):
        file = tmp_path / 'recording.bag'
        if content is not None:
            file.write_bytes(content)
        camera = described('depth', 'depth', playback=str(file))
        with pytest.raises(CameraError, match=text):
            registry.create(camera, rig_of(camera)).open()


def record(rs, software, path, count):
    """Record some frames of each stream with librealsense's own recorder."""
    recorder = rs.recorder(str(path), software.device)
    sensors = recorder.query_sensors()
    queues = [rs.frame_queue(16, True) for _ in sensors]
    for sensor, frames in zip(sensors, queues, strict=True):
        sensor.open(sensor.get_stream_profiles())
        sensor.start(frames)
    for number in range(count):
        for name in ('depth', 'nir', 'rgb'):
            software.send(name, 100 + number, 1000.0 + 33 * number)
        for frames, of_each in zip(queues, (2, 1), strict=True):
            for _ in range(of_each):
                frames.wait_for_frame(5000)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    recorder.pause()


def test_recordings_of_librealsense_are_bags(rs, tmp_path, opened):
    """Compressed images and camera_info, in sqlite3 without definitions of types."""
    file = tmp_path / 'recording.db3'
    record(rs, Software(rs), file, 4)
    topics = {'depth': '/device_0/sensor_0/Depth_0/image/data/compressedDepth',
              'nir': '/device_0/sensor_0/Infrared_1/image/data/compressed',
              'rgb': '/device_0/sensor_1/Color_0/image/data/compressed'}  # fmt: skip
    for camera in (DEPTH, NIR, RGB):
        options = {'path': str(file), 'topic': topics[camera.name]}
        (driver,) = opened(replace(camera, driver='bag', driver_options=options))
        samples = list(driver.samples())
        assert [s.image.flat[0] for s in samples] == [100, 101, 102, 103]
        assert {s.encoding for s in samples} == {camera.encoding}
        assert driver.camera.intrinsics[1, 1] == 61

"""Driver v4l2 on a machine that only seems to have cameras."""

import itertools
import logging
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hand_pose_ros.cameras import registry, v4l2, v4l2_capture, v4l2_frames
from hand_pose_ros.cameras.v4l2 import V4l2Camera, V4l2Options
from hand_pose_ros.cameras.v4l2_capture import CaptureMode, OpenCvCapture, RawFrame
from hand_pose_ros.cameras.v4l2_frames import acquisition_time
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.thermal import ThermalValues, celsius
from tests.cameras.video_devices import Machine, flat, lepton_frame

MILLISECOND = 1_000_000
BOSON = CameraDescription(
    name='thermal', modality='thermal', driver='v4l2', size=(640, 512), rate=60.0
)
LEPTON = replace(BOSON, size=(160, 120), rate=9.0)
WEBCAM = CameraDescription(name='rgb', modality='rgb', driver='v4l2', size=(32, 24), rate=30.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(v4l2, '_FIRST_WAIT', 0.01)
    monkeypatch.setattr(v4l2, '_LONGEST_WAIT', 0.02)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def camera(machine):
    made = []

    def make(description=BOSON, **options):
        made.append(
            V4l2Camera(
                description, V4l2Options(**options),
                devices=machine.devices, open_capture=machine.open,
            )
        )  # fmt: skip
        made[-1].open()
        return made[-1]

    yield make
    for driver in made:
        driver.close()
    assert machine.released == len(machine.opened)


def scene(seed=0, size=(640, 512)):
    return np.random.default_rng(seed).integers(20_000, 30_000, size[::-1]).astype(np.uint16)


def taken(driver, count):
    samples = driver.samples()
    found = list(itertools.islice(samples, count))
    samples.close()
    return found


@pytest.mark.parametrize('layout', ['bytes', 'words', 'image'])
def test_counts_come_as_they_are_whatever_the_shape(machine, camera, layout):
    machine.plug(ids='09cb:4007')
    image = scene()
    given = {'bytes': flat(image).data, 'words': image.reshape(1, -1), 'image': image}[layout]
    machine.frames = [RawFrame(given, 0.0)]
    driver = camera()
    assert driver.live
    (sample,) = taken(driver, 1)
    assert np.array_equal(sample.image, image)
    assert sample.image.dtype == np.uint16
    assert sample.encoding == 'mono16'
    assert sample.extras == {'flat_field': False}
    path, mode = machine.opened[0]
    assert path == machine.dev / 'video0'
    assert (mode.pixel_format, mode.width, mode.height) == ('y16', 640, 512)


def test_real_radiometric_frames_keep_their_temperature(machine, camera, test_data):
    file = test_data / 'thermal_radiometric' / 'example_radiometric.tiff'
    counts = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    machine.plug(ids='09cb:4007')
    machine.frames = [flat(counts)]
    values = ThermalValues(kind='tlinear', gain=0.04)
    (sample,) = taken(camera(replace(BOSON, values=values)), 1)
    degrees = celsius(sample.image, values)
    assert degrees.min() == pytest.approx(-3.4, abs=0.05)
    assert degrees.max() == pytest.approx(9.9, abs=0.05)


@pytest.fixture
def frozen(monkeypatch):
    """A moment that lasts: 5 s after boot; returns its Unix time."""
    now = 1_700_000_000_000 * MILLISECOND
    times = SimpleNamespace(time_ns=lambda: now, monotonic_ns=lambda: 5_000 * MILLISECOND)
    monkeypatch.setattr(v4l2_frames, 'time', times)
    return now


def test_stamps_are_those_of_the_buffers(machine, camera, frozen):
    machine.plug(ids='09cb:4007')
    machine.frames = [flat(scene(n), 4_900.0 + 20 * n) for n in range(3)]
    stamps = [sample.stamp - frozen for sample in taken(camera(), 3)]
    assert stamps == [-100 * MILLISECOND, -80 * MILLISECOND, -60 * MILLISECOND]


@pytest.mark.parametrize(
    ('stamp', 'expected'),
    [
        (4_990.0, 999_990 * MILLISECOND),  # monotonic, 10 ms ago
        (999_980.0, 999_980 * MILLISECOND),  # Unix time
        (0.0, 999_990 * MILLISECOND),  # none: half a period before arrival
        (7_000.0, 999_990 * MILLISECOND),  # of the future
        (100.0, 999_990 * MILLISECOND),  # of another clock
        (-5.0, 999_990 * MILLISECOND),
    ],
)
def test_every_kind_of_stamp(stamp, expected):
    now, monotonic = 1_000_000 * MILLISECOND, 5_000 * MILLISECOND
    assert acquisition_time(stamp, now, monotonic, 20 * MILLISECOND) == expected


def test_a_lepton_tells_of_itself(machine, camera, frozen):
    machine.plug()
    images = [scene(n, (160, 120)) for n in range(4)]
    states, counters = [3, 1, 2, 3], [10, 13, 22, 25]
    jitter = [0, 20, 5, 30]
    machine.frames = [
        flat(
            lepton_frame(images[n], uptime=5000 + 111 * n, counter=counters[n], state=states[n]),
            4_000.0 + 111 * n + jitter[n],
        )
        for n in range(4)
    ]
    samples = taken(camera(LEPTON), 4)
    assert machine.opened[0][1].height == 122
    assert all(np.array_equal(s.image, i) for s, i in zip(samples, images, strict=True))
    assert [s.extras['flat_field'] for s in samples] == [False, False, True, False]
    assert [s.dropped for s in samples] == [0, 0, 2, 0]
    assert samples[1].extras['telemetry'].uptime == 5111 * MILLISECOND
    # The camera's own clock spaces the stamps, whatever the transport adds.
    stamps = [s.stamp - frozen for s in samples]
    assert stamps == [(111 * n - 1_000) * MILLISECOND for n in range(4)]


def test_a_lepton_without_telemetry_is_taken_as_it_is(machine, camera):
    machine.plug()
    machine.settles = lambda mode: ((160, 120), 'Y16 ')
    machine.frames = [flat(scene(1, (160, 120)))]
    (sample,) = taken(camera(LEPTON), 1)
    assert sample.image.shape == (120, 160)
    assert 'telemetry' not in sample.extras
    with pytest.raises(CameraError, match='160x120 Y16 instead of 160x122'):
        camera(LEPTON, telemetry='on')


@pytest.mark.parametrize('ids', ['09cb:4007', '1234:5678'])
def test_telemetry_is_asked_of_pure_thermal_boards_only(machine, camera, ids):
    path = machine.plug(ids=ids)
    machine.frames = [flat(scene(1, (160, 120)))]
    taken(camera(LEPTON, device=str(path)), 1)
    assert [mode.height for _, mode in machine.opened] == [120]


def test_an_image_that_stands_still_is_a_flat_field_correction(machine, camera):
    machine.plug(ids='09cb:4007')
    numbers = [0, 1, 2, 2, 2, 2, 3, 4, 4, 5]
    machine.frames = [flat(scene(n)) for n in numbers]
    samples = taken(camera(), len(numbers))
    # One image sent twice is not taken for a closed shutter.
    flags = [s.extras['flat_field'] for s in samples]
    assert flags == [False] * 4 + [True] * 2 + [False] * 4


def test_frames_of_a_wrong_length_are_left_out_and_counted(machine, camera):
    machine.plug(ids='09cb:4007')
    short = RawFrame(np.zeros((1, 1000), np.uint8), 0.0)
    machine.frames = [flat(scene(0)), short, short, flat(scene(1))]
    samples = taken(camera(), 2)
    assert [s.dropped for s in samples] == [0, 2]


def test_a_stream_of_garbage_is_opened_again(machine, camera):
    machine.plug(ids='09cb:4007')
    short = RawFrame(np.zeros((3, 3, 3), np.uint8), 0.0)
    machine.frames = [flat(scene(0)), *[short] * v4l2._MOST_BROKEN, flat(scene(1))]
    samples = taken(camera(), 2)
    assert samples[1].dropped >= v4l2._MOST_BROKEN
    assert len(machine.opened) == 2


def test_a_camera_comes_back_under_another_name(machine, camera, caplog):
    machine.plug('video0')
    asked = []

    def unplug():
        machine.unplug('video0')
        find = machine.devices.find

        def found(device):
            asked.append(device)
            if len(asked) == 4:
                machine.plug('video4')
            return find(device)

        machine.devices.find = found

    images = [scene(n, (160, 120)) for n in range(2)]
    machine.frames = [
        flat(lepton_frame(images[0], uptime=90_000, counter=50)), unplug, None,
        flat(lepton_frame(images[1], uptime=300, counter=2)),
    ]  # fmt: skip
    description = replace(LEPTON, rate=1000.0)
    with caplog.at_level(logging.WARNING):
        samples = taken(camera(description), 2)
    assert np.array_equal(samples[1].image, images[1])
    assert [path.name for path, _ in machine.opened] == ['video0', 'video4']
    assert samples[1].dropped > 20
    assert samples[1].stamp > samples[0].stamp
    # One line that it is gone, one why it cannot be opened, one that it is back.
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 3
    assert 'video0 is lost' in texts[0]
    assert 'is plugged in' in texts[1]
    assert texts[2] == 'thermal: is back'


def test_close_ends_the_wait_for_a_lost_camera(machine, camera):
    machine.plug()
    driver = camera(LEPTON, telemetry='off')
    machine.frames = [flat(scene(0, (160, 120))), machine.unplug, driver.close, None]
    assert len(list(driver.samples())) == 1
    driver.close()


def test_closing_without_use_releases(machine, camera):
    machine.plug()
    driver = camera(LEPTON)
    driver.close()
    assert machine.released == 1
    with pytest.raises(CameraError, match='call open'):
        next(driver.samples())


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8'])
def test_colour_cameras(machine, camera, encoding):
    path = machine.plug(ids='046d:0825')
    blue = np.zeros((24, 32, 3), np.uint8)
    blue[..., 0] = 200
    machine.frames = [RawFrame(blue, 0.0), RawFrame(blue[:5], 0.0), RawFrame(blue, 0.0)]
    driver = camera(replace(WEBCAM, encoding=encoding), device=str(path), pixel_format='mjpg')
    first, second = taken(driver, 2)
    assert first.image[0, 0].tolist() == ([0, 0, 200] if encoding == 'rgb8' else [200, 0, 0])
    assert first.encoding == encoding
    assert first.extras == {}
    assert second.dropped == 1


def test_eight_bit_thermal(machine, camera):
    machine.plug(ids='09cb:4007')
    image = (scene() // 200).astype(np.uint8)
    machine.frames = [flat(image)]
    (sample,) = taken(camera(replace(BOSON, encoding='mono8'), pixel_format='grey'), 1)
    assert np.array_equal(sample.image, image)


@pytest.mark.parametrize(
    'settled', [((320, 256), 'Y16 '), ((640, 512), 'YUYV')], ids=['size', 'format']
)
def test_another_mode_than_asked_for_is_refused(machine, camera, settled):
    machine.plug(ids='09cb:4007')
    machine.settles = lambda mode: settled
    text = f'thermal: .*video0 gives {settled[0][0]}x{settled[0][1]} {settled[1].strip()} instead'
    with pytest.raises(CameraError, match=f'{text} of 640x512 Y16.*list-formats-ext'):
        camera()


def test_no_device_names_the_camera(machine, camera):
    with pytest.raises(CameraError, match='thermal: no video device'):
        camera()


def created(description, **options):
    described = replace(description, driver_options=options)
    return registry.create(
        described, RigDescription(name='rig', cameras={described.name: described})
    )


def test_options_have_defaults_that_fit():
    assert created(BOSON)._options == V4l2Options()
    assert created(WEBCAM, device='/dev/video0')._options.pixel_format == 'mjpg'
    assert created(WEBCAM, device='/dev/video0', pixel_format='yuyv').live


@pytest.mark.parametrize(
    ('description', 'options', 'text'),
    [
        (WEBCAM, {}, 'driver_options.device is missing'),
        (WEBCAM, {'device': 'x', 'pixel_format': 'y16'}, "'y16', but rgb8 comes from mjpg or yuyv"),
        (BOSON, {'telemetry': 'on'}, 'telemetry is on, but only a Lepton has any'),
        (BOSON, {'pixelformat': 'y16'}, "pixelformat is unknown, did you mean 'pixel_format'"),
        (replace(BOSON, modality='depth', values=None, encoding='32FC1'), {'device': 'x'},
         'encoding 32FC1 does not come from a video device'),
    ],
)  # fmt: skip
def test_options_are_checked(description, options, text):
    with pytest.raises(CameraError, match=text):
        created(description, **options)


class OpenCv:
    """Stands for cv2.VideoCapture; remembers what it was told, in order."""

    opens = True

    def __init__(self, number, backend):
        self.calls = [('open', number, backend)]
        self.values = {}
        OpenCv.last = self

    def isOpened(self):
        return self.opens

    def set(self, key, value):
        self.calls.append((key, value))
        self.values[key] = value

    def get(self, key):
        return 1234.5 if key == cv2.CAP_PROP_POS_MSEC else self.values[key]

    def read(self):
        return self.calls.pop(0) is not None, np.zeros((1, 8), np.uint8)

    def release(self):
        self.calls.append('release')


MODE = CaptureMode(pixel_format='y16', width=160, height=122, rate=9.0)


def test_opencv_is_told_in_the_right_order(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', OpenCv)
    link = tmp_path / 'usb-camera'
    link.symlink_to('/dev/video3')
    capture = OpenCvCapture(link, MODE)
    keys = [call[0] for call in OpenCv.last.calls]
    assert OpenCv.last.calls[0] == ('open', 3, cv2.CAP_V4L2)
    assert keys.index(cv2.CAP_PROP_FOURCC) < keys.index(cv2.CAP_PROP_CONVERT_RGB)
    assert OpenCv.last.values[cv2.CAP_PROP_CONVERT_RGB] == 0
    assert (capture.size, capture.fourcc) == ((160, 122), 'Y16 ')
    assert capture.read().milliseconds == 1234.5
    capture.release()
    assert OpenCv.last.calls[-1] == 'release'
    OpenCvCapture(link, replace(MODE, pixel_format='mjpg'))
    assert OpenCv.last.values[cv2.CAP_PROP_CONVERT_RGB] == 1


def test_a_busy_device_is_a_sentence(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', OpenCv)
    monkeypatch.setattr(OpenCv, 'opens', False)
    with pytest.raises(CameraError, match='another program may have it'):
        OpenCvCapture(v4l2_capture.Path('/dev/video3'), MODE)
    with pytest.raises(CameraError, match='is no video device'):
        OpenCvCapture(v4l2_capture.Path('/dev/null'), MODE)


def test_the_real_backend_refuses_what_is_not_there():
    with pytest.raises(CameraError, match='cannot be opened'):
        OpenCvCapture(v4l2_capture.Path('/dev/video9999'), MODE)

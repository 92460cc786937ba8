"""Driver bag."""

import itertools
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hand_pose_ros.cameras import registry
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from tests.cameras.bags import KINDS, compressed, image, info, write_bag

MILLISECOND = 1_000_000
START = 1_700_000_000_000_000_000
THERMAL = CameraDescription(
    name='thermal', modality='thermal', driver='bag', size=(8, 6), rate=100.0
)
RGB = CameraDescription(name='rgb', modality='rgb', driver='bag', size=(8, 6), rate=100.0)
DEPTH = CameraDescription(name='depth', modality='depth', driver='bag', size=(8, 6), rate=100.0)


def grey(value, stamp=0):
    return image(np.full((6, 8), value, np.uint16), 'mono16', stamp)


def two_cameras(count=5, late=3 * MILLISECOND):
    """Images of a thermal and, ``late`` behind, an RGB camera, with intrinsics of the first."""
    content = [('/thermal/camera_info', info((8, 6), START), START)]
    for number in range(count):
        stamp = START + 10 * MILLISECOND * number
        content.append(('/thermal/image_raw', grey(number, stamp), stamp + MILLISECOND))
        colour = np.full((6, 8, 3), (number, 0, 0), np.uint8)
        colour = image(colour, 'rgb8', stamp + late)
        content.append(('/rgb/image_raw', colour, stamp + late + MILLISECOND))
    return content


def camera(path, description=THERMAL, **options):
    described = replace(description, driver_options={'path': str(path), **options})
    rig = RigDescription(name='replay', cameras={description.name: described})
    return registry.create(described, rig)


def opened(path, description=THERMAL, **options):
    made = camera(path, description, **options)
    made.open()
    return made


@pytest.fixture(params=KINDS)
def bag(request, tmp_path):
    return write_bag(tmp_path / 'bag', request.param, two_cameras())


@pytest.fixture
def mcap(tmp_path):
    return write_bag(tmp_path / 'bag', 'mcap', two_cameras())


def test_images_come_with_their_stamps_from_every_kind_of_bag(bag):
    thermal = opened(bag)
    assert not thermal.live
    samples = list(thermal.samples())
    assert [s.stamp for s in samples] == [START + 10 * MILLISECOND * n for n in range(5)]
    assert [s.image[0, 0] for s in samples] == [0, 1, 2, 3, 4]
    assert {s.encoding for s in samples} == {'mono16'}
    assert [s.dropped for s in samples] == [0] * 5
    assert len(list(thermal.samples())) == 5


def test_intrinsics_come_from_the_bag_when_the_rig_has_none(bag):
    thermal = opened(bag)
    assert thermal.camera.intrinsics[0].tolist() == [100, 0, 4]
    assert thermal.camera.distortion.tolist() == [0.1, -0.02, 0.001, 0.002, 0.003]
    assert opened(bag, RGB).camera is None


def test_intrinsics_of_the_rig_win(mcap):
    known = opened(mcap).camera
    mine = replace(known, intrinsics=known.intrinsics * [[2], [2], [1]])
    assert opened(mcap, replace(THERMAL, camera=mine)).camera is mine


def test_stamps_of_reception(bag):
    samples = list(opened(bag, stamps='received').samples())
    assert [s.stamp for s in samples] == [START + (10 * n + 1) * MILLISECOND for n in range(5)]


def test_a_fixed_rate_ignores_the_stamps(mcap):
    samples = opened(mcap, replace(THERMAL, rate=1000.0), pace='rate').samples()
    assert [s.stamp for s in samples] == [MILLISECOND * (n + 1) for n in range(5)]


@pytest.mark.parametrize('pace', ['recorded', 'rate'])
def test_loops_begin_again_behind_a_marked_pause(mcap, pace):
    thermal = opened(mcap, pace=pace, loop=True, pause=0.02)
    samples = list(itertools.islice(thermal.samples(), 12))
    steps = (np.diff([s.stamp for s in samples]) // MILLISECOND).tolist()
    # At the stamps' pace the loop ends with the last camera, 3 ms later.
    turn = 33 if pace == 'recorded' else 30
    assert steps == [10] * 4 + [turn] + [10] * 4 + [turn] + [10]
    assert [n for n, s in enumerate(samples) if s.extras.get('restart')] == [5, 10]
    assert [s.image[0, 0] for s in samples] == [0, 1, 2, 3, 4] * 2 + [0, 1]


def test_the_usual_pause_resets_trackers(mcap):
    from hand_pose_ros.estimators.landmarks_config import TrackingConfig
    from hand_pose_ros.estimators.time_jumps import is_jump

    stamps = [s.stamp for s in itertools.islice(opened(mcap, loop=True).samples(), 6)]
    assert is_jump(stamps[4], stamps[5], TrackingConfig().gap)
    assert not is_jump(stamps[3], stamps[4], TrackingConfig().gap)


def test_looping_live_cameras_of_one_bag_stay_in_step(bag):
    """At any time, the image that was recorded at that place of the loop."""
    cycle = (40 + 3 + 10 + 10) * MILLISECOND
    for description, late in ((THERMAL, 0), (RGB, 3)):
        live = opened(bag, description, live=True, loop=True, pause=0.01)
        assert live.live
        samples = list(itertools.islice(live.samples(), 7))
        for sample in samples:
            expected = (10 * int(sample.image.flat[0]) + late) * MILLISECOND
            assert sample.stamp % cycle == expected
        assert abs(time.time_ns() - samples[-1].stamp) < 2_000_000_000


def test_close_ends_a_recording(mcap):
    thermal = opened(mcap, loop=True)
    for count, _ in enumerate(thermal.samples(), 1):
        if count == 8:
            thermal.close()
    assert count == 8
    thermal.close()


def test_close_ends_the_wait_of_a_live_camera(mcap):
    thermal = opened(mcap, live=True, loop=True, pause=90_000.0)
    waiting = threading.Thread(target=lambda: list(thermal.samples()))
    waiting.start()
    thermal.close()
    waiting.join(10)
    assert not waiting.is_alive()


def depth_png(counts, header=b'\0' * 12):
    return header + cv2.imencode('.png', counts)[1].tobytes()


def test_compressed_images(tmp_path):
    red = np.full((6, 8, 3), (0, 0, 250), np.uint8)
    counts = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    jpeg, png = (cv2.imencode(kind, red)[1] for kind in ('.jpg', '.png'))
    swapped = cv2.imencode('.png', red[..., ::-1])[1]
    content = [
        ('/rgb/image_raw/compressed', compressed(jpeg, 'jpeg', 1), 1),
        ('/rgb/image_raw/compressed', compressed(png, 'rgb8; png compressed bgr8', 2), 2),
        ('/rgb/image_raw/compressed', compressed(swapped, 'rgb8; png compressed rgb8', 3), 3),
        ('/depth/image_raw/compressedDepth',
         compressed(depth_png(counts), '16UC1; compressedDepth png', 4), 4),
        ('/thermal/image_raw/compressed',
         compressed(cv2.imencode('.png', counts)[1], 'mono16; png compressed ', 5), 5),
    ]  # fmt: skip
    bag = write_bag(tmp_path / 'bag', 'mcap', content)
    for sample in opened(bag, RGB).samples():
        assert sample.encoding == 'rgb8'
        assert np.abs(sample.image.astype(int) - (250, 0, 0)).max() < 8
    for description, encoding in ((DEPTH, '16UC1'), (THERMAL, 'mono16')):
        (sample,) = opened(bag, description).samples()
        assert sample.encoding == encoding
        assert np.array_equal(sample.image, counts)


def test_other_names_of_the_same_pixels(tmp_path):
    counts = np.arange(48, dtype=np.uint16).reshape(6, 8)
    content = [
        ('/thermal/image_raw', image(counts, '16UC1', 1), 1),
        ('/depth/image_raw', image(counts, 'mono16', 2), 2),
    ]
    bag = write_bag(tmp_path / 'bag', 'mcap', content)
    assert next(opened(bag).samples()).encoding == 'mono16'
    assert next(opened(bag, DEPTH).samples()).encoding == '16UC1'


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path):
    content = two_cameras()
    broken = grey(9, START + 25 * MILLISECOND)
    broken.data = broken.data[:-3]
    small = image(np.zeros((3, 8), np.uint16), 'mono16', START + 26 * MILLISECOND)
    back = grey(9, START)
    for message, received in ((broken, 21), (small, 22), (back, 31)):
        content.append(('/thermal/image_raw', message, START + received * MILLISECOND))
    bag = write_bag(tmp_path / 'bag', 'mcap', sorted(content, key=lambda entry: entry[2]))
    samples = list(opened(bag).samples())
    assert [s.image[0, 0] for s in samples] == [0, 1, 2, 3, 4]
    assert [s.dropped for s in samples] == [0, 0, 0, 2, 1]


def test_bytes_that_are_no_message_are_left_out(tmp_path):
    from hand_pose_ros.bags.messages import IMAGE, serialised
    from hand_pose_ros.bags.writer import BagWriter

    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/thermal/image_raw', IMAGE)
        for number, content in enumerate([grey(0, 10), b'\0\1\0\0xx', grey(2, 30), b'']):
            data = content if isinstance(content, bytes) else serialised(content)
            writer.write('/thermal/image_raw', data, number)
    samples = list(opened(tmp_path / 'bag').samples())
    assert [(s.stamp, s.dropped) for s in samples] == [(10, 0), (30, 1)]


def test_a_bag_that_is_damaged_gives_what_comes_before_and_a_sentence(tmp_path):
    """Chunks of mcap files have check sums."""
    pixels = np.zeros((600, 800), np.uint16)
    stamps = [number * 10**9 for number in range(1, 13)]
    content = [('/thermal/image_raw', image(pixels, 'mono16', s), s) for s in stamps]
    bag = write_bag(tmp_path / 'bag', 'mcap', content)
    file = bag / 'bag_0.mcap'
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    samples = opened(bag, replace(THERMAL, size=(800, 600))).samples()
    assert next(samples).stamp == stamps[0]
    with pytest.raises(CameraError, match=r'thermal: bag .* is damaged .*--repair'):
        list(samples)


@pytest.mark.parametrize(
    ('description', 'options', 'message'),
    [
        (THERMAL, {'topic': '/t'}, 'no images on /t, set topic to one of /rgb/image_raw, /therm'),
        (DEPTH, {}, 'no images on /depth/image_raw'),
        (RGB, {'topic': '/thermal/image_raw'}, 'holds mono16 images, but a rgb camera gives'),
        (replace(THERMAL, encoding='mono8'), {}, 'holds mono16 images but the rig file says mono8'),
        (replace(THERMAL, size=(9, 6)), {}, 'holds images of 8x6 but thermal has 9x6'),
        (THERMAL, {'info_topic': '/i'}, 'no camera_info on /i, set info_topic to one of /thermal/'),
    ],
)
def test_what_does_not_fit_is_a_sentence(mcap, description, options, message):
    with pytest.raises(CameraError, match=message):
        opened(mcap, description, **options)


def test_intrinsics_of_another_size_are_refused(tmp_path):
    content = two_cameras()
    content[0] = ('/thermal/camera_info', info((16, 12), START), START)
    bag = write_bag(tmp_path / 'bag', 'mcap', content)
    with pytest.raises(CameraError, match='is for 16x12 but the images are 8x6'):
        opened(bag)


def test_an_uncalibrated_camera_info_is_none(tmp_path):
    content = two_cameras()
    content[0] = (
        '/thermal/camera_info', info((8, 6), START, intrinsics=np.zeros((3, 3))), START,
    )  # fmt: skip
    assert opened(write_bag(tmp_path / 'bag', 'mcap', content)).camera is None


def test_a_bag_without_stamps_wants_those_of_reception(tmp_path):
    content = [('/thermal/image_raw', grey(n), START + n) for n in range(2)]
    bag = write_bag(tmp_path / 'bag', 'mcap', content)
    with pytest.raises(CameraError, match='set stamps: received'):
        opened(bag)
    assert len(list(opened(bag, stamps='received').samples())) == 2


def test_a_missing_bag_names_the_camera(tmp_path):
    with pytest.raises(CameraError, match=r'thermal: bag .*nothing does not exist'):
        opened(tmp_path / 'nothing')
    with pytest.raises(CameraError, match='call open'):
        next(camera(tmp_path).samples())


def test_an_option_that_does_not_exist_is_named():
    with pytest.raises(CameraError, match="driver_options.paus is unknown, did you mean 'pause'"):
        camera('x', paus=1)


D435 = {'depth': '/device_0/sensor_0/Depth_0/image/data',
        'rgb': '/device_0/sensor_1/Color_0/image/data'}  # fmt: skip


def realsense(test_data, description, **options):
    file = test_data / 'realsense_bag' / 'single_depth_color_640x480.bag'
    description = replace(description, size=(640, 480), rate=6.0)
    return opened(file, description, topic=D435[description.name], **options)


@pytest.mark.parametrize(
    ('description', 'focal', 'stamps'),
    [(DEPTH, 390.43, [360_815_089_000, 360_981_765_000]), (RGB, 613.20, [360_713_523_000])],
    ids=['depth', 'rgb'],
)
def test_a_real_realsense_recording(test_data, description, focal, stamps):
    real = realsense(test_data, description)
    samples = list(real.samples())
    assert [s.stamp for s in samples] == stamps
    assert {s.encoding for s in samples} == {description.encoding}
    assert 10 < np.median(samples[0].image) < 5000
    assert real.camera.intrinsics[0, 0] == pytest.approx(focal, abs=0.01)


def test_cameras_of_a_real_recording_loop_alike(test_data):
    cycles = set()
    for description, count in ((DEPTH, 2), (RGB, 1)):
        samples = realsense(test_data, description, loop=True).samples()
        first, *_, again = itertools.islice(samples, count + 1)
        assert again.extras['restart']
        cycles.add(again.stamp - first.stamp)
    assert len(cycles) == 1

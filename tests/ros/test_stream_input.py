"""From messages to stream images, with all that can be wrong with them."""

from dataclasses import replace

import message_filters
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from hand_pose_ros.errors import HandPoseError, ImageError
from hand_pose_ros.ros.camera_info import camera_info
from hand_pose_ros.ros.images import image_message
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.ros.stream_input import Arrivals, StreamInput
from tests.ros.fakes import ENCODINGS, SIZE, make_camera, make_rig

SECOND = 1_000_000_000


def message(name='thermal', encoding=None, size=SIZE, stamp=7, frame_id='thermal_optical_frame'):
    dtype = {'mono16': np.uint16, '16UC1': np.uint16, '32FC1': np.float32}.get(
        encoding or ENCODINGS[name], np.uint8
    )
    shape = (size[1], size[0], 3) if (encoding or ENCODINGS[name])[:3] in ('rgb', 'bgr') else (
        size[1], size[0])  # fmt: skip
    return image_message(np.ones(shape, dtype), encoding or ENCODINGS[name], stamp, frame_id)


class Complaints(list):
    def __call__(self, key, text):
        self.append(text)


def stream_input(name='thermal', calibrated=True, **options):
    camera = make_rig(name, calibrated=calibrated).cameras[name]
    camera = replace(camera, **options.pop('changes', {}))
    complain = options.pop('complain', Complaints())
    return StreamInput(
        camera,
        f'/{name}/image_raw',
        from_info=options.pop('from_info', False),
        lookup=options.pop('lookup', None),
        complain=complain,
    )


def test_an_image_of_every_modality():
    for name in ENCODINGS:
        image = stream_input(name).stream_image(message(name))
        assert image.stamp == 7
        assert image.camera is not None
    assert stream_input('depth').stream_image(message('depth')).image.dtype == np.float32


def test_the_offset_is_removed_from_the_stamp():
    found = stream_input(changes={'time_offset': 3}).stream_image(message(stamp=10))
    assert found.stamp == 7


@pytest.mark.parametrize(
    ('bad', 'text'),
    [
        (message(size=(32, 24)), '/thermal/image_raw: .*32x24.*64x48'),
        (message(encoding='rgb8'), "/thermal/image_raw: .*'rgb8'"),
        (message(encoding='32FC1'), '/thermal/image_raw: .*32FC1'),
    ],
)
def test_images_that_do_not_fit_the_rig_are_refused(bad, text):
    with pytest.raises(ImageError, match=text):
        stream_input().stream_image(bad)


class TestCameraInfo:
    """What camera_info says beside the rig file."""

    def info(self, camera=None, size=SIZE, frame_id='thermal_optical_frame'):
        return camera_info(camera, size, 0, frame_id)

    def test_another_size_than_the_image_is_refused(self):
        stream = stream_input()
        stream.set_camera_info(self.info(make_camera((32, 24)), (32, 24)))
        with pytest.raises(ImageError, match='/thermal/camera_info says 32x24 .* 64x48'):
            stream.stream_image(message())

    def test_another_frame_than_the_image_is_refused(self):
        stream = stream_input()
        stream.set_camera_info(self.info(make_camera(), frame_id='boson'))
        with pytest.raises(ImageError, match=r"'boson'.*'thermal_optical_frame'"):
            stream.stream_image(message())

    def test_other_intrinsics_than_the_rig_file_are_said_once(self):
        complaints = Complaints()
        stream = stream_input(complain=complaints)
        stream.set_camera_info(self.info(make_camera(focal=70.0)))
        for _ in range(3):
            stream.set_camera_info(self.info(make_camera(focal=70.0)))
            assert stream.stream_image(message()).camera.intrinsics[0, 0] == 60.0
        assert len(complaints) == 1
        assert 'differs from the rig file by 10.0 px' in complaints[0]

    def test_an_uncalibrated_camera_info_beside_a_calibrated_rig_is_fine(self):
        complaints = Complaints()
        stream = stream_input(complain=complaints)
        stream.set_camera_info(self.info(None))
        assert stream.stream_image(message()).camera is not None
        assert complaints == []

    def test_intrinsics_are_taken_from_it_when_the_rig_has_none(self):
        stream = stream_input(calibrated=False)
        with pytest.raises(ImageError, match='/thermal/camera_info: no message yet'):
            stream.stream_image(message())
        stream.set_camera_info(self.info(make_camera(focal=55.0)))
        assert stream.stream_image(message()).camera.intrinsics[0, 0] == 55.0
        stream.set_camera_info(self.info(make_camera(focal=56.0)))
        assert stream.stream_image(message()).camera.intrinsics[0, 0] == 56.0

    def test_intrinsics_are_taken_from_it_when_asked_for(self):
        stream = stream_input(from_info=True)
        stream.set_camera_info(self.info(make_camera(focal=70.0)))
        assert stream.stream_image(message()).camera.intrinsics[0, 0] == 70.0

    def test_an_uncalibrated_camera_is_refused_with_advice(self):
        stream = stream_input(calibrated=False)
        stream.set_camera_info(self.info(None))
        with pytest.raises(HandPoseError, match='not calibrated.*chequerboard'):
            stream.stream_image(message())


def test_extrinsics_are_looked_up_once_by_the_frame_of_the_image():
    asked = []

    def lookup(frame_id):
        asked.append(frame_id)
        if len(asked) == 1:
            raise ImageError('/tf_static does not say yet')
        transform = np.eye(4)
        transform[0, 3] = 0.25
        return transform

    stream = stream_input(changes={'extrinsics_from_tf': True}, lookup=lookup)
    with pytest.raises(ImageError, match='tf_static'):
        stream.stream_image(message(frame_id='boson'))
    for _ in range(3):
        found = stream.stream_image(message(frame_id='boson'))
    assert found.T_rig_cam[0, 3] == 0.25
    assert asked == ['boson', 'boson']


class TestArrivals:
    """Counting, and refusing stamps of the future."""

    def arrivals(self, now, offset=0):
        self.source = message_filters.SimpleFilter()
        self.complaints, self.passed = Complaints(), []
        arrivals = Arrivals(
            self.source,
            topic='/nir/image_raw',
            offset=offset,
            now=lambda: now,
            allowance=lambda: SECOND,
            complain=self.complaints,
        )
        arrivals.registerCallback(self.passed.append)
        return arrivals

    def send(self, stamp):
        self.source.signalMessage(CameraInfo(header=header(stamp, 'x')))

    def test_the_past_and_the_near_future_pass(self):
        arrivals = self.arrivals(now=10 * SECOND)
        for stamp in (0, 9 * SECOND, 11 * SECOND):
            self.send(stamp)
        assert len(self.passed) == 3
        assert arrivals.meter.total == 3
        assert self.complaints == []

    def test_the_far_future_is_refused(self):
        arrivals = self.arrivals(now=10 * SECOND)
        self.send(15 * SECOND)
        assert self.passed == []
        assert arrivals.refused == 1
        assert '/nir/image_raw' in self.complaints[0]
        assert '5.0 s in the future' in self.complaints[0]

    def test_a_known_offset_is_no_future(self):
        self.arrivals(now=10 * SECOND, offset=5 * SECOND)
        self.send(15 * SECOND)
        assert len(self.passed) == 1

    def test_nothing_is_refused_before_the_clock_runs(self):
        self.arrivals(now=0)
        self.send(15 * SECOND)
        assert len(self.passed) == 1

"""The camera node, its driver played from small images."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from hand_pose_ros.msg import HandPose3DArray
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from hand_pose_ros.cameras import registry
from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.errors import CameraError
from hand_pose_ros.ros import camera_stream
from hand_pose_ros.ros.camera_node import CameraNode
from hand_pose_ros.ros.images import image_array
from hand_pose_ros.ros.qos import LATCHED
from hand_pose_ros.ros.stamps import nanoseconds
from tests.ros.fakes import SIZE, make_hand, make_rig

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@pytest.fixture
def camera_node(ros, recorded_rig, parameters):
    def make(camera='thermal', rig=recorded_rig, namespace='', **values):
        overrides = parameters(camera=camera, **values)
        return ros.add(
            CameraNode('camera', rig=rig, namespace=namespace, parameter_overrides=overrides)
        )

    return make


def test_images_and_camera_info_with_equal_stamps(ros, camera_node, recorded_rig):
    node = camera_node()
    images = ros.listen(Image, 'thermal/image_raw', qos_profile_sensor_data)
    infos = ros.listen(CameraInfo, 'thermal/camera_info', qos_profile_sensor_data)
    ros.until(lambda: len(images) >= 8 and len(infos) >= 8)
    stamps = [nanoseconds(m.header.stamp) for m in images]
    assert stamps == sorted(set(stamps))
    assert set(stamps[:-1]) <= {nanoseconds(m.header.stamp) for m in infos}
    now = node.get_clock().now().nanoseconds
    assert abs(now - stamps[-1]) < 5_000_000_000
    pixels, encoding = image_array(images[0], '')
    assert encoding == 'mono16'
    assert 30_000 <= pixels[0, 0] < 30_006
    assert images[0].header.frame_id == infos[0].header.frame_id == 'thermal_optical_frame'
    assert (infos[0].width, infos[0].height) == SIZE
    camera = recorded_rig.cameras['thermal'].camera
    np.testing.assert_array_equal(infos[0].k, camera.intrinsics.ravel())


def test_drivers_publish_with_the_default_qos(ros, camera_node):
    node = camera_node()
    ros.until(lambda: node.is_active)
    for topic in ('/thermal/image_raw', '/thermal/camera_info'):
        (info,) = node.get_publishers_info_by_topic(topic)
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_names_are_relative(ros, camera_node):
    images = ros.listen(Image, '/head/thermal/image_raw', qos_profile_sensor_data)
    camera_node(namespace='head')
    ros.until(lambda: images)


def test_the_place_on_the_rig_is_latched(ros, camera_node, recorded_rig):
    node = camera_node('rgb')
    ros.until(lambda: node.is_active)
    transforms = ros.listen(TFMessage, '/tf_static', LATCHED)
    ros.until(lambda: transforms)
    (transform,) = transforms[0].transforms
    assert transform.header.frame_id == recorded_rig.rig_frame
    assert transform.child_frame_id == 'rgb_optical_frame'


def test_diagnostics_say_that_images_come(ros, camera_node):
    camera_node()
    received = ros.listen(DiagnosticArray, '/diagnostics')

    def healthy():
        return any(s.level == DiagnosticStatus.OK for m in received for s in m.status)

    ros.until(healthy)
    status = next(s for m in received for s in m.status if s.level == DiagnosticStatus.OK)
    assert status.name == 'camera: images'
    values = {v.key: v.value for v in status.values}
    assert 20 < float(values['rate (Hz)']) < 40
    assert values['driver'] == 'image_folder'


def test_lifecycle_by_hand_again_and_again(ros, camera_node):
    node = camera_node(autostart=False)
    images = ros.listen(Image, 'thermal/image_raw', qos_profile_sensor_data)
    ros.for_seconds(0.2)
    assert images == []
    for _ in range(3):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        images.clear()
        ros.until(lambda: images)
        assert node.trigger_deactivate() == SUCCESS
        assert node.trigger_cleanup() == SUCCESS
        assert not node._publishers


@pytest.mark.parametrize(
    ('camera', 'changes', 'text'),
    [
        ('lidar', {}, "there is no camera 'lidar', use one of thermal, rgb"),
        ('thermal', {'driver': 'webcam'}, "driver 'webcam' does not exist, use one of"),
        ('thermal', {'driver': 'external'}, "driver 'external' means"),
    ],
)
def test_what_cannot_work_fails_with_a_sentence(
    ros, camera_node, recorded_rig, camera, changes, text, capfd
):
    cameras = dict(recorded_rig.cameras)
    cameras['thermal'] = replace(cameras['thermal'], **changes)
    node = camera_node(camera, replace(recorded_rig, cameras=cameras), autostart=False)
    assert node.trigger_configure() == FAILURE
    assert text in capfd.readouterr().err
    assert node._state_machine.current_state[1] == 'unconfigured'


class Unreliable:
    """A driver that dies after every few images."""

    camera = None
    live = True
    opened = 0

    def open(self):
        Unreliable.opened += 1

    def samples(self):
        for _ in range(3):
            stamp = 1_000_000_000 * Unreliable.opened + _
            extras = {'truth': [make_hand('left'), make_hand('right')]}
            yield CameraSample(
                image=np.zeros((SIZE[1], SIZE[0]), np.uint16),
                encoding='mono16',
                stamp=stamp,
                extras=extras,
            )
        raise CameraError('thermal: the USB device is gone, plug it in again')

    def close(self):
        pass


@pytest.fixture
def unreliable(monkeypatch):
    Unreliable.opened = 0
    monkeypatch.setattr(registry, 'create', lambda description, rig: Unreliable())
    monkeypatch.setattr(camera_stream, '_FIRST_WAIT', 0.1)


def test_a_dying_driver_is_opened_again(ros, camera_node, unreliable):
    images = ros.listen(Image, 'thermal/image_raw', qos_profile_sensor_data)
    camera_node(rig=make_rig('thermal'))
    ros.until(lambda: len({m.header.stamp.sec for m in images}) >= 3)
    assert Unreliable.opened >= 3


def test_the_truth_is_published_when_the_driver_knows_it(ros, camera_node, unreliable):
    truths = ros.listen(HandPose3DArray, 'thermal/ground_truth')
    camera_node(rig=make_rig('thermal'))
    ros.until(lambda: truths)
    assert truths[0].header.frame_id == 'thermal_optical_frame'
    assert truths[0].estimator == 'ground_truth'
    assert len(truths[0].hands) == 2


class Shuttered(Unreliable):
    """A thermal camera in the middle of its second flat-field correction."""

    def samples(self):
        for number, closed in enumerate([False, True, True, False, True]):
            yield CameraSample(
                image=np.zeros((SIZE[1], SIZE[0]), np.uint16),
                encoding='mono16',
                stamp=time.time_ns() + number,
                extras={'flat_field': closed},
            )
        self.closed.wait()

    def __init__(self):
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


def test_diagnostics_tell_of_flat_field_corrections(ros, camera_node, monkeypatch):
    monkeypatch.setattr(registry, 'create', lambda description, rig: Shuttered())
    # Silence, which the rest of this camera is, would be the greater trouble.
    monkeypatch.setattr('hand_pose_ros.ros.camera_node._SILENT_SECONDS', 100.0)
    received = ros.listen(DiagnosticArray, '/diagnostics')
    camera_node(rig=make_rig('thermal'))

    def found():
        return [s for m in received for s in m.status if 'flat-field' in s.message]

    ros.until(found)
    assert found()[0].level == DiagnosticStatus.WARN
    assert {v.key: v.value for v in found()[0].values}['flat-field corrections'] == '2'

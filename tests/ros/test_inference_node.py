"""The inference node with an estimator that invents hands, over DDS in one process."""

import gc
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from hand_pose_ros.msg import HandPose3D, HandPose3DArray, HandTopology
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from tf2_ros import StaticTransformBroadcaster
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.errors import ModelError
from hand_pose_ros.ros import inference_node, qos
from hand_pose_ros.ros.camera_info import camera_info
from hand_pose_ros.ros.images import image_message
from hand_pose_ros.ros.inference_node import InferenceNode
from hand_pose_ros.ros.stamps import nanoseconds, time_message
from hand_pose_ros.skeleton import JOINT_NAMES
from tests.ros.fakes import ENCODINGS, MILLISECOND, SIZE, FakeEstimator, make_camera, make_rig

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
PERIOD = 33 * MILLISECOND


class Cameras:
    """Publishes images of several streams with stamps as a test wants them."""

    def __init__(self, ros, names, namespace=''):
        self.ros = ros
        self.node = ros.node('cameras', namespace=namespace)
        self.images = {
            n: self.node.create_publisher(Image, f'{n}/image_raw', qos.DRIVER) for n in names
        }
        self.infos = {
            n: self.node.create_publisher(CameraInfo, f'{n}/camera_info', qos.DRIVER) for n in names
        }
        self.stamp = time.time_ns() - 60_000_000_000

    def connect(self):
        self.ros.until(lambda: all(p.get_subscription_count() for p in self.images.values()))

    def send(self, *names, stamp=None, encoding=None, size=SIZE, **changes):
        """Publish one image on each stream; returns the stamp."""
        if stamp is None:
            self.stamp += PERIOD
            stamp = self.stamp
        for name in names or self.images:
            kind = encoding or ENCODINGS[name]
            dtype = np.uint16 if '16' in kind else np.uint8
            shape = (size[1], size[0], 3) if kind == 'rgb8' else (size[1], size[0])
            message = image_message(
                np.full(shape, 400, dtype) if dtype == np.uint16 else np.ones(shape, dtype),
                kind,
                stamp,
                f'{name}_optical_frame',
            )
            for key, value in changes.items():
                setattr(message, key, value)
            self.images[name].publish(message)
        self.ros.for_seconds(0.01)
        return stamp


@pytest.fixture
def bench(ros, parameters):
    """An inference node, its cameras and its results."""

    def make(*names, rig=None, estimator=None, namespace='', activate=True, **values):
        rig = rig or make_rig(*names)
        estimator = estimator or FakeEstimator()
        results = ros.listen(HandPose3DArray, f'/{namespace}/hand_pose/hands'.replace('//', '/'))
        cameras = Cameras(ros, list(rig.cameras), namespace)
        node = ros.add(
            InferenceNode(
                rig=rig,
                estimator=estimator,
                namespace=namespace,
                parameter_overrides=parameters(autostart=False, **values),
            )
        )
        if activate:
            assert node.trigger_configure() == SUCCESS
            assert node.trigger_activate() == SUCCESS
            cameras.connect()
            ros.until(lambda: node._results._hands.get_subscription_count() > 0)
        return SimpleNamespace(
            node=node, cameras=cameras, results=results, estimator=estimator, rig=rig
        )

    return make


def feed(bench, ros, count=5, **options):
    for _ in range(count):
        bench.cameras.send(**options)
        ros.for_seconds(0.02)


class TestResults:
    """What is published."""

    def test_hands_carry_the_stamp_of_the_reference_image(self, bench, ros):
        b = bench('thermal', 'nir')
        sent = [b.cameras.send() for _ in range(8)]
        ros.until(lambda: len(b.results) >= 4)
        for message in b.results:
            assert nanoseconds(message.header.stamp) in sent
            assert message.header.frame_id == 'thermal_optical_frame'
            assert message.estimator == 'fake'
            assert len(message.hands) == 2
            assert {'convert', 'detect', 'fit'} <= set(message.stage_names)
            assert all(seconds >= 0 for seconds in message.stage_seconds)
        assert list(b.results[-1].streams) == ['thermal', 'nir']
        stamps = [nanoseconds(m.header.stamp) for m in b.results]
        assert stamps == sorted(set(stamps))

    def test_a_message_also_without_hands(self, bench, ros):
        b = bench('thermal')
        b.estimator.empty = True
        feed(b, ros)
        ros.until(lambda: b.results)
        assert list(b.results[0].hands) == []

    def test_every_form_reaches_who_listens(self, bench, ros):
        b = bench('thermal', 'depth')
        heard = {
            topic: ros.listen(message, topic)
            for topic, message in {
                'hand_pose/left': HandPose3D, 'hand_pose/right': HandPose3D,
                'hand_pose/skeleton': MarkerArray, 'hand_pose/points': PointCloud2,
                'hand_pose/overlay/image_raw': Image, '/tf': TFMessage,
            }.items()
        }  # fmt: skip

        def all_heard():
            feed(b, ros, 1)
            return all(heard.values())

        ros.until(all_heard)
        assert heard['hand_pose/left'][0].side == HandPose3D.LEFT
        assert heard['hand_pose/right'][0].side == HandPose3D.RIGHT
        assert heard['hand_pose/points'][0].width > 0
        overlay = heard['hand_pose/overlay/image_raw'][0]
        assert (overlay.encoding, overlay.width, overlay.height) == ('rgb8', *SIZE)
        transforms = heard['/tf'][0].transforms
        expected = {f'{side}_hand/{joint}' for side in ('left', 'right') for joint in JOINT_NAMES}
        assert {t.child_frame_id for t in transforms} == expected
        assert {t.header.frame_id for t in transforms} == {'thermal_optical_frame'}

    def test_one_tf_parent_per_frame_and_stamps_that_rise(self, bench, ros):
        b = bench('thermal', 'nir')
        moving, still = (
            ros.listen(TFMessage, '/tf'),
            ros.listen(TFMessage, '/tf_static', qos.LATCHED),
        )

        def heard():
            feed(b, ros, 1)
            return len(moving) >= 4 and still

        ros.until(heard)
        parents = {}
        for message in (*moving, *still):
            for t in message.transforms:
                parents.setdefault(t.child_frame_id, set()).add(t.header.frame_id)
        assert all(len(names) == 1 for names in parents.values())
        assert parents['nir_optical_frame'] == {'head_rig'}
        stamps = [nanoseconds(m.transforms[0].header.stamp) for m in moving]
        assert stamps == sorted(set(stamps))

    def test_tf_can_be_switched_off(self, bench, ros):
        b = bench('thermal')
        moving = ros.listen(TFMessage, '/tf')
        assert b.node.set_parameters([Parameter('publish_tf', value=False)])[0].successful
        ros.for_seconds(0.3)
        feed(b, ros, 6)
        ros.until(lambda: len(b.results) >= 3)
        assert moving == []

    def test_a_late_joiner_gets_the_topology(self, bench, ros):
        bench('thermal')
        ros.for_seconds(0.1)
        topologies = ros.listen(HandTopology, 'hand_pose/topology', qos.LATCHED)
        ros.until(lambda: topologies)
        assert tuple(topologies[0].joint_names) == JOINT_NAMES
        assert topologies[0].vertex_count > 0
        assert max(topologies[0].right_triangles) < topologies[0].vertex_count

    def test_meshes_are_deleted_when_hands_go(self, bench, ros):
        faces = np.array([[0, 1, 2]])
        b = bench('thermal', activate=False)
        b.estimator.faces = {'left': faces, 'right': faces}
        original = b.estimator.estimate
        b.estimator.estimate = lambda frame: [
            replace(hand, vertices=np.eye(3)) for hand in original(frame)
        ]
        b.node.trigger_configure()
        b.node.trigger_activate()
        b.cameras.connect()
        markers = ros.listen(Marker, 'hand_pose/mesh')

        def shown():
            feed(b, ros, 1)
            return len(markers) >= 2

        ros.until(shown)
        assert {m.ns for m in markers} == {'left_hand', 'right_hand'}
        assert all(m.action == Marker.ADD and len(m.points) == 3 for m in markers)
        b.estimator.empty = True
        feed(b, ros)
        ros.until(lambda: sum(m.action == Marker.DELETE for m in markers) == 2)

    def test_names_are_relative(self, bench, ros):
        b = bench('thermal', namespace='head')
        feed(b, ros)
        ros.until(lambda: b.results)
        topics = {name for name, _ in b.node.get_topic_names_and_types()}
        assert {'/head/hand_pose/hands', '/head/thermal/image_raw', '/tf_static'} <= topics
        assert not any(name.startswith(('/hand_pose', '/thermal')) for name in topics)

    def test_diagnostics(self, bench, ros):
        b = bench('thermal', 'nir')
        received = ros.listen(DiagnosticArray, '/diagnostics')

        def estimating():
            feed(b, ros, 2)
            return any(
                s.name.endswith('estimator') and s.level == DiagnosticStatus.OK
                for m in received for s in m.status
            )  # fmt: skip

        ros.until(estimating)
        names = {s.name.partition(': ')[2] for s in received[-1].status}
        assert names == {'stream thermal', 'stream nir', 'synchronizer', 'estimator'}
        (status,) = (s for s in received[-1].status if s.name.endswith('estimator'))
        values = {v.key: v.value for v in status.values}
        assert values['estimator'] == 'fake'
        assert values['model hash'] == b.estimator.model_hash
        assert float(values['detect p50 (ms)']) == pytest.approx(2, abs=0.1)
        assert float(values['rate (Hz)']) > 0


class TestBadInput:
    """The node stays up, says what is wrong, and works on what is right."""

    def refused(self, b, ros, capfd, text):
        err = ''

        def said():
            nonlocal err
            err += capfd.readouterr().err
            return text in err

        ros.until(said)
        b.results.clear()
        feed(b, ros)
        ros.until(lambda: b.results)

    def test_unknown_encoding(self, bench, ros, capfd):
        b = bench('thermal')
        b.cameras.send(encoding='mono16')
        feed(b, ros, 4)
        for _ in range(4):
            b.cameras.stamp += PERIOD
            message = image_message(np.ones((48, 64), np.uint8), 'mono8', b.cameras.stamp, 'x')
            message.encoding = 'pink8'
            b.cameras.images['thermal'].publish(message)
        self.refused(b, ros, capfd, "/thermal/image_raw: encoding 'pink8' is unknown")

    def test_wrong_size(self, bench, ros, capfd):
        b = bench('thermal')
        feed(b, ros, 4, size=(32, 24))
        self.refused(b, ros, capfd, 'image is 32x24 but the rig file says 64x48')

    def test_too_little_data(self, bench, ros, capfd):
        b = bench('thermal')
        feed(b, ros, 4, height=480)
        self.refused(b, ros, capfd, 'correct the publisher')

    def test_camera_info_that_disagrees(self, bench, ros, capfd):
        b = bench('thermal')
        info = camera_info(make_camera((32, 24)), (32, 24), 0, 'thermal_optical_frame')
        ros.until(lambda: b.cameras.infos['thermal'].get_subscription_count())
        b.cameras.infos['thermal'].publish(info)
        ros.for_seconds(0.1)
        feed(b, ros, 4)
        text = '/thermal/camera_info says 32x24 but the image is 64x48'
        err = ''

        def said():
            nonlocal err
            err += capfd.readouterr().err
            return text in err

        ros.until(said)
        good = camera_info(make_camera(), SIZE, 0, 'thermal_optical_frame')
        b.cameras.infos['thermal'].publish(good)
        ros.for_seconds(0.1)
        feed(b, ros)
        ros.until(lambda: b.results)

    def test_uncalibrated_camera(self, bench, ros, capfd):
        rig = make_rig('thermal', calibrated=False)
        b = bench(rig=rig)
        ros.until(lambda: b.cameras.infos['thermal'].get_subscription_count())
        b.cameras.infos['thermal'].publish(camera_info(None, SIZE, 0, 'thermal_optical_frame'))
        ros.for_seconds(0.1)
        feed(b, ros, 4)
        err = ''

        def said():
            nonlocal err
            err += capfd.readouterr().err
            return '/thermal/camera_info: the camera is not calibrated' in err

        ros.until(said)
        assert b.results == []
        good = camera_info(make_camera(focal=50.0), SIZE, 0, 'thermal_optical_frame')
        b.cameras.infos['thermal'].publish(good)
        ros.for_seconds(0.1)
        feed(b, ros)
        ros.until(lambda: b.results)
        assert b.estimator.frames[-1].streams['thermal'].camera.intrinsics[0, 0] == 50.0

    def test_stamps_of_the_future(self, bench, ros, capfd):
        b = bench('thermal')
        feed(b, ros, 3)
        b.cameras.send(stamp=time.time_ns() + 100_000_000_000)
        self.refused(b, ros, capfd, 's in the future, the image is not used')
        assert all(nanoseconds(m.header.stamp) < time.time_ns() for m in b.results)

    def test_equal_stamps_are_used_once(self, bench, ros):
        b = bench('thermal')
        for _ in range(6):
            stamp = b.cameras.send()
            b.cameras.send(stamp=stamp)
            ros.for_seconds(0.02)
        ros.until(lambda: len(b.results) >= 3)
        stamps = [nanoseconds(m.header.stamp) for m in b.results]
        assert len(stamps) == len(set(stamps))

    def test_stamps_a_little_backward_are_left_out(self, bench, ros):
        b = bench('thermal')
        feed(b, ros, 4)
        b.cameras.send(stamp=b.cameras.stamp - 2 * PERIOD - 5)
        feed(b, ros, 4)
        ros.until(lambda: len(b.results) >= 5)
        stamps = [nanoseconds(m.header.stamp) for m in b.results]
        assert stamps == sorted(set(stamps))

    def test_a_jump_back_of_the_stamps_resets_the_estimator(self, bench, ros):
        b = bench('thermal')
        feed(b, ros, 5)
        ros.until(lambda: len(b.results) >= 3)
        before = b.estimator.resets
        b.cameras.stamp -= 30_000_000_000
        jumped = b.cameras.stamp + 10_000_000_000

        def resumed():
            feed(b, ros, 2)
            return any(nanoseconds(m.header.stamp) < jumped for m in b.results)

        ros.until(resumed)
        assert b.estimator.resets > before

    def test_a_dead_stream_does_not_stop_the_others(self, bench, ros):
        b = bench('thermal', 'nir')
        feed(b, ros, 6)
        ros.until(lambda: b.results)
        b.results.clear()

        def alone():
            b.cameras.send('thermal')
            ros.for_seconds(0.03)
            return any(list(m.streams) == ['thermal'] for m in b.results)

        ros.until(alone)

    def test_a_dead_reference_does_not_stop_the_others(self, bench, ros):
        b = bench('thermal', 'nir')
        feed(b, ros, 6)
        ros.until(lambda: b.results)

        def alone():
            b.cameras.send('nir')
            ros.for_seconds(0.03)
            return any(list(m.streams) == ['nir'] for m in b.results)

        ros.until(alone)
        assert b.results[-1].header.frame_id == 'thermal_optical_frame'

    def test_an_exception_in_one_frame_costs_that_frame(self, bench, ros, capfd):
        b = bench('thermal')
        b.estimator.error = ZeroDivisionError('a fault in the estimator')
        feed(b, ros, 20)
        ros.until(lambda: len(b.estimator.frames) >= 5)
        assert b.results == []
        b.estimator.error = None
        feed(b, ros)
        ros.until(lambda: b.results)
        assert capfd.readouterr().err.count('ZeroDivisionError') == 1

    @pytest.mark.parametrize('error', [ModelError('model x is corrupt: run make models'),
                                       OSError('disk')])  # fmt: skip
    def test_a_model_that_cannot_be_loaded_fails_the_configuration(
        self, bench, ros, monkeypatch, capfd, error
    ):
        def fail(*arguments):
            raise error

        monkeypatch.setattr(inference_node, 'make_estimator', fail)
        b = bench('thermal', activate=False)
        b.node._given_estimator = None
        assert b.node.trigger_configure() == FAILURE
        assert str(error) in capfd.readouterr().err
        monkeypatch.undo()
        b.node._given_estimator = b.estimator
        assert b.node.trigger_configure() == SUCCESS


class TestTime:
    """Latency under load, simulated time and jumps."""

    def test_a_slow_estimator_gets_the_newest_set(self, bench, ros):
        b = bench('thermal')
        b.estimator.pause = 0.2
        feed(b, ros, 20)
        ros.until(lambda: len(b.results) >= 3)
        used = [frame.stamp for frame in b.estimator.frames]
        assert np.diff(used).max() > 2 * PERIOD
        assert b.node.health.replaced > 0

    def test_a_jump_back_of_simulated_time_resets(self, bench, ros):
        b = bench('thermal', use_sim_time=True)
        clock = b.cameras.node.create_publisher(Clock, '/clock', 10)
        ros.until(lambda: clock.get_subscription_count())

        def set_clock(seconds):
            clock.publish(Clock(clock=time_message(seconds * 1_000_000_000)))
            ros.until(lambda: b.node.get_clock().now().nanoseconds == seconds * 1_000_000_000)

        set_clock(2000)
        b.cameras.stamp = 1999_000_000_000
        feed(b, ros, 5)
        ros.until(lambda: len(b.results) >= 3)
        before = b.estimator.resets
        set_clock(1000)
        b.cameras.stamp = 999_000_000_000
        b.results.clear()
        feed(b, ros, 5)
        ros.until(lambda: b.results)
        assert b.estimator.resets > before
        assert all(m.header.stamp.sec < 1001 for m in b.results)


class TestLifecycle:
    """Configure, activate and back, without leaving anything behind."""

    def test_twenty_rounds_leave_nothing_behind(self, bench, ros):
        b = bench('thermal', activate=False)
        counts = []
        for _ in range(20):
            assert b.node.trigger_configure() == SUCCESS
            assert b.node.trigger_activate() == SUCCESS
            assert b.node.trigger_deactivate() == SUCCESS
            assert b.node.trigger_cleanup() == SUCCESS
            gc.collect()
            entities = [*b.node.publishers, *b.node.subscriptions, *b.node.timers]
            counts.append((len(entities), threading.active_count(), len(gc.get_objects()) // 2000))
        assert b.node._estimator is None
        assert counts[-1][:2] == counts[3][:2]
        assert counts[-1][2] <= counts[3][2] + 1

    def test_it_works_again_after_cleanup(self, bench, ros):
        b = bench('thermal')
        for step in ('deactivate', 'cleanup', 'configure', 'activate'):
            assert getattr(b.node, f'trigger_{step}')() == SUCCESS
        b.cameras.connect()
        feed(b, ros)
        ros.until(lambda: b.results)

    def test_an_inactive_node_is_silent(self, bench, ros):
        b = bench('thermal')
        b.node.trigger_deactivate()
        b.results.clear()
        feed(b, ros)
        assert b.results == []

    def test_it_starts_by_itself(self, ros):
        estimator = FakeEstimator()
        node = ros.add(InferenceNode(rig=make_rig('thermal'), estimator=estimator))
        ros.until(lambda: node.is_active)


def test_policy_approximate_time(bench, ros):
    b = bench('thermal', 'nir', policy='approximate_time')
    feed(b, ros)
    ros.until(lambda: b.results)
    assert list(b.results[0].streams) == ['thermal', 'nir']


def test_extrinsics_from_tf_static(bench, ros, capfd):
    rig = make_rig('thermal', 'nir')
    cameras = dict(rig.cameras)
    cameras['nir'] = replace(cameras['nir'], extrinsics_from_tf=True)
    b = bench(rig=replace(rig, cameras=cameras))
    feed(b, ros, 8)
    ros.until(lambda: b.results)
    assert all(list(m.streams) == ['thermal'] for m in b.results)
    assert 'publish it, or put T_rig_cam of nir' in capfd.readouterr().err
    transform = TransformStamped(child_frame_id='nir_optical_frame')
    transform.header.frame_id = 'head_rig'
    transform.transform.translation.x = 0.125
    transform.transform.rotation.w = 1.0
    StaticTransformBroadcaster(b.cameras.node).sendTransform(transform)

    def both():
        feed(b, ros, 1)
        return any(list(m.streams) == ['thermal', 'nir'] for m in b.results)

    ros.until(both)
    assert b.estimator.frames[-1].streams['nir'].T_rig_cam[0, 3] == 0.125


def test_subscriptions_are_best_effort(bench, ros):
    b = bench('thermal')
    (info,) = b.node.get_subscriptions_info_by_topic('/thermal/image_raw')
    assert info.qos_profile.reliability == qos_profile_sensor_data.reliability

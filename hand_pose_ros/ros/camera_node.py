"""The lifecycle camera node: any camera driver as ``image_raw`` and ``camera_info``."""

import time
from collections.abc import Iterable
from typing import Any

from rclpy._rclpy_pybind11 import RCLError
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import StaticTransformBroadcaster

from hand_pose_ros.cameras import registry
from hand_pose_ros.cameras.driver import CameraDriver, CameraSample
from hand_pose_ros.errors import CameraError
from hand_pose_ros.msg import HandPose3DArray
from hand_pose_ros.rig.description import CameraDescription, RigDescription, find_rig
from hand_pose_ros.ros import qos
from hand_pose_ros.ros.camera_info import camera_info
from hand_pose_ros.ros.camera_stream import CameraStream, ReplayClock
from hand_pose_ros.ros.diagnostics import ERROR, OK, WARN, Diagnostics, RateMeter, Status
from hand_pose_ros.ros.images import image_message
from hand_pose_ros.ros.lifecycle import ManagedNode, run_node
from hand_pose_ros.ros.messages import hand_message, hands_message
from hand_pose_ros.ros.parameters import NodeParameter, value_of
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.ros.transforms import camera_transform

PARAMETERS = (
    NodeParameter(
        name='rig',
        default='simulated_head_rig',
        description='Rig file, or the name of a rig that comes with the package.',
    ),
    NodeParameter(
        name='camera',
        default='',
        description="Camera of the rig; empty takes the rig's reference camera.",
    ),
    NodeParameter(
        name='restamp',
        default=True,
        description='Whether recorded images get stamps of now; false keeps the recorded ones.',
    ),
    NodeParameter(
        name='replay_origin',
        default=-1,
        description='Recorded stamp in ns that is played at `replay_start`, the same for all '
        'cameras of a recording; -1 takes the first of this camera.',
    ),
    NodeParameter(
        name='replay_start',
        default=-1,
        description='System time in ns at which a recording starts; -1 is soon after activation.',
    ),
)

# Below this share of its nominal rate a camera is reported as slow.
_SLOW = 0.8
_SILENT_SECONDS = 1.0


class CameraNode(ManagedNode):
    """Publishes the images of one camera of a rig, whatever driver delivers them."""

    def __init__(
        self,
        name: str = 'camera',
        *,
        rig: RigDescription | None = None,
        replay: ReplayClock | None = None,
        **options: Any,
    ) -> None:
        """Declare parameters.

        Args:
            name: of the node.
            rig: the rig, when it is loaded already; cameras in one process then share it.
            replay: clock of a recording that several cameras of this process share.
            **options: for the node (``namespace``, ``parameter_overrides``, ...).
        """
        self._given_rig = rig
        self._given_replay = replay
        self._publishers: list[Publisher] = []
        self._diagnostics: Diagnostics | None = None
        self._stream: CameraStream | None = None
        self._driver: CameraDriver | None = None
        super().__init__(name, PARAMETERS, **options)

    def allocate(self) -> None:
        """Load the rig, make sure that the driver exists, make the publishers."""
        self._rig = self._given_rig or find_rig(str(value_of(self, 'rig')))
        self._camera = self._find_camera(str(value_of(self, 'camera')))
        driver = registry.create(self._camera, self._rig)
        self._keeps_stamps = not driver.live and not value_of(self, 'restamp')
        self._meter = RateMeter()
        self._dropped = self._unpublished = self._flat_fields = 0
        self._in_flat_field = False
        self._info = camera_info(self._camera.camera, self._camera.size, 0, self._camera.frame_id)
        name = self._camera.name
        self._images = self._publisher(Image, f'{name}/image_raw', qos.DRIVER)
        self._infos = self._publisher(CameraInfo, f'{name}/camera_info', qos.DRIVER)
        self._truths: Publisher | None = None
        self._warned = False
        if not self._camera.extrinsics_from_tf:
            broadcaster = StaticTransformBroadcaster(self)
            now = self.get_clock().now().nanoseconds
            broadcaster.sendTransform(camera_transform(self._camera, self._rig.rig_frame, now))
            self._publishers.append(broadcaster.pub_tf)
        self._diagnostics = Diagnostics(self, self._rig.name, self._statuses)

    def begin(self) -> None:
        """Start the driver's thread."""
        replay = self._given_replay or ReplayClock(
            origin=_or_none(value_of(self, 'replay_origin')),
            start=_or_none(value_of(self, 'replay_start')),
        )
        self._stream = CameraStream(
            self._make_driver,
            self._deliver,
            complain=self.get_logger().error,
            name=self._camera.name,
            replay=replay,
            restamp=bool(value_of(self, 'restamp')),
        )

    def end(self) -> None:
        """Stop the driver's thread."""
        stream, self._stream = self._stream, None
        if stream is not None and not stream.stop():
            self.get_logger().error(f'{self._camera.name}: the driver does not stop')

    def free(self) -> None:
        """Destroy the publishers."""
        if self._diagnostics is not None:
            self._diagnostics.stop()
            self._diagnostics = None
        for publisher in self._publishers:
            self.destroy_publisher(publisher)
        self._publishers.clear()

    def _make_driver(self) -> CameraDriver:
        self._driver = registry.create(self._camera, self._rig)
        return self._driver

    def _find_camera(self, name: str) -> CameraDescription:
        name = name or self._rig.reference
        if name not in self._rig.cameras:
            known = ', '.join(self._rig.cameras)
            raise CameraError(f'{self._rig.name}: there is no camera {name!r}, use one of {known}')
        return self._rig.cameras[name]

    def _publisher(self, message: type, topic: str, profile: Any) -> Publisher:
        publisher = qos.publisher(self, message, topic, profile)
        self._publishers.append(publisher)
        return publisher

    def _deliver(self, sample: CameraSample, stamp: int) -> None:
        """Publish one sample; runs in the driver's thread."""
        if self.get_clock().ros_time_is_active and not self._keeps_stamps:
            stamp += self.get_clock().now().nanoseconds - time.time_ns()
        self._dropped += sample.dropped
        self._meter.count(stamp)
        self._note_flat_field(bool(sample.extras.get('flat_field')))
        self._note_intrinsics()
        try:
            if self._images.get_subscription_count():
                image = image_message(sample.image, sample.encoding, stamp, self._camera.frame_id)
                self._images.publish(image)
                self._advise(len(image.data))
            self._info.header = header(stamp, self._camera.frame_id)
            self._infos.publish(self._info)
            if 'truth' in sample.extras:
                self._publish_truth(sample, stamp)
        except RCLError as error:
            # A slow reliable reader, or the end of the program.
            self._unpublished += 1
            if self.context.ok():
                self.log_sometimes('publish', f'{self._camera.name}: image not published: {error}')

    def _note_flat_field(self, active: bool) -> None:
        self._flat_fields += active and not self._in_flat_field
        self._in_flat_field = active

    def _note_intrinsics(self) -> None:
        """Take intrinsics that only the driver knows, for cameras without any in the rig file."""
        camera = self._driver.camera if self._driver is not None else None
        if camera is None or self._info.k[0]:
            return
        size = camera.width, camera.height
        self._info = camera_info(camera, size, 0, self._camera.frame_id)

    def _advise(self, size: int) -> None:
        if not self._warned:
            self._warned = True
            if qos.loses_large_messages(size):
                topic = self.resolve_topic_name(f'{self._camera.name}/image_raw')
                self.get_logger().warning(qos.large_message_advice(topic, size))

    def _publish_truth(self, sample: CameraSample, stamp: int) -> None:
        if self._truths is None:
            topic = f'{self._camera.name}/ground_truth'
            self._truths = self._publisher(HandPose3DArray, topic, qos.RESULT)
        if not self._truths.get_subscription_count():
            return
        frame_id = self._rig.reference_camera.frame_id
        stamp -= self._camera.time_offset
        hands = [hand_message(hand, stamp, frame_id) for hand in sample.extras['truth']]
        self._truths.publish(
            hands_message(
                hands, stamp, frame_id, streams=[self._camera.name], estimator='ground_truth'
            )
        )

    def _statuses(self) -> Iterable[Status]:
        rate = self._meter.rate(time.monotonic_ns())
        age = self._meter.age(self.get_clock().now().nanoseconds)
        stream = self._stream
        level, text = OK, 'delivering'
        if stream is None:
            level, text = WARN, 'not active'
        elif stream.finished:
            level, text = WARN, 'the recording has ended'
        elif stream.error:
            level, text = ERROR, stream.error
        elif age > _SILENT_SECONDS:
            level, text = ERROR, 'no image for more than a second'
        elif self._in_flat_field:
            level, text = WARN, 'flat-field correction: the image stands still'
        elif rate < _SLOW * self._camera.rate:
            level, text = WARN, f'slower than the nominal {self._camera.rate:g} images per second'
        values = {
            'driver': self._camera.driver,
            'rate (Hz)': rate,
            'nominal rate (Hz)': self._camera.rate,
            'age of the newest image (s)': age,
            'images': self._meter.total,
            'dropped by the driver': self._dropped,
            'flat-field corrections': self._flat_fields,
            'not published': self._unpublished,
            'times opened': stream.opened if stream else 0,
        }
        yield Status(name='images', level=level, message=text, values=values)


def _or_none(value: Any) -> int | None:
    return None if value < 0 else int(value)


def main(argv: list[str] | None = None) -> int:
    """Run the node until it is interrupted."""
    return run_node(CameraNode, argv)


if __name__ == '__main__':
    raise SystemExit(main())

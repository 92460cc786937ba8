"""The lifecycle inference node: images of a rig in, hand poses out."""

import gc
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from geometry_msgs.msg import TransformStamped
from message_filters import SimpleFilter, Subscriber
from numpy.typing import NDArray
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_ros import Buffer, StaticTransformBroadcaster, TransformException, TransformListener

from hand_pose_ros.errors import HandPoseError, ImageError
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.description import RigDescription, find_rig
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.ros import qos
from hand_pose_ros.ros.diagnostics import Diagnostics, Status
from hand_pose_ros.ros.inference_health import InferenceHealth
from hand_pose_ros.ros.inference_parameters import PARAMETERS, make_estimator, mesh_faces
from hand_pose_ros.ros.lifecycle import ManagedNode, run_node
from hand_pose_ros.ros.parameters import value_of
from hand_pose_ros.ros.results import ResultPublisher, Results
from hand_pose_ros.ros.stamps import nanoseconds
from hand_pose_ros.ros.stream_input import Arrivals, StreamInput
from hand_pose_ros.ros.synchronizer_filter import SynchronizerFilter, synchronize
from hand_pose_ros.ros.transforms import camera_transform, matrix
from hand_pose_ros.ros.worker import NewestOnlyWorker

# An older set than the last is a late one up to here, and a jump of time beyond, in nanoseconds.
_JUMP = 1_000_000_000

Set = tuple[Image | CompressedImage | None, ...]


class InferenceNode(ManagedNode):
    """Subscribes to the cameras of a rig, estimates hands in a worker thread, publishes them.

    The executor's thread only receives and synchronises; images are converted, hands estimated and
    results published by the worker, which always takes the newest set.
    """

    def __init__(
        self,
        name: str = 'inference',
        *,
        rig: RigDescription | None = None,
        estimator: Estimator | None = None,
        **options: Any,
    ) -> None:
        """Declare parameters.

        Args:
            name: of the node.
            rig: the rig, when it is loaded already.
            estimator: used instead of the one the parameters name.
            **options: for the node (``namespace``, ``parameter_overrides``, ...).
        """
        self._given_rig = rig
        self._given_estimator = estimator
        self._estimator: Estimator | None = None
        self._worker: NewestOnlyWorker[Set] | None = None
        self._results: ResultPublisher | None = None
        self._diagnostics: Diagnostics | None = None
        self._subscriptions_made: list[Any] = []
        self._static: Publisher | None = None
        self._filter: SimpleFilter | None = None
        self._jumps: Any = None
        self._listener: TransformListener | None = None
        self._buffer: Buffer | None = None
        super().__init__(name, PARAMETERS, **options)

    def allocate(self) -> None:
        """Load rig and estimator and make the publishers."""
        self._rig = self._given_rig or find_rig(str(value_of(self, 'rig')))
        policy = str(value_of(self, 'policy'))
        config = self._rig.synchronizer
        self._config = config if policy == 'rig' else replace(config, policy=policy)  # type: ignore[arg-type]
        self._estimator = self._given_estimator or make_estimator(
            self._rig, str(value_of(self, 'estimator')), str(value_of(self, 'device'))
        )
        self.health = InferenceHealth(self._rig, self._config)
        self._results = ResultPublisher(self, self._rig, mesh_faces(self._estimator))
        self._broadcaster = StaticTransformBroadcaster(self)
        self._static = self._broadcaster.pub_tf
        self._static_transforms: dict[str, TransformStamped] = {}
        self._publish_extrinsics(str(value_of(self, 'publish_extrinsics')))
        self._diagnostics = Diagnostics(self, self._rig.name, self._statuses)

    def begin(self) -> None:
        """Start the worker and subscribe."""
        assert self._estimator is not None
        self._estimator.reset()
        self._last_stamp = 0
        self._reset_wanted = False
        self._now = 0
        self._worker = NewestOnlyWorker(self._process, f'{self.get_name()} worker')
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jumps = self.get_clock().create_jump_callback(
            threshold, post_callback=self._time_jumped
        )
        if any(c.extrinsics_from_tf for c in self._rig.cameras.values()):
            self._buffer = Buffer()
            self._listener = TransformListener(self._buffer, self, spin_thread=False)
        arrivals = {name: self._subscribe(name) for name in self._config.streams}
        self.health.arrivals = arrivals
        self._filter = synchronize(self, arrivals, self._config)
        self._filter.registerCallback(self._take)

    def end(self) -> None:
        """Unsubscribe and stop the worker."""
        if isinstance(self._filter, SynchronizerFilter):
            self._filter.stop()
        self._filter = None
        for subscription in self._subscriptions_made:
            self.destroy_subscription(subscription)
        self._subscriptions_made.clear()
        if self._jumps is not None:
            self._jumps.unregister()
            self._jumps = None
        if self._listener is not None:
            self._listener.unregister()
            self._listener = self._buffer = None
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop():
            self.get_logger().error('the estimator does not come to an end')

    def free(self) -> None:
        """Let go of the estimator, its memory and the publishers."""
        if self._diagnostics is not None:
            self._diagnostics.stop()
            self._diagnostics = None
        if self._results is not None:
            self._results.stop()
            self._results = None
        if self._static is not None:
            self.destroy_publisher(self._static)
            self._static = None
        self._estimator = None
        gc.collect()
        torch = sys.modules.get('torch')
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _subscribe(self, name: str) -> Arrivals:
        """Subscribe to the images and the camera_info of one camera."""
        description = self._rig.cameras[name]
        compressed = value_of(self, 'image_transport') == 'compressed'
        topic = f'{name}/image_raw'
        images = f'{topic}/compressed' if compressed else topic
        subscriber = Subscriber(
            self,
            CompressedImage if compressed else Image,
            images,
            **qos.subscription_options(self, images, qos.SENSOR),
        )
        stream = StreamInput(
            description,
            self.resolve_topic_name(topic),
            from_info=value_of(self, 'intrinsics') == 'camera_info',
            lookup=partial(self._look_up, name),
            complain=self.log_sometimes,
        )
        self.health.inputs[name] = stream
        info = f'{name}/camera_info'
        options = qos.subscription_options(self, info, qos.SENSOR)
        infos = self.create_subscription(CameraInfo, info, stream.set_camera_info, **options)
        self._subscriptions_made += [subscriber.sub, infos]
        return Arrivals(
            subscriber,
            topic=self.resolve_topic_name(images),
            offset=description.time_offset,
            now=lambda: self.get_clock().now().nanoseconds,
            allowance=lambda: int(float(value_of(self, 'max_future')) * 1e9),
            complain=self.log_sometimes,
        )

    def _take(self, *messages: Image | CompressedImage | None) -> None:
        """Hand a set to the worker; runs in the executor's thread."""
        worker = self._worker
        if worker is not None:
            worker.put(messages)
            self.health.replaced = worker.replaced

    def _time_jumped(self, jump: Any) -> None:
        self._reset_wanted = True
        if isinstance(self._filter, SynchronizerFilter):
            self._filter.reset()

    def _process(self, messages: Set) -> None:
        """Work on one set; runs in the worker's thread and survives whatever happens."""
        try:
            self._estimate(messages)
        except RCLError as error:
            self.health.faults += 1
            if self.context.ok():
                self.log_sometimes('publish', f'results not published: {error}')
        except Exception as error:
            self.health.faults += 1
            reason = str(error) if isinstance(error, HandPoseError) else traceback.format_exc()
            self.log_sometimes('estimate', f'no result for this set of images: {reason}')

    def _estimate(self, messages: Set) -> None:
        started = time.perf_counter()
        images = self._convert(messages)
        if not images or any(name not in images for name in self._config.required):
            return
        frame = rig_frame(self._current_rig(), images)
        converted = time.perf_counter()
        if not self._in_order(frame.stamp):
            return
        estimator, publisher = self._estimator, self._results
        assert estimator is not None and publisher is not None
        hands = estimator.estimate(frame)
        timings = {'convert': converted - started, **estimator.timings}
        timings['estimate'] = time.perf_counter() - converted
        results = Results(
            frame=frame,
            hands=hands,
            estimator=estimator.name,
            model_hash=estimator.model_hash,
            timings=timings,
        )
        published = time.perf_counter()
        until_hands = publisher.publish(
            results,
            transforms=bool(value_of(self, 'publish_tf')),
            overlay_stream=str(value_of(self, 'overlay_stream')),
        )
        now = self.get_clock().now().nanoseconds
        rest = time.perf_counter() - published - until_hands
        timings['publish'] = until_hands + rest
        self.health.finished(results, now - int(rest * 1e9))

    def _convert(self, messages: Set) -> dict[str, StreamImage]:
        """Return the usable images of a set; each that is not is logged and left out."""
        images: dict[str, StreamImage] = {}
        for name, message in zip(self._config.streams, messages, strict=True):
            if message is None:
                continue
            try:
                images[name] = self.health.inputs[name].stream_image(message)
            except HandPoseError as error:
                self.health.refused[name] = self.health.refused.get(name, 0) + 1
                self.log_sometimes(f'{name} {type(error).__name__}', f'image not used: {error}')
        return images

    def _current_rig(self) -> RigDescription:
        """Return the rig with what camera_info and /tf_static have said since."""
        known = {name: stream.description for name, stream in self.health.inputs.items()}
        if any(self._rig.cameras[name] is not camera for name, camera in known.items()):
            self._rig = replace(self._rig, cameras={**self._rig.cameras, **known})
        return self._rig

    def _in_order(self, stamp: int) -> bool:
        """Say whether a set may be used; a jump back of time makes the estimator forget."""
        assert self._estimator is not None
        behind = self._last_stamp - stamp
        if self._reset_wanted or behind > _JUMP:
            self._reset_wanted = False
            self.health.resets += 1
            self._estimator.reset()
        elif behind >= 0 and self._last_stamp:
            self.health.late += 1
            return False
        self._last_stamp = stamp
        return True

    def _publish_extrinsics(self, which: str) -> None:
        cameras = self._rig.cameras.values()
        chosen = [c for c in cameras if which == 'all' or c.driver == 'external']
        chosen = [c for c in chosen if not c.extrinsics_from_tf]
        if which != 'none' and chosen:
            now = self.get_clock().now().nanoseconds
            self._send_static(camera_transform(c, self._rig.rig_frame, now) for c in chosen)

    def _send_static(self, transforms: Iterable[TransformStamped]) -> None:
        # All that were ever sent, since some broadcasters latch their last message only.
        self._static_transforms.update((t.child_frame_id, t) for t in transforms)
        self._broadcaster.sendTransform(list(self._static_transforms.values()))

    def _look_up(self, name: str, frame_id: str) -> NDArray:
        """Return ``T_rig_cam`` from /tf_static and make sure that our own frame is there too."""
        assert self._buffer is not None
        rig_name = self._rig.rig_frame
        try:
            found = self._buffer.lookup_transform(rig_name, frame_id, Time())
        except TransformException as error:
            raise ImageError(
                f'/tf_static does not say yet where {frame_id} is in {rig_name} ({error}): publish '
                f'it, or put T_rig_cam of {name} into the rig file'
            ) from None
        transform = matrix(found.transform)
        camera = replace(self._rig.cameras[name], T_rig_cam=transform)
        if camera.frame_id != frame_id:
            stamp = nanoseconds(found.header.stamp)
            self._send_static([camera_transform(camera, rig_name, stamp)])
        return transform

    def _statuses(self) -> Iterable[Status]:
        counters = self._filter.counters if isinstance(self._filter, SynchronizerFilter) else None
        now = self.get_clock().now().nanoseconds
        return self.health.statuses(now, counters, self._estimator, self.is_active)


def main(argv: list[str] | None = None) -> int:
    """Run the node until it is interrupted."""
    return run_node(InferenceNode, argv)


if __name__ == '__main__':
    raise SystemExit(main())

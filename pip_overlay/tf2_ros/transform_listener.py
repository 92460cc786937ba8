"""Fills a buffer from /tf and /tf_static."""

import threading

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from rclpy.subscription import Subscription
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import Buffer

_DEPTH = 100


class TransformListener:
    """Subscribes to transforms and puts them into a buffer.

    Args:
        buffer: the buffer to fill.
        node: the node that subscribes.
        spin_thread: spin the node in a thread of this listener.
        qos: profile or depth for /tf; a depth of 100 by default.
        static_qos: profile or depth for /tf_static; 100 latched messages by default.
        static_only: listen to /tf_static only.
        tf_topic: topic of moving frames.
        tf_static_topic: topic of frames that do not move.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
        static_only: bool = False,
        tf_topic: str = '/tf',
        tf_static_topic: str = '/tf_static',
    ) -> None:
        if static_qos is None:
            static_qos = QoSProfile(
                depth=_DEPTH,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
                history=HistoryPolicy.KEEP_LAST,
            )
        self.buffer = buffer
        self.node = node
        self.group = ReentrantCallbackGroup()
        self.tf_sub: Subscription | None = None
        if not static_only:
            self.tf_sub = node.create_subscription(
                TFMessage,
                tf_topic,
                self.callback,
                _DEPTH if qos is None else qos,
                callback_group=self.group,
            )
        self.tf_static_sub: Subscription | None = node.create_subscription(
            TFMessage,
            tf_static_topic,
            self.static_callback,
            static_qos,
            callback_group=self.group,
        )
        self.executor: SingleThreadedExecutor | None = None
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.executor.add_node(node)
            self.dedicated_listener_thread = threading.Thread(target=self._spin, daemon=True)
            self.dedicated_listener_thread.start()

    def callback(self, data: TFMessage) -> None:
        """Store transforms of moving frames."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, 'default_authority')

    def static_callback(self, data: TFMessage) -> None:
        """Store transforms of frames that do not move."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, 'default_authority')

    def unregister(self) -> None:
        """Stop listening; the buffer keeps what it has."""
        if self.executor is not None:
            self.executor.shutdown()
            self.executor = None
        for subscription in (self.tf_sub, self.tf_static_sub):
            if subscription is not None:
                self.node.destroy_subscription(subscription)
        self.tf_sub = self.tf_static_sub = None

    def _spin(self) -> None:
        executor = self.executor
        try:
            if executor is not None:
                executor.spin()
        except ExternalShutdownException:
            return

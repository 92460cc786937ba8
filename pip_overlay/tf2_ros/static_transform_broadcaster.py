"""Sends transforms of frames that do not move, latched, on /tf_static."""

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Publishes transforms on /tf_static so that nodes that start later get them too.

    Every message repeats all transforms sent before (as the C++ broadcaster does): a late listener
    gets the last message only.

    Args:
        node: the node that publishes.
        qos: profile or depth of the publisher; a latched message by default.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, '/tf_static', qos)
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several, replacing what was sent for the same child frames."""
        transforms = [transform] if isinstance(transform, TransformStamped) else list(transform)
        self._sent.update((item.child_frame_id, item) for item in transforms)
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))

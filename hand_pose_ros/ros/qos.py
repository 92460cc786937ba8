"""Quality of service: who uses which, how it is overridden, and how a mismatch is noticed."""

import os
from typing import Any

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.utilities import get_rmw_implementation_identifier

# Drivers offer what the middleware defaults to, so that every consumer can connect (REP-2003).
DRIVER = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
)
# Consumers of sensors want the newest, not all (REP-2003). Deeper than rclpy's profile of the name:
# an executor that gets no time for a fifth of a second should not lose images.
SENSOR = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=20, reliability=ReliabilityPolicy.BEST_EFFORT
)
RESULT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
)

# Fast DDS cuts larger messages into fragments that best-effort readers lose.
LARGEST_SAFE_MESSAGE = 512 * 1024
_CURES = (
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_BUILTIN_TRANSPORTS',
)


def _overridable() -> QoSOverridingOptions:
    return QoSOverridingOptions.with_default_policies()


def publisher(node: Node, message: type, topic: str, qos: QoSProfile) -> Publisher:
    """Make a publisher whose QoS parameters can override and whose mismatches are logged."""

    def incompatible(event: Any) -> None:
        _log_incompatible(node, topic, 'a subscriber asks for', event)

    return node.create_publisher(
        message,
        topic,
        _copy(qos),
        event_callbacks=PublisherEventCallbacks(incompatible_qos=incompatible),
        qos_overriding_options=_overridable(),
    )


def subscription_options(node: Node, topic: str, qos: QoSProfile) -> dict[str, Any]:
    """Return the keyword arguments of a subscription that is overridable and logs mismatches."""

    def incompatible(event: Any) -> None:
        _log_incompatible(node, topic, 'a publisher offers', event)

    return {
        'qos_profile': _copy(qos),
        'event_callbacks': SubscriptionEventCallbacks(incompatible_qos=incompatible),
        'qos_overriding_options': _overridable(),
    }


def loses_large_messages(size: int) -> bool:
    """Say whether best-effort messages of a size get lost between processes as things are set."""
    fast_dds = get_rmw_implementation_identifier().startswith('rmw_fastrtps')
    return size > LARGEST_SAFE_MESSAGE and fast_dds and not any(map(os.environ.get, _CURES))


def large_message_advice(topic: str, size: int) -> str:
    """Return the sentence that says what to do about large best-effort messages."""
    return (
        f'{topic}: messages of {size} bytes get lost on the way to best-effort subscribers in '
        'other processes (the default shared-memory segment holds 512 KB); set '
        'FASTDDS_DEFAULT_PROFILES_FILE to config/fastdds.xml of hand_pose_ros before starting '
        'the nodes that publish, as hand-pose up and the launch file do'
    )


def _copy(qos: QoSProfile) -> QoSProfile:
    # Overriding writes into the profile.
    return QoSProfile(
        history=qos.history,
        depth=qos.depth,
        reliability=qos.reliability,
        durability=qos.durability,
    )


def _log_incompatible(node: Node, topic: str, what: str, event: Any) -> None:
    policy = qos_policy_name_from_kind(event.last_policy_kind)
    node.get_logger().error(
        f'{node.resolve_topic_name(topic)}: {what} an incompatible QoS ({policy}), no message '
        f'will pass; override it with the parameter qos_overrides.<topic>.*'
    )

"""The node that publishes the time of a recording on /clock while its cameras are played."""

from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMessage

from hand_pose_ros.ros import qos
from hand_pose_ros.ros.camera_stream import ReplayClock
from hand_pose_ros.ros.stamps import time_message

_PERIOD = 0.01


class ClockNode(Node):
    """Publishes what a replay clock says, a hundred times a second of real time."""

    def __init__(self, replay: ReplayClock, name: str = 'replay_clock', **options: Any) -> None:
        """Start publishing; nothing is sent before the recording has a time.

        Args:
            replay: clock that the cameras of the recording share.
            name: of the node.
            **options: for the node (``namespace``, ``cli_args``, ...).
        """
        super().__init__(name, **options)
        self._replay = replay
        self._clock_publisher = self.create_publisher(ClockMessage, '/clock', qos.RESULT)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_PERIOD, self._publish, clock=steady)

    def _publish(self) -> None:
        now = self._replay.now()
        # Zero is how ROS says that there is no time yet.
        if now is not None and now > 0:
            self._clock_publisher.publish(ClockMessage(clock=time_message(now)))

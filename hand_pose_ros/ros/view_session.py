"""Spins the view's node until it is told to stop."""

from collections.abc import Callable, Iterable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from hand_pose_ros.ros.view_subscriber import ViewSubscriber


def spin_view(
    cameras: Iterable[str],
    *,
    on_hands: Callable[[Any, int], None],
    on_image: Callable[[str, Any], None],
    on_topology: Callable[[Any], None],
    alive: Callable[[], bool],
) -> None:
    """Feed the callbacks from the running graph until Ctrl-C or until ``alive`` says no."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    try:
        node = ViewSubscriber(
            cameras, on_hands=on_hands, on_image=on_image, on_topology=on_topology
        )
        executor.add_node(node)
        while alive() and rclpy.ok():
            executor.spin_once(timeout_sec=0.2)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        rclpy.try_shutdown()

"""A node that listens to everything the browser page shows."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import Image

from hand_pose_ros.msg import HandPose3DArray, HandTopology

_LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class ViewSubscriber(Node):
    """Hands the newest messages on; images no more often than a page needs them."""

    def __init__(
        self,
        cameras: Iterable[str],
        *,
        on_hands: Callable[[Any, int], None],
        on_image: Callable[[str, Any], None],
        on_topology: Callable[[Any], None],
        image_rate: float = 8.0,
        **options: Any,
    ) -> None:
        """Subscribe to results, topology and the images of some cameras.

        Args:
            cameras: names; their topics are ``<camera>/image_raw``.
            on_hands: gets every HandPose3DArray and its time of reception in nanoseconds.
            on_image: gets a camera's name and an Image.
            on_topology: gets the latched HandTopology.
            image_rate: most images per second and camera that are handed on.
            **options: for the node (``namespace``, ``context``, ...).
        """
        super().__init__('hand_pose_view', **options)
        self._interval = 1.0 / image_rate
        self._due: dict[str, float] = {}
        self.create_subscription(
            HandPose3DArray,
            'hand_pose/hands',
            lambda message: on_hands(message, time.time_ns()),
            qos_profile_sensor_data,
        )
        self.create_subscription(HandTopology, 'hand_pose/topology', on_topology, _LATCHED)
        for camera in cameras:
            self.create_subscription(
                Image,
                f'{camera}/image_raw',
                partial(self._image, camera, on_image),
                qos_profile_sensor_data,
            )

    def _image(self, camera: str, on_image: Callable[[str, Any], None], message: Any) -> None:
        now = time.monotonic()
        if now >= self._due.get(camera, 0.0):
            self._due[camera] = now + self._interval
            on_image(camera, message)

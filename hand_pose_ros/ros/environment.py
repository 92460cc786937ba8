"""Environment variables that the middleware reads when the first node is made."""

import os
from collections.abc import MutableMapping

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.resources import share_file

DISCOVERY_RANGES = ('LOCALHOST', 'SUBNET', 'SYSTEM_DEFAULT')
PROFILE = 'config/fastdds.xml'


def prepare(
    discovery: str = 'LOCALHOST', environment: MutableMapping[str, str] | None = None
) -> None:
    """Keep traffic on this machine and large images whole; to be called before ``rclpy.init``.

    What the user has set already stays.

    Args:
        discovery: who may see the topics: ``LOCALHOST``, ``SUBNET``, or ``SYSTEM_DEFAULT`` (as
            ROS itself would).
        environment: written to; that of this process by default.

    Raises:
        HandPoseError: the range does not exist.
    """
    if discovery not in DISCOVERY_RANGES:
        known = ', '.join(DISCOVERY_RANGES)
        raise HandPoseError(f'discovery range {discovery!r} does not exist, use one of {known}')
    environment = os.environ if environment is None else environment
    environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', discovery)
    if discovery != 'LOCALHOST':
        # Asked for in so many words: that is newer than a default some command has set.
        environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = discovery
    environment.setdefault('FASTDDS_DEFAULT_PROFILES_FILE', str(share_file(PROFILE)))

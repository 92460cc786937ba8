"""Filters over message streams with the public API of ROS 2's package of the same name.

Written for machines without a ROS installation; holds what hand_pose_ros uses. Unlike upstream,
callbacks run outside the lock: one that raises, is slow, or feeds its own synchroniser again
leaves the synchroniser usable. Callbacks of one synchroniser still run one at a time, in order.
"""

from message_filters.approximate import ApproximateTimeSynchronizer
from message_filters.filters import SimpleFilter, Subscriber
from message_filters.synchronizer import TimeSynchronizer

__all__ = ['ApproximateTimeSynchronizer', 'SimpleFilter', 'Subscriber', 'TimeSynchronizer']

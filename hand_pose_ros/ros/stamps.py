"""Between ROS time messages and integer nanoseconds."""

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

_SECOND = 1_000_000_000


def nanoseconds(stamp: Time) -> int:
    """Return a time message as integer nanoseconds."""
    return stamp.sec * _SECOND + stamp.nanosec


def time_message(stamp: int) -> Time:
    """Return integer nanoseconds as a time message."""
    seconds, rest = divmod(stamp, _SECOND)
    return Time(sec=seconds, nanosec=rest)


def header(stamp: int, frame_id: str) -> Header:
    """Return the header of something seen at ``stamp`` (nanoseconds) in a frame."""
    return Header(stamp=time_message(stamp), frame_id=frame_id)

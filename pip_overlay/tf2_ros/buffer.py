"""The store of all transforms, and the lookups in it."""

import math
import threading
import time as wall_time
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time

from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_ros.frame_history import FrameHistory, Sample, StaticFrame
from tf2_ros.rigid_transform import IDENTITY, RigidTransform, compose, inverse

_Found = tuple[RigidTransform, int]
_DEFAULT_CACHE_TIME = Duration(seconds=10)
_NO_WAIT = Duration()
_NORM_TOLERANCE = 1e-2
_LONGEST_CHAIN = 1000


class Buffer:
    """Keeps transforms over time and answers lookups between any two frames of one tree.

    Args:
        cache_time: how long past transforms are kept, 10 s by default.
        node: clears the buffer when this node's clock jumps backward.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        self._cache_time = (cache_time or _DEFAULT_CACHE_TIME).nanoseconds
        self._frames: dict[str, FrameHistory | StaticFrame] = {}
        self._names: set[str] = set()
        self._changed = threading.Condition(threading.RLock())
        if node is not None:
            threshold = JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            )
            self._jump_handle = node.get_clock().create_jump_callback(
                threshold, post_callback=self.time_jump_callback
            )

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Forget everything after a jump of the clock."""
        del time_jump
        self.clear()

    def clear(self) -> None:
        """Forget all frames."""
        with self._changed:
            self._frames.clear()
            self._names.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform of a moving frame; one that makes no sense is logged and dropped."""
        self._set(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds for ever; one that makes no sense is logged and dropped."""
        self._set(transform, authority, static=True)

    def _set(self, message: TransformStamped, authority: str, *, static: bool) -> None:
        child = message.child_frame_id.removeprefix('/')
        parent = message.header.frame_id.removeprefix('/')
        transform = _from_message(message)
        problem = _problem(child, parent, transform)
        if problem:
            get_logger('tf2').error(
                f'ignored a transform from {authority or "an unknown authority"}: {problem}',
                throttle_duration_sec=5.0,
            )
            return
        sample = Sample(parent, transform)
        stamp = Time.from_msg(message.header.stamp).nanoseconds
        with self._changed:
            frame = self._frames.get(child)
            if static:
                self._frames[child] = StaticFrame(sample)
            else:
                if not isinstance(frame, FrameHistory):
                    frame = self._frames[child] = FrameHistory(self._cache_time)
                frame.insert(stamp, sample)
            self._names.update((child, parent))
            self._changed.notify_all()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Any, timeout: Duration = _NO_WAIT
    ) -> TransformStamped:
        """Return the transform that maps points of ``source_frame`` into ``target_frame``.

        Args:
            target_frame: the frame to transform into.
            source_frame: the frame to transform from.
            time: ``rclpy.time.Time`` (or its message) of the transform; 0 is the newest common one.
            timeout: how long to wait for it.

        Raises:
            InvalidArgumentException: if a name is empty or starts with a slash.
            LookupException: if a frame is unknown.
            ConnectivityException: if the frames are in different trees.
            ExtrapolationException: if the time is outside of what is stored.
        """
        stamp = _nanoseconds(time)
        transform, found = self._retry(
            lambda: self._lookup(target_frame, source_frame, stamp), timeout
        )
        return _to_message(transform, target_frame, source_frame, found)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration = _NO_WAIT,
    ) -> TransformStamped:
        """Return the transform from the source at one time into the target at another time.

        The way leads through ``fixed_frame``, which is taken not to move in between. Errors are
        those of ``lookup_transform``.
        """
        times = _nanoseconds(target_time), _nanoseconds(source_time)

        def lookup() -> _Found:
            into_fixed, _ = self._lookup(fixed_frame, source_frame, times[1])
            into_target, found = self._lookup(target_frame, fixed_frame, times[0])
            return compose(into_target, into_fixed), found

        transform, found = self._retry(lookup, timeout)
        return _to_message(transform, target_frame, source_frame, found)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Any,
        timeout: Duration = _NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Tell whether ``lookup_transform`` would succeed; with the reason if asked for."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            return (False, str(error)) if return_debug_tuple else False
        return (True, '') if return_debug_tuple else True

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration = _NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Tell whether ``lookup_transform_full`` would succeed; with the reason if asked for."""
        try:
            self.lookup_transform_full(
                target_frame, target_time, source_frame, source_time, fixed_frame, timeout
            )
        except TransformException as error:
            return (False, str(error)) if return_debug_tuple else False
        return (True, '') if return_debug_tuple else True

    def _retry(self, lookup: Callable[[], _Found], timeout: Duration) -> _Found:
        """Look up again whenever something changes, until it succeeds or the time is over."""
        deadline = wall_time.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            while True:
                try:
                    return lookup()
                except TransformException:
                    remaining = deadline - wall_time.monotonic()
                    if remaining <= 0:
                        raise
                    self._changed.wait(remaining)

    def _lookup(self, target: str, source: str, stamp: int) -> _Found:
        """Return ``T_target_source`` and the stamp it holds for."""
        for argument, frame in (('target_frame', target), ('source_frame', source)):
            if not frame or frame.startswith('/'):
                reason = "it cannot be empty or start with a '/'"
                raise InvalidArgumentException(f'Invalid {argument} "{frame}" in lookup: {reason}')
        for argument, frame in (('target_frame', target), ('source_frame', source)):
            if frame not in self._names:
                raise LookupException(
                    f'"{frame}" passed to lookupTransform argument {argument} does not exist. '
                )
        if stamp == 0:
            stamp = self._latest_common(target, source)
        try:
            return self._between(target, source, stamp), stamp
        except ExtrapolationException as error:
            way = f'when looking up transform from frame [{source}] to frame [{target}]'
            raise ExtrapolationException(f'{error}, {way}') from None

    def _chain(
        self, frame: str, stamp: int
    ) -> tuple[dict[str, RigidTransform], ExtrapolationException | None]:
        """Return all ancestors of a frame (itself first) with the transform into each.

        An ancestor that is not known at that time ends the chain; the error says so.
        """
        transform = IDENTITY
        chain = {frame: transform}
        while frame in self._frames and len(chain) < _LONGEST_CHAIN:
            try:
                sample = self._frames[frame].at(stamp)
            except ExtrapolationException as error:
                return chain, error
            frame = sample.parent
            if frame in chain:
                raise LookupException(f'The frames form a loop through "{frame}".')
            transform = compose(sample.transform, transform)
            chain[frame] = transform
        return chain, None

    def _between(self, target: str, source: str, stamp: int) -> RigidTransform:
        if target == source:
            return IDENTITY
        from_source, source_error = self._chain(source, stamp)
        from_target, target_error = self._chain(target, stamp)
        for ancestor, into_ancestor in from_source.items():
            if ancestor in from_target:
                return compose(inverse(from_target[ancestor]), into_ancestor)
        error = source_error or target_error
        if error is not None:
            raise error
        raise ConnectivityException(
            f"Could not find a connection between '{target}' and '{source}' because they are not"
            ' part of the same tree. Tf has two or more unconnected trees.'
        )

    def _latest_common(self, target: str, source: str) -> int:
        """Return the newest stamp for which all between two frames is known; 0 if static."""
        if target == source:
            moving = {source}
        else:
            ways = [set(self._chain(frame, 0)[0]) for frame in (source, target)]
            if not ways[0] & ways[1]:
                return 0
            moving = ways[0] ^ ways[1]
        frames = (self._frames[frame] for frame in moving if frame in self._frames)
        stamps = (frame.latest() for frame in frames)
        return min((stamp for stamp in stamps if stamp is not None), default=0)


def _nanoseconds(time: Any) -> int:
    return time.nanoseconds if hasattr(time, 'nanoseconds') else Time.from_msg(time).nanoseconds


def _problem(child: str, parent: str, transform: RigidTransform) -> str:
    """Return what is wrong with a transform, or ''."""
    if not child or not parent:
        return f'parent "{parent}" or child "{child}" has no name.'
    if child == parent:
        return f'parent and child are both "{child}".'
    if not all(math.isfinite(value) for value in (*transform.translation, *transform.rotation)):
        return f'a value of "{child}" is not a number.'
    norm = math.sqrt(sum(value * value for value in transform.rotation))
    if abs(norm - 1.0) > _NORM_TOLERANCE:
        return f'the rotation of "{child}" has the norm {norm:g} instead of 1.'
    return ''


def _from_message(message: TransformStamped) -> RigidTransform:
    translation, rotation = message.transform.translation, message.transform.rotation
    return RigidTransform(
        (translation.x, translation.y, translation.z),
        (rotation.x, rotation.y, rotation.z, rotation.w),
    )


def _to_message(
    transform: RigidTransform, target: str, source: str, stamp: int
) -> TransformStamped:
    message = TransformStamped(child_frame_id=source)
    message.header.frame_id = target
    message.header.stamp = TimeMessage(sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = transform.translation
    rotation.x, rotation.y, rotation.z, rotation.w = transform.rotation
    return message

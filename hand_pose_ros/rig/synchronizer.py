"""Adaptive approximate-time synchronisation of image streams on integer stamps."""

from dataclasses import dataclass, field
from typing import Literal

from hand_pose_ros.errors import RigError

Policy = Literal['adaptive', 'approximate_time']
POLICIES: tuple[Policy, ...] = ('adaptive', 'approximate_time')


@dataclass(frozen=True, kw_only=True)
class SynchronizerConfig:
    """How streams are put together.

    Attributes:
        streams: names of the streams, in the order of the rig.
        reference: stream whose stamp a set carries when it is present.
        required: streams a set must hold; the others may be missing after the time-out.
        offsets: constant lateness per stream in nanoseconds; true stamp = stamp - offset.
        max_spread: largest difference between two stamps of a set in nanoseconds.
        timeout: how long a set may wait for a missing stream, in nanoseconds.
        queue_size: messages kept per stream while waiting.
        policy: ``adaptive`` (this module) or ``approximate_time`` (message_filters' own class,
            with ``max_spread`` as its slop; ROS only).
    """

    streams: tuple[str, ...]
    reference: str = ''
    required: tuple[str, ...] = ()
    offsets: dict[str, int] = field(default_factory=dict)
    max_spread: int = 40_000_000
    timeout: int = 100_000_000
    queue_size: int = 10
    policy: Policy = 'adaptive'

    def __post_init__(self) -> None:
        """Fill in the reference and refuse names that are no stream and empty limits."""
        if not self.streams or len(set(self.streams)) != len(self.streams):
            raise RigError(f'synchronizer streams must be distinct names, got {self.streams}')
        if not self.reference:
            object.__setattr__(self, 'reference', self.streams[0])
        for label, names in (
            ('reference', (self.reference,)),
            ('required', self.required),
            ('offsets', tuple(self.offsets)),
        ):
            for name in names:
                if name not in self.streams:
                    known = ', '.join(self.streams)
                    raise RigError(f'synchronizer {label} names {name!r}, use one of {known}')
        if self.policy not in POLICIES:
            raise RigError(f'policy {self.policy!r} is unknown: use {" or ".join(POLICIES)}')
        for label, value in (('max_spread', self.max_spread), ('timeout', self.timeout)):
            if value < 0:
                raise RigError(f'synchronizer {label} must not be negative, got {value} ns')
        if self.queue_size < 1:
            raise RigError(f'synchronizer queue_size must be at least 1, got {self.queue_size}')

"""What goes into and comes out of the synchroniser: configuration, sets and counters."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

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
        timeout: how long a set may wait for a missing stream, in nanoseconds; a stream that has
            been silent for so long is not waited for at all until it comes back.
        queue_size: messages kept per stream while waiting.
        policy: ``adaptive`` (this module) or ``approximate_time`` (message_filters' own class,
            with ``max_spread`` as its slop; ROS only).
    """

    streams: tuple[str, ...]
    reference: str = ''
    required: tuple[str, ...] = ()
    offsets: dict[str, int] = field(default_factory=dict)
    max_spread: int = 40_000_000
    timeout: int = 250_000_000
    queue_size: int = 20
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


class SynchronizedSet(NamedTuple):
    """Messages that belong together.

    Attributes:
        stamps: acquisition stamp by stream in nanoseconds, constant offsets removed.
        items: what was added, by stream.
        spread: largest difference between two of the stamps.
        wait: how far time had moved past the newest stamp when the set was settled.
        partial: whether a stream is missing.
    """

    stamps: dict[str, int]
    items: dict[str, Any]
    spread: int
    wait: int
    partial: bool


@dataclass(frozen=True, kw_only=True)
class StreamCounters:
    """What became of the messages of one stream.

    Attributes:
        received: all that were added.
        matched: those that are in a set.
        dropped: those that can no longer be in one (late, double and misdated ones included).
        late: those that came too late, were doubles, or had a stamp far from all others.
    """

    received: int
    matched: int
    dropped: int
    late: int


@dataclass(frozen=True, kw_only=True)
class SynchronizerCounters:
    """Totals since the synchroniser was made; times in nanoseconds.

    Attributes:
        streams: counters by stream.
        sets, partial_sets: sets emitted, and how many of them lacked a stream.
        spread_mean, spread_max: spread of the sets.
        wait_mean, wait_max: how long the sets waited for evidence.
        resets: times the state was cleared, by a jump of the stamps or by ``reset``.
    """

    streams: dict[str, StreamCounters]
    sets: int
    partial_sets: int
    spread_mean: float
    spread_max: int
    wait_mean: float
    wait_max: int
    resets: int

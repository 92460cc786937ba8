"""The stamps of one stream: rate, losses, jitter, clocks."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.sessions.checks.findings import Finding, Severity

Stamps = NDArray[np.int64]

# Losing fewer images than this share is what the recorder promises.
TOLERATED_LOSS = 0.001
# Intervals longer than this many periods are gaps.
_GAP = 1.5
_MOST_GAPS = 20
# A rate that differs by more from the rig's is told.
_RATE_TOLERANCE = 0.1
# Reception this much before or after acquisition is not latency: the clocks differ.
_CLOCK_NS = 60 * 10**9
_SECOND = 1e9
_HOUR = 3600 * 10**9
# Images after a gap that may be those that are missing in it.
_BURST = 30


@dataclass(kw_only=True)
class LossCounter:
    """Counts images that are missing between stamps.

    Images that come in a burst after a gap were late, not lost: drivers that stamp on reception
    show a stall of the host that way.

    Attributes:
        period: nominal, nanoseconds.
        lost: images missing so far.
    """

    period: float
    lost: int = 0
    _last: int = 0
    _early: int = 0
    _since_gap: int = 0

    def add(self, stamp: int) -> None:
        """Count the next stamp in; 0 is none."""
        last, self._last = self._last, stamp
        if not last or not stamp or not self.period or abs(stamp - last) > _HOUR:
            # An interval of hours is a clock that was set, not a million lost images.
            return
        missing = round((stamp - last) / self.period) - 1
        if stamp < last:
            self._last = last
        self._since_gap += 1
        if missing > 0:
            self.lost += max(0, missing - self._early)
            self._early = self._since_gap = 0
        elif missing < 0:
            recent = self.lost and self._since_gap <= _BURST
            self.lost -= 1 if recent else 0
            self._early = 0 if recent else 1


@dataclass(kw_only=True)
class StreamTimes:
    """Stamps of one stream as they come: 16 bytes a message stay in memory.

    Attributes:
        stamps: of acquisition, nanoseconds.
        received: of reception, nanoseconds.
        bytes: of all messages.
    """

    stamps: array = field(default_factory=lambda: array('q'))
    received: array = field(default_factory=lambda: array('q'))
    bytes: int = 0

    def add(self, stamp: int, received: int, size: int) -> None:
        """Count one message in."""
        self.stamps.append(stamp)
        self.received.append(received)
        self.bytes += size

    @property
    def arrays(self) -> tuple[Stamps, Stamps]:
        """Both kinds of stamps as (N,) int64."""
        return np.array(self.stamps, np.int64), np.array(self.received, np.int64)


@dataclass(frozen=True, kw_only=True)
class TimesReport:
    """What the stamps of a stream say.

    Attributes:
        messages: images.
        megabytes: of them.
        rate: images per second between first and last stamp.
        nominal: what the rig says, or one over the median interval.
        lost: images missing between the first and the last, against the nominal period.
        gaps: the longest intervals that lack images: stamp before them (ns) and seconds.
        jitter_ms: 99th percentile of how far intervals are from their median, gaps left out.
        backwards: stamps smaller than the one before.
        repeated: stamps equal to the one before.
        zero: stamps that are 0.
        latency_ms: median of reception minus acquisition.
    """

    messages: int
    megabytes: float
    rate: float
    nominal: float
    lost: int
    gaps: list[tuple[int, float]]
    jitter_ms: float
    backwards: int
    repeated: int
    zero: int
    latency_ms: float


def times_report(times: StreamTimes, nominal: float = 0.0) -> TimesReport:
    """Judge the stamps of a stream.

    Args:
        times: the stamps.
        nominal: images per second that the rig says, 0 when unknown.
    """
    stamps, received = times.arrays
    steps = np.diff(stamps)
    forward = steps[steps > 0]
    median = float(np.median(forward)) if forward.size else 0.0
    if not nominal:
        nominal = _SECOND / median if median else 0.0
    period = _SECOND / nominal if nominal else 0.0
    losses = LossCounter(period=period)
    for stamp in times.stamps:
        losses.add(stamp)
    span = float(stamps.max() - stamps.min()) if stamps.size > 1 else 0.0
    steady = forward[forward < _GAP * period] if period else forward
    off = np.abs(steady - np.median(steady)) if steady.size else np.zeros(1)
    return TimesReport(
        messages=len(stamps),
        megabytes=times.bytes / 1e6,
        rate=(len(stamps) - 1) * _SECOND / span if span else 0.0,
        nominal=nominal,
        lost=losses.lost,
        gaps=_gaps(stamps, steps, period),
        jitter_ms=float(np.percentile(off, 99)) * 1e-6,
        backwards=int((steps < 0).sum()),
        repeated=int((steps == 0).sum()),
        zero=int((stamps == 0).sum()),
        latency_ms=float(np.median(received - stamps)) * 1e-6 if stamps.size else 0.0,
    )


def times_findings(name: str, report: TimesReport) -> Iterator[Finding]:
    """Yield what is wrong with the stamps of a stream."""
    if report.zero:
        bad: Severity = 'unusable' if report.zero == report.messages else 'lossy'
        yield Finding(
            severity=bad, subject=name,
            text=f'{report.zero} of {report.messages} images have no stamp (0): set header.stamp '
            'in the driver.',
        )  # fmt: skip
    share = report.lost / max(report.lost + report.messages, 1)
    if share > TOLERATED_LOSS:
        longest = max((seconds for _, seconds in report.gaps), default=0.0)
        yield Finding(
            severity='lossy', subject=name,
            text=f'{report.lost} images ({100 * share:.1f} %) are missing against '
            f'{report.nominal:.4g}/s, the longest gap is {longest:.2f} s.',
        )  # fmt: skip
    if report.rate and abs(report.rate / report.nominal - 1) > _RATE_TOLERANCE + share:
        yield Finding(
            severity='warning', subject=name,
            text=f'images come at {report.rate:.4g}/s, the rig says {report.nominal:.4g}/s: '
            'correct rate in the rig file or the setting of the camera.',
        )  # fmt: skip
    if report.backwards:
        yield Finding(
            severity='warning', subject=name,
            text=f'stamps go backwards {report.backwards} times: the clock was set while '
            'recording, or two drivers publish on this topic.',
        )  # fmt: skip
    if report.repeated:
        yield Finding(
            severity='warning', subject=name,
            text=f'{report.repeated} images have the stamp of the one before: the driver sends '
            'images twice, or its clock is too coarse.',
        )  # fmt: skip


def clock_findings(reports: dict[str, TimesReport]) -> Iterator[Finding]:
    """Yield streams whose acquisition clock is another than the recorder's."""
    offsets = {
        name: report.latency_ms * 1e6
        for name, report in reports.items()
        if report.messages > report.zero
    }
    if not offsets or max(map(abs, offsets.values())) < _CLOCK_NS:
        return
    spread = max(offsets.values()) - min(offsets.values())
    if spread < _CLOCK_NS:
        yield Finding(
            severity='warning', subject='',
            text=f'all images were received {_duration(min(offsets.values()))} after their stamps: '
            'a recording was recorded again, or the clocks differ.',
        )  # fmt: skip
        return
    for name, offset in offsets.items():
        if abs(offset) >= _CLOCK_NS:
            yield Finding(
                severity='unusable', subject=name,
                text=f'stamps are {_duration(offset)} before their reception, those of other '
                'streams are not: two clocks are mixed (time zone, or time since boot); set the '
                'stamp source of the driver.',
            )  # fmt: skip


def _duration(nanoseconds: float) -> str:
    hours = nanoseconds / 3.6e12
    return f'{hours:.2f} h' if abs(hours) >= 0.1 else f'{nanoseconds * 1e-9:.0f} s'


def _gaps(stamps: Stamps, steps: Stamps, period: float) -> list[tuple[int, float]]:
    places = np.flatnonzero(steps > _GAP * period) if period else np.zeros(0, np.int64)
    longest = places[np.argsort(-steps[places], kind='stable')][:_MOST_GAPS]
    return [(int(stamps[place]), float(steps[place]) * 1e-9) for place in sorted(longest)]

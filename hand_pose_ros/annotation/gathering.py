"""Gathering: the evidence of one chunk of a session, read from its images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.looking_back import look_back
from hand_pose_ros.annotation.masks import load_segmenter
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.annotation.watching import Watched, follow, look, watched
from hand_pose_ros.errors import DataError
from hand_pose_ros.estimators.networks import HandNetworks, load_networks
from hand_pose_ros.estimators.registry import create
from hand_pose_ros.rig.frame import RigFrame
from hand_pose_ros.sessions.session import Session

# Frames read before and after a chunk: hands are followed into it and carried over its ends.
_BEFORE, _AFTER = 12, 6


@dataclass(kw_only=True, eq=False)
class Gatherer:
    """Reads chunks of a session.

    Attributes:
        session: open.
        settings: what to use.
    """

    session: Session
    settings: Settings

    def __post_init__(self) -> None:
        """Choose the cameras.

        Raises:
            DataError: if a chosen camera is not there, or none can be used.
        """
        session, wanted = self.session, self.settings.cameras
        for name in wanted:
            if name not in session.streams:
                known = ', '.join(session.streams)
                raise DataError(f'{session.path} has no images of camera {name!r}: use {known}.')
        names = wanted or tuple(session.streams)
        self.cameras: Watched = watched(session.rig, names)
        usable = self.cameras.looks + self.cameras.depths
        if not self.cameras.looks:
            raise DataError(
                f'{session.path} has no calibrated thermal, NIR or RGB camera among '
                f'{", ".join(names)}: calibrate one (hand-pose calibrate), or name a rig (--rig).'
            )
        # Only the rig's own cameras move with the hands' world; the live estimator knows no others.
        own = tuple(name for name in usable if not session.rig.cameras[name].body)
        self._followed = own or usable
        self._networks: HandNetworks | None = None
        self._segmenter = load_segmenter(self.settings.segmenter)

    @property
    def chunks(self) -> list[range]:
        """Numbers of the sets in each chunk."""
        count, size = len(self.session.sets), self.settings.chunk
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    @property
    def stamps(self) -> NDArray[np.int64]:
        """Stamps of the sets that evidence is gathered of."""
        return self.session.stamps[self._usable(range(len(self.session.sets)), self._followed)]

    def gather(self, chunk: range) -> Evidence:
        """Return the evidence of the sets of a chunk that have an image of a used camera."""
        total = len(self.session.sets)
        numbers = range(max(0, chunk.start - _BEFORE), min(total, chunk.stop + _AFTER))
        estimator = create(self.settings.estimator, self._options(), self.session.rig)
        poses = follow(estimator, (frame for _, frame in self._frames(numbers, self._followed)))
        rows = self._usable(numbers, self._followed)
        poses = look_back(
            poses, lambda row: self.session.frame(rows[row], self._followed), estimator
        )
        evidence = look(
            self._frames(numbers, self._followed, self.cameras), poses, self.session.rig,
            self._loaded_networks(), self.cameras, self._segmenter,
        )  # fmt: skip
        # A frame read without the reference image has another stamp than its set.
        stamps = self.session.stamps[evidence.numbers]
        evidence.lag[:] += (evidence.stamps - stamps) * 1e-9
        evidence.stamps[:] = stamps
        inside = (evidence.numbers >= chunk.start) & (evidence.numbers < chunk.stop)
        return evidence.take(np.flatnonzero(inside))

    def _options(self) -> dict[str, object]:
        # One view a frame is enough to follow a hand: all of them are looked at afterwards.
        return {
            'mesh': False, 'blobs': False, 'streams_per_frame': 1, 'threads': self.settings.threads
        }  # fmt: skip

    def _loaded_networks(self) -> HandNetworks:
        if self._networks is None:
            self._networks = load_networks(self.settings.threads)
        return self._networks

    def _frames(
        self, numbers: range, needed: tuple[str, ...], cameras: Watched | None = None
    ) -> Iterator[tuple[int, RigFrame]]:
        """Read the sets that have an image of a needed camera, of those or of all cameras."""
        names = needed if cameras is None else cameras.looks + cameras.depths
        return self.session.frames(self._usable(numbers, needed), names)

    def _usable(self, numbers: range, needed: tuple[str, ...]) -> list[int]:
        sets = self.session.sets
        return [number for number in numbers if any(name in sets[number] for name in needed)]

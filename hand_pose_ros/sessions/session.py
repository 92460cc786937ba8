"""Session: a recorded bag with its rig, read as the rig frames a live estimator would get."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.places import message_places
from hand_pose_ros.bags.reader import BagMessage, BagReader
from hand_pose_ros.errors import BagError, DataError
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.sessions.labels import SessionLabels, labelled_rig, labels_folder
from hand_pose_ros.sessions.recorded_rig import (
    image_topic,
    recorded_image,
    recorded_rig,
    recorded_trajectories,
)
from hand_pose_ros.sessions.sets import synchronised
from hand_pose_ros.sessions.trajectory import Trajectory, trajectory_file
from hand_pose_ros.sessions.truth import recorded_truth

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamIndex:
    """The images of one camera, in the order they were received.

    Attributes:
        topic: topic of the images.
        stamps: (N,) int64 acquisition stamps of the headers, nanoseconds.
        received: (N,) int64 times of reception, nanoseconds.
    """

    topic: str
    stamps: Stamps
    received: Stamps


class Session:
    """A session open for reading; use as a context manager.

    Only stamps are kept in memory: images are read when asked for.

    Attributes:
        path: the bag's folder.
        rig: what it was recorded with.
        trajectories: how other bodies moved against the rig, by name.
        streams: index by camera name, of the cameras that the bag has images of.
    """

    def __init__(
        self,
        path: Path,
        rig: RigDescription | Path | None = None,
        trajectory: Trajectory | None = None,
    ) -> None:
        """Open a bag and index its images.

        Args:
            path: the bag.
            rig: a rig, or its file, to use instead; by default the one that the session was
                annotated with, else the recorded one.
            trajectory: of the exo cameras; by default the file beside the bag, else the bag's /tf.

        Raises:
            BagError: if it is missing, damaged or has images of no camera of the rig.
            RigError: if there is no rig in it and none is given.
        """
        self.path = Path(path)
        self._reader = BagReader(self.path)
        try:
            self.rig = recorded_rig(self._reader, rig or labelled_rig(self.path))
            self.trajectories = self._trajectories(trajectory)
            topics = [image_topic(name) for name in self.rig.cameras]
            self._places = message_places(self._reader, *topics)
            self.streams = self._index(topics)
        except BaseException:
            self._reader.close()
            raise

    @classmethod
    def open(
        cls,
        path: Path,
        rig: RigDescription | Path | None = None,
        trajectory: Trajectory | None = None,
    ) -> 'Session':
        """Open a session; see the constructor."""
        return cls(path, rig, trajectory)

    @cached_property
    def sets(self) -> list[dict[str, int]]:
        """Numbers of the images that belong together, by camera name, in time order.

        The rig's own streams are put together as they are live; images of other bodies join the
        set whose reference is nearest, within half their period.
        """
        config = self.rig.synchronizer
        streams = [name for name in config.streams if name in self.streams]
        if not streams:
            raise BagError(f'bag {self.path} has no image of {", ".join(config.streams)}.')
        if len(streams) == 1:
            sets = [{streams[0]: number} for number in range(len(self._stamps(streams[0])))]
        else:
            headers = {name: self.streams[name].stamps for name in streams}
            sets = [entry.items for entry in synchronised(self.rig, headers)]
        stamps = self._set_stamps(sets)
        order = np.argsort(stamps, kind='stable')
        sets, stamps = [sets[place] for place in order], stamps[order]
        for name in self.streams:
            if name not in config.streams:
                self._join(name, sets, stamps)
        return sets

    @cached_property
    def stamps(self) -> Stamps:
        """Stamps of the sets' reference images, nanoseconds, constant offsets removed."""
        return self._set_stamps(self.sets)

    def frame(self, number: int, streams: Sequence[str] | None = None) -> RigFrame:
        """Read one set, of all cameras or of some.

        Raises:
            DataError: if the set has none of the streams.
        """
        wanted = self._wanted(self.sets[number], streams)
        images = {name: self.image(name, place) for name, place in wanted.items()}
        if not images:
            raise DataError(f'{self.path}: set {number} has no image of {streams}.')
        return rig_frame(self.rig, images)

    def T_rig_cam(self, camera: str, stamp: int) -> Array | None:
        """Return where a camera is at a stamp, (4, 4); None where its body's motion is not known.

        Args:
            camera: name.
            stamp: of an image, nanoseconds, constant offset removed.
        """
        described = self.rig.cameras[camera]
        if not described.body:
            return described.T_rig_cam
        T_rig_body = self.trajectories[described.body].at(stamp)
        return None if T_rig_body is None else T_rig_body @ described.T_rig_cam

    def image(self, camera: str, number: int) -> StreamImage:
        """Read one image of a camera by its number."""
        return self._decoded(camera, self._places.read(self.streams[camera].topic, number))

    def frames(
        self, numbers: Sequence[int] | None = None, streams: Sequence[str] | None = None
    ) -> Iterator[tuple[int, RigFrame]]:
        """Read sets in one pass over the bag, in rising order.

        Args:
            numbers: rising numbers of sets; None = all.
            streams: cameras to read; None = all. Sets that have none of them are left out.
        """
        numbers = range(len(self.sets)) if numbers is None else numbers
        open_sets = {number: self._wanted(self.sets[number], streams) for number in numbers}
        open_sets = {number: wanted for number, wanted in open_sets.items() if wanted}
        owners: dict[str, dict[int, int]] = {}
        for number, wanted in open_sets.items():
            for name, place in wanted.items():
                owners.setdefault(name, {})[place] = number
        yield from self._assemble(open_sets, owners)

    def truth(self) -> SessionLabels | None:
        """Return the exact hands of a simulated session at the sets' stamps; else None."""
        return recorded_truth(self._reader, self.rig, self.stamps)

    def labels(self, *, truth: bool = False) -> SessionLabels:
        """Return the labels beside the bag, or the exact hands of a simulated session instead.

        Raises:
            DataError: if there are none, or they are of another recording.
        """
        if truth:
            exact = self.truth()
            if exact is None:
                raise DataError(f'{self.path} has no exact hands: only simulated sessions do.')
            return exact
        folder = labels_folder(self.path)
        labels = SessionLabels.load(folder)
        numbers = labels.numbers
        fits = len(numbers) == 0 or (numbers.min() >= 0 and numbers.max() < len(self.sets))
        if not fits or not np.array_equal(self.stamps[numbers], labels.stamps):
            raise DataError(
                f'{folder} holds labels of another recording than {self.path}: annotate it again.'
            )
        return labels

    def close(self) -> None:
        """Release the files."""
        self._reader.close()

    def __enter__(self) -> 'Session':
        """Return the open session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the files."""
        self.close()

    def _trajectories(self, given: Trajectory | None) -> dict[str, Trajectory]:
        path = trajectory_file(self.path)
        if given is None and path.is_file():
            given = Trajectory.load(path)
        if given is not None:
            return {given.body: given}
        return recorded_trajectories(self._reader, self.rig)

    def _index(self, topics: Sequence[str]) -> dict[str, StreamIndex]:
        places = self._places
        if not any(len(places.received(topic)) for topic in topics):
            raise BagError(
                f'bag {self.path} has no images on {", ".join(topics)}: name the rig it was '
                'recorded with (--rig).'
            )
        return {
            name: StreamIndex(
                topic=topic, stamps=places.stamps(topic), received=places.received(topic)
            )
            for name, topic in zip(self.rig.cameras, topics, strict=True)
            if len(places.received(topic)) and self._placed(self.rig.cameras[name])
        }

    def _placed(self, camera: CameraDescription) -> bool:
        """Whether it is known where a camera is: on the rig, or on a body with a trajectory."""
        return not camera.body or camera.body in self.trajectories

    def _stamps(self, name: str) -> Stamps:
        return self.streams[name].stamps - self.rig.cameras[name].time_offset

    def _set_stamps(self, sets: list[dict[str, int]]) -> Stamps:
        reference = self.rig.reference
        names = [reference if reference in entry else next(iter(entry)) for entry in sets]
        own = {name: self._stamps(name) for name in set(names)}
        pairs = zip(names, sets, strict=True)
        return np.array([own[name][entry[name]] for name, entry in pairs], np.int64)

    def _join(self, name: str, sets: list[dict[str, int]], stamps: Stamps) -> None:
        """Add each image of another body to the nearest set."""
        half_period = 0.5e9 / self.rig.cameras[name].rate
        for place, stamp in enumerate(self._stamps(name)):
            nearest = int(np.argmin(np.abs(stamps - stamp)))
            known = sets[nearest].get(name)
            away = abs(int(stamps[nearest] - stamp))
            if away > half_period:
                continue
            if known is None or away < abs(int(stamps[nearest] - self._stamps(name)[known])):
                sets[nearest][name] = place

    def _wanted(self, entry: dict[str, int], streams: Sequence[str] | None) -> dict[str, int]:
        return {name: place for name, place in entry.items() if streams is None or name in streams}

    def _decoded(self, name: str, message: BagMessage) -> StreamImage:
        image = recorded_image(message.data, self.rig.cameras[name])
        T_rig_cam = self.T_rig_cam(name, image.stamp)
        return replace(image, T_rig_cam=np.full((4, 4), np.nan) if T_rig_cam is None else T_rig_cam)

    def _assemble(
        self, open_sets: dict[int, dict[str, int]], owners: dict[str, dict[int, int]]
    ) -> Iterator[tuple[int, RigFrame]]:
        """Yield the frames of the open sets as their last image is met, in order."""
        if not open_sets:
            return
        received = [
            (int(self.streams[name].received[place]))
            for wanted in open_sets.values()
            for name, place in wanted.items()
        ]
        topics = {self.streams[name].topic: name for name in owners}
        places = {
            name: int(np.searchsorted(self.streams[name].received, min(received)))
            for name in owners
        }
        images: dict[int, dict[str, StreamImage]] = {}
        waiting = iter(sorted(open_sets))
        due = next(waiting, None)
        for message in self._reader.messages(*topics, start=min(received), stop=max(received) + 1):
            name = topics[message.topic]
            owner = owners[name].get(places[name])
            places[name] += 1
            if owner is None:
                continue
            images.setdefault(owner, {})[name] = self._decoded(name, message)
            while due is not None and len(images.get(due, ())) == len(open_sets[due]):
                yield due, rig_frame(self.rig, images.pop(due))
                due = next(waiting, None)

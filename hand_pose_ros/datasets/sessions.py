"""Sessions: own annotated recordings as a data set, read from their bags as they are.

Nothing is unpacked: images come from the bag, labels from ``<bag>_labels`` and masks of the hands
from the label bag in it. Which sessions belong to which split stands in ``splits.yaml`` beside
them; without it the folder, or the single bag, is one piece.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.images import image_array
from hand_pose_ros.bags.messages import IMAGE, deserialised
from hand_pose_ros.bags.places import message_places
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.datasets.dataset import HandDataset, runs
from hand_pose_ros.datasets.sample import HandSample, Modality
from hand_pose_ros.datasets.session_labels import hands_in_camera, labels_of
from hand_pose_ros.datasets.session_splits import find_sessions, sessions_of_split
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.rig.thermal import agc
from hand_pose_ros.sessions.labels import LABEL_BAG, SessionLabels, labels_folder, mask_topic
from hand_pose_ros.sessions.session import Session

Split = Literal['train', 'val', 'test']

_OPEN = 4  # sessions kept open


@dataclass(frozen=True, kw_only=True, eq=False)
class _Recording:
    """One session: where it is, and its labelled frames that have the wanted image."""

    path: Path
    camera: str
    labels: SessionLabels
    rows: NDArray[np.int64]

    @property
    def ticks(self) -> NDArray[np.int64]:
        """Stamps (N,) in whole periods of the session."""
        stamps = self.labels.stamps
        period = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1.0
        return np.rint((stamps - stamps[:1]) / period).astype(np.int64)


class _Masks:
    """Label masks of a camera from a label bag, by the header stamps of its images."""

    def __init__(self, folder: Path, camera: str) -> None:
        self._reader = BagReader(folder)
        self._topic = mask_topic(camera)
        self._places = message_places(self._reader, self._topic)
        stamps = self._places.stamps(self._topic).tolist()
        self._numbers = {stamp: number for number, stamp in enumerate(stamps)}

    def at(self, stamp: int) -> NDArray[np.uint8] | None:
        number = self._numbers.get(stamp)
        if number is None:
            return None
        message = self._places.read(self._topic, number)
        return np.array(image_array(deserialised(message.data, IMAGE)), np.uint8)

    def close(self) -> None:
        self._reader.close()


class Sessions(HandDataset):
    """Images of one sensor of all annotated sessions of a split."""

    shipped_hand = True

    def __init__(
        self, root: str | Path, *, split: Split = 'train', stream: Modality = 'thermal',
        minimum_quality: float = 0.0, truth: bool = False,
    ) -> None:  # fmt: skip
        """Open the sessions' labels; images are read when they are asked for.

        Args:
            root: a session's bag, a folder that holds such bags at any depth, or a pattern.
            split: which sessions, as ``splits.yaml`` in the folder says; without it all of them.
            stream: kind of camera.
            minimum_quality: labels below it count as not there.
            truth: use the exact hands of simulated sessions instead of labels.

        Raises:
            DataError: naming what is missing, or a session that is in two splits.
        """
        self.root = Path(root)
        self.modality: Modality = stream
        chosen = sessions_of_split(self.root, find_sessions(self.root), split)
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, tuple[Session, _Masks | None]] = OrderedDict()
        self._recordings = [self._recording(path, minimum_quality, truth) for path in chosen]
        self._frames = [
            (place, int(row))
            for place, recording in enumerate(self._recordings)
            for row in recording.rows
        ]
        if not self._frames:
            raise DataError(
                f'{self.root} has no labelled {stream} image in split {split} of quality '
                f'{minimum_quality} or better: annotate more, or lower minimum_quality'
            )

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The sessions' bags."""
        return tuple(recording.path for recording in self._recordings)

    @property
    def segments(self) -> list[range]:
        """Frames that follow each other without a gap."""
        numbered = [
            (place, int(number))
            for place, recording in enumerate(self._recordings)
            for number in recording.ticks[recording.rows]
        ]
        return runs(numbered)

    def __getitem__(self, index: int) -> HandSample:
        with self._lock:  # sessions are closed when too many are open
            return self._read(index)

    def _read(self, index: int) -> HandSample:
        place, row = self._frames[index]
        recording = self._recordings[place]
        labels, name = recording.labels, recording.camera
        session, masks = self._opened(recording)
        number = int(labels.numbers[row])
        frame = session.frame(number, (name,))
        stream = frame.streams[name]
        assert stream.camera is not None  # looked at when the session was opened
        T_cam_world = inverse(stream.T_rig_cam) @ frame.T_rig_frame
        header_stamp = int(session.streams[name].stamps[session.sets[number][name]])
        left, right = labels.usable[row].tolist()
        return HandSample(
            image=_pixels(stream.image, self.modality, stream.white_hot), modality=self.modality,
            camera=stream.camera, sequence=str(recording.path), index=number,
            mask=None if masks is None else masks.at(header_stamp), mask_labelled=(left, right),
            stamp=stream.stamp,
            **hands_in_camera(labels, row, stream.stamp, stream.camera, T_cam_world),
        )  # fmt: skip

    def close(self) -> None:
        """Release the bags."""
        while self._open:
            self._close_oldest()

    def _recording(self, path: Path, minimum_quality: float, truth: bool) -> _Recording:
        session = Session.open(path)
        try:
            camera = self._camera(session)
            labels = labels_of(session, truth=truth, minimum_quality=minimum_quality)
            there = np.array([camera in session.sets[number] for number in labels.numbers], bool)
        finally:
            session.close()
        rows = np.flatnonzero(labels.usable.any(axis=1) & there)
        return _Recording(path=path, camera=camera, labels=labels, rows=rows)

    def _camera(self, session: Session) -> str:
        """Return the camera on the rig that takes the wanted images."""
        for name, camera in session.rig.cameras.items():
            if camera.modality == self.modality and not camera.body and name in session.streams:
                if camera.camera is None:
                    raise DataError(
                        f'{session.path}: camera {name} is not calibrated: run hand-pose calibrate'
                    )
                return name
        known = ', '.join(session.streams)
        raise DataError(
            f'{session.path} has no {self.modality} camera, only {known}: change the stream'
        )

    def _opened(self, recording: _Recording) -> tuple[Session, _Masks | None]:
        path = recording.path
        if path not in self._open:
            folder = labels_folder(path) / LABEL_BAG
            masks = _Masks(folder, recording.camera) if folder.is_dir() else None
            self._open[path] = Session.open(path), masks
            while len(self._open) > _OPEN:
                self._close_oldest()
        self._open.move_to_end(path)
        return self._open[path]

    def _close_oldest(self) -> None:
        _, (session, masks) = self._open.popitem(last=False)
        session.close()
        if masks is not None:
            masks.close()


def _pixels(image: NDArray[Any], modality: Modality, white_hot: bool) -> NDArray[Any]:
    """Return the image as samples have it: 8 bits, thermal stretched and white-hot; depth as is."""
    if modality in ('depth', 'rgb'):
        return image
    if modality == 'nir' and image.dtype == np.uint8:
        return image
    return agc(image, white_hot=white_hot)

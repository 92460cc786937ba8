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
from scipy.spatial.transform import Rotation

from hand_pose_ros.bags.images import image_array
from hand_pose_ros.bags.messages import IMAGE, deserialised
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.datasets.dataset import HandDataset, runs
from hand_pose_ros.datasets.sample import HandSample, Modality
from hand_pose_ros.datasets.session_splits import find_sessions, sessions_of_split
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.rig.thermal import agc
from hand_pose_ros.sessions.labels import SessionLabels, labels_folder
from hand_pose_ros.sessions.session import Session

Array = NDArray[np.float64]
Split = Literal['train', 'val', 'test']

_BAG = 'bag'  # in the labels' folder
_OPEN = 4  # sessions kept open
# Frames of one clip follow each other within so many nominal periods.
_LONGEST_STEP = 1.5


@dataclass(frozen=True, kw_only=True, eq=False)
class _Recording:
    """One session: where it is, and its labelled frames that have the wanted image."""

    path: Path
    camera: str
    labels: SessionLabels
    rows: NDArray[np.int64]


class Sessions(HandDataset):
    """Images of one sensor of all annotated sessions of a split."""

    shipped_hand = True

    def __init__(
        self, root: str | Path, *, split: Split = 'train', stream: Modality = 'thermal',
        minimum_quality: float = 0.0, truth: bool = False,
    ) -> None:  # fmt: skip
        """Open the sessions' labels; images are read when they are asked for.

        Args:
            root: a session's bag, or a folder that holds such bags, at any depth.
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
        self._open: OrderedDict[Path, tuple[Session, BagReader | None]] = OrderedDict()
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
    def segments(self) -> list[range]:
        """Frames that follow each other without a gap."""
        numbered = []
        for place, row in self._frames:
            recording = self._recordings[place]
            stamps = recording.labels.stamps
            period = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1.0
            numbered.append((place, round((stamps[row] - stamps[0]) / period)))
        return runs(numbered, step=int(_LONGEST_STEP))

    def __getitem__(self, index: int) -> HandSample:
        with self._lock:  # a bag has one place it is read at
            return self._read(index)

    def _read(self, index: int) -> HandSample:
        place, row = self._frames[index]
        recording = self._recordings[place]
        labels, name = recording.labels, recording.camera
        session, masks = self._opened(recording.path)
        number = int(labels.numbers[row])
        frame = session.frame(number, (name,))
        stream = frame.streams[name]
        assert stream.camera is not None
        T_cam_world = inverse(stream.T_rig_cam) @ frame.T_rig_frame
        header_stamp = int(session.streams[name].stamps[session.sets[number][name]])
        mask = None if masks is None else _mask(masks, name, header_stamp)
        return HandSample(
            image=_pixels(stream.image, self.modality, stream.white_hot), modality=self.modality,
            camera=stream.camera, sequence=str(recording.path), index=number, mask=mask,
            stamp=stream.stamp, **_moved(labels, row, stream.camera, T_cam_world),
        )  # fmt: skip

    def close(self) -> None:
        """Release the bags."""
        while self._open:
            _, (session, masks) = self._open.popitem()
            session.close()
            if masks is not None:
                masks.close()

    def _recording(self, path: Path, minimum_quality: float, truth: bool) -> _Recording:
        session, _ = self._opened(path)
        cameras = [
            name
            for name, camera in session.rig.cameras.items()
            if camera.modality == self.modality and not camera.body and name in session.streams
        ]
        if not cameras:
            known = ', '.join(session.streams)
            raise DataError(
                f'{path} has no {self.modality} camera, only {known}: change the stream'
            )
        camera = cameras[0]
        if session.rig.cameras[camera].camera is None:
            raise DataError(f'{path}: camera {camera} is not calibrated: run hand-pose calibrate')
        labels = _labels(session, truth)
        usable = (labels.usable & (labels.quality >= minimum_quality)).any(axis=1)
        usable &= np.array([camera in session.sets[number] for number in labels.numbers], bool)
        dropped = ~(labels.usable & (labels.quality >= minimum_quality))
        for values in (labels.joints, labels.global_orient, labels.hand_pose, labels.betas,
                       labels.translation):  # fmt: skip
            values[dropped] = np.nan
        return _Recording(path=path, camera=camera, labels=labels, rows=np.flatnonzero(usable))

    def _opened(self, path: Path) -> tuple[Session, BagReader | None]:
        if path not in self._open:
            masks = labels_folder(path) / _BAG
            self._open[path] = (
                Session.open(path), BagReader(masks) if masks.is_dir() else None
            )  # fmt: skip
            while len(self._open) > _OPEN:
                _, (session, reader) = self._open.popitem(last=False)
                session.close()
                if reader is not None:
                    reader.close()
        self._open.move_to_end(path)
        return self._open[path]


def _labels(session: Session, truth: bool) -> SessionLabels:
    """Return the labels of a session; refuse those of another one."""
    if truth:
        found = session.truth()
        if found is None:
            raise DataError(f'{session.path} has no exact hands: only simulated sessions do')
        return found
    labels = SessionLabels.load(labels_folder(session.path))
    numbers = labels.numbers
    fits = len(numbers) == 0 or numbers.max() < len(session.sets)
    if not fits or not np.array_equal(session.stamps[numbers], labels.stamps):
        raise DataError(
            f'{labels_folder(session.path)} holds labels of another recording than {session.path}: '
            'annotate it again'
        )
    return labels


def _pixels(image: NDArray[Any], modality: Modality, white_hot: bool) -> NDArray[Any]:
    """Return the image as samples have it: 8 bits, thermal stretched and white-hot; depth as is."""
    if modality in ('depth', 'rgb'):
        return image
    if modality == 'thermal' and not white_hot:
        image = np.invert(image)
    return image if modality == 'nir' and image.dtype == np.uint8 else agc(image)


def _mask(reader: BagReader, camera: str, stamp: int) -> NDArray[np.uint8] | None:
    """Return the label mask of an image from the label bag."""
    topic = f'/labels/{camera}/mask'
    for message in reader.messages(topic, start=stamp, stop=stamp + 1):
        return np.array(image_array(deserialised(message.data, IMAGE)), np.uint8)
    return None


def _moved(labels: SessionLabels, row: int, camera: Camera, T_cam_world: Array) -> dict[str, Any]:
    """Return the labels of a frame in the camera's frame, and their pixels."""
    joints = apply(T_cam_world, labels.joints[row])
    orient = np.full((2, 3), np.nan)
    known = np.isfinite(labels.global_orient[row]).all(axis=1)
    if known.any():
        turned = Rotation.from_matrix(T_cam_world[:3, :3]) * Rotation.from_rotvec(
            labels.global_orient[row, known]
        )
        orient[known] = turned.as_rotvec()
    # The model turns about its own wrist at rest, J0 = wrist - translation, which stays in place.
    rest = labels.joints[row, :, 0] - labels.translation[row]
    with np.errstate(invalid='ignore'):
        pixels = camera.project(joints.reshape(-1, 3)).reshape(2, 21, 2)
    return {
        'joints': joints, 'pixels': pixels, 'global_orient': orient,
        'hand_pose': labels.hand_pose[row], 'betas': labels.betas[row],
        'translation': joints[:, 0] - rest,
    }  # fmt: skip

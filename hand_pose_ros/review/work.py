"""ReviewWork: one session under review: its images, its labels, and what a person says of them."""

import math
import threading
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.label_masks import ImagePlace, LabelledMeshes, image_places
from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.annotation.work import owned
from hand_pose_ros.errors import DataError
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS, HandModelParameters
from hand_pose_ros.review.adding import first_pose
from hand_pose_ros.review.cloud import measured_points
from hand_pose_ros.review.history import History
from hand_pose_ros.review.refit import Pin, refit
from hand_pose_ros.review.views import joints_at, listed, overlay, picture
from hand_pose_ros.sessions.labels import (
    ABSENT,
    ACCEPTED,
    CORRECTED,
    REJECTED,
    UNSEEN,
    labels_folder,
)
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.skeleton import BONES, JOINT_NAMES, SIDES

Array = NDArray[np.float64]

_CACHED = 96  # encoded images, some 50 kB each


@dataclass(frozen=True, kw_only=True)
class Drag:
    """A joint dragged in an image.

    Attributes:
        row: of the labels.
        side: 0 left, 1 right.
        joint: 0 to 20.
        camera: name.
        x, y: pixels.
    """

    row: int
    side: int
    joint: int
    camera: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class NewHand:
    """A hand that no label has, pointed at in an image.

    Attributes:
        row: of the labels.
        side: 0 left, 1 right.
        camera: name.
        x, y: pixels, of the middle of its palm.
    """

    row: int
    side: int
    camera: str
    x: float
    y: float


class ReviewWork:
    """A session's labels as they are reviewed; every change is saved before it is answered."""

    def __init__(self, path: Path) -> None:
        """Open the session and its labels, and keep others from changing them meanwhile.

        Raises:
            DataError: if there are no labels, those of another recording, or another process
                changes them.
            BagError: if the bag cannot be read.
        """
        self.folder = labels_folder(path)
        with ExitStack() as opened:
            self.session = opened.enter_context(Session.open(path))
            if self.folder.is_dir():
                opened.enter_context(owned(self.folder, 'reviewed'))
            self.labels = self.session.labels()
            self._opened = opened.pop_all()
        self._lock = threading.RLock()
        self._images: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._pins: dict[tuple[int, int], dict[tuple[str, int], Pin]] = {}
        # Hands that began as a guess.
        self._added: set[tuple[int, int]] = set()
        self._history = History()

    def summary(self) -> dict[str, Any]:
        """Return what the page needs to know of the whole session."""
        rig = self.session.rig
        cameras = [
            {'name': name, 'modality': rig.cameras[name].modality,
             'width': rig.cameras[name].size[0], 'height': rig.cameras[name].size[1]}
            for name in self.session.streams
            if rig.cameras[name].camera is not None
        ]  # fmt: skip
        labels = self.labels
        return {
            'name': self.session.path.name, 'rows': len(labels.stamps), 'cameras': cameras,
            'seconds': ((labels.stamps - labels.stamps[:1]) * 1e-9).round(4).tolist(),
            'bones': [list(bone) for bone in BONES], 'joints': list(JOINT_NAMES),
            'faces': [hand_model(side).data.faces.ravel().tolist() for side in SIDES],
            **self.scores(),
        }  # fmt: skip

    def scores(self) -> dict[str, Any]:
        """Return quality, origin and verdict of all hands, in plain values."""
        with self._lock:
            labels = self.labels
            return {
                'quality': labels.quality.round(4).tolist(), 'origin': labels.origin.tolist(),
                'verdict': labels.verdict.tolist(),
            }  # fmt: skip

    def frame(self, row: int) -> dict[str, Any]:
        """Return the labels of a row, in 3D and in every image of its set."""
        with self._lock:
            number = self._number(row)
            labels = self.labels
            # A rejected hand is still shown: whoever rejected it may think again.
            meshes = LabelledMeshes(replace(labels, verdict=np.zeros_like(labels.verdict)))
            here = meshes.at(row, int(labels.stamps[row]))
            return {
                'row': row,
                'views': {
                    place.camera: overlay(labels, meshes, place, row)
                    for place in image_places(self.session, number)
                },
                'quality': labels.quality[row].round(4).tolist(),
                'origin': labels.origin[row].tolist(), 'verdict': labels.verdict[row].tolist(),
                'residuals': {
                    name: [_finite(value) for value in values[row]]
                    for name, values in labels.residuals.items()
                },
                'joints': [listed(joints) for joints in labels.joints[row]],
                'meshes': [None if mesh is None else mesh.round(4).ravel().tolist()
                           for mesh in here],
            }  # fmt: skip

    def image(self, camera: str, row: int) -> bytes | None:
        """Return a camera's image of a row as JPEG; None if the set has none."""
        with self._lock:
            key = (camera, row)
            if key not in self._images:
                entry = self.session.sets[self._number(row)]
                if camera not in entry:
                    return None
                stream = self.session.image(camera, entry[camera])
                self._images[key] = picture(stream, self.session.rig.cameras[camera].modality)
                while len(self._images) > _CACHED:
                    self._images.popitem(last=False)
            self._images.move_to_end(key)
            return self._images[key]

    def cloud(self, row: int) -> list[float]:
        """Return what depth cameras measured near the hands of a row: flat x, y, z, ... metres."""
        with self._lock:
            number = self._number(row)
            found = [np.zeros((0, 3))]
            for place in image_places(self.session, number):
                if self.session.rig.cameras[place.camera].modality != 'depth':
                    continue
                image = self.session.image(place.camera, self.session.sets[number][place.camera])
                joints = joints_at(self.labels, row, place.stamp).reshape(-1, 3)
                known = joints[np.isfinite(joints).all(axis=1)]
                found.append(measured_points(image.image, place, known))
            return list(np.concatenate(found).round(4).ravel().tolist())

    def judge(self, row: int, sides: list[int], verdict: int) -> None:
        """Accept, reject or forget what was said of hands of a row, and save it.

        Raises:
            DataError: if there is no such row, side or verdict, or it cannot be saved.
        """
        with self._lock:
            self._number(row)
            if not set(sides) <= {0, 1} or verdict not in (UNSEEN, ACCEPTED, REJECTED):
                raise DataError(f'sides {sides} or verdict {verdict} do not exist.')
            self._judge([(row, side) for side in sides if self.labels.origin[row, side]], verdict)

    def accept_above(self, quality: float) -> int:
        """Accept all unseen hands of at least a quality; return how many."""
        with self._lock:
            labels = self.labels
            chosen = (
                (labels.origin != ABSENT) & (labels.verdict == UNSEEN) & (labels.quality >= quality)
            )
            hands = [(int(row), int(side)) for row, side in np.argwhere(chosen)]
            self._judge(hands, ACCEPTED)
            return len(hands)

    def undo(self) -> int | None:
        """Take the last step back, and save that; return its row, or None if there is none."""
        with self._lock:
            hands = self._history.take_back()
            for hand in hands:
                hand.restore(self.labels)
                if hand.values:
                    self._pins.pop((hand.row, hand.side), None)
                    if self.labels.origin[hand.row, hand.side] == ABSENT:
                        self._added.discard((hand.row, hand.side))
                    self.labels.save_correction(self.folder, hand.row, hand.side)
            if hands:
                self.labels.save_verdicts(self.folder)
            return hands[0].row if hands else None

    def drag(self, drag: Drag) -> None:
        """Refit a hand to a dragged joint, and all dragged before in its frame, and save it.

        Raises:
            DataError: if there is no such hand or camera, or no hand projects there.
        """
        with self._lock:
            pin = self._pin(drag)
            pins = self._pins.get((drag.row, drag.side), {}) | {(drag.camera, drag.joint): pin}
            start = self.labels.parameters(drag.row, drag.side)
            guessed = (drag.row, drag.side) in self._added
            fitted = refit(drag.side, start, list(pins.values()), guessed=guessed)
            with self._history.step(self.labels, [(drag.row, drag.side)], with_pose=True):
                self._write(drag.row, drag.side, fitted)
            self._pins[drag.row, drag.side] = pins

    def add(self, new: NewHand) -> None:
        """Enter a hand where there is none, near enough for its joints to be dragged; save it.

        Raises:
            DataError: if there is no such row, side, camera or pixel, or the hand is there already.
        """
        with self._lock:
            self._number(new.row)
            if new.side not in (0, 1):
                raise DataError(f'side {new.side} does not exist: use 0 (left) or 1 (right).')
            if self.labels.origin[new.row, new.side] != ABSENT:
                raise DataError(
                    f'row {new.row} has a {SIDES[new.side]} hand already: drag its joints.'
                )
            place = self._place(new.row, new.camera)
            width, height = place.intrinsics.width, place.intrinsics.height
            # Also true of what is no number.
            if not (-0.5 <= new.x <= width - 0.5 and -0.5 <= new.y <= height - 0.5):
                raise DataError(
                    f'pixel ({new.x}, {new.y}) is outside of {new.camera} images of '
                    f'{width}x{height}: point at the palm.'
                )
            pixel, depth = np.array([new.x, new.y]), self._depth(new.row, new.camera)
            hand = first_pose(self.labels, new.row, new.side, place, pixel, depth)
            with self._history.step(self.labels, [(new.row, new.side)], with_pose=True):
                self._write(new.row, new.side, hand)
            self._pins.pop((new.row, new.side), None)
            self._added.add((new.row, new.side))

    def counts(self) -> dict[str, int]:
        """Return how many hands there are, and what was said of them."""
        with self._lock:
            labels = self.labels
            known = labels.origin != ABSENT
            return {
                'frames': len(labels.stamps), 'hands': int(known.sum()),
                'accepted': int((known & (labels.verdict == ACCEPTED)).sum()),
                'rejected': int((known & (labels.verdict == REJECTED)).sum()),
                'corrected': int((labels.origin == CORRECTED).sum()),
            }  # fmt: skip

    def close(self) -> None:
        """Release the bag and the labels."""
        self._opened.close()

    def _judge(self, hands: list[tuple[int, int]], verdict: int) -> None:
        with self._history.step(self.labels, hands):
            for row, side in hands:
                self.labels.verdict[row, side] = verdict
            self.labels.save_verdicts(self.folder)

    def _pin(self, drag: Drag) -> Pin:
        self._number(drag.row)
        if drag.side not in (0, 1) or not 0 <= drag.joint < len(JOINT_NAMES):
            raise DataError(f'side {drag.side} or joint {drag.joint} does not exist.')
        if self.labels.origin[drag.row, drag.side] == ABSENT:
            raise DataError(f'row {drag.row} has no {SIDES[drag.side]} hand to correct.')
        place = self._place(drag.row, drag.camera)
        width, height = place.intrinsics.width, place.intrinsics.height
        # A joint may well be outside of the image, but not where no hand could be.
        near = -width <= drag.x <= 2 * width and -height <= drag.y <= 2 * height
        if not near or not (math.isfinite(drag.x) and math.isfinite(drag.y)):
            raise DataError(f'pixel ({drag.x}, {drag.y}) is far outside of {drag.camera} images.')
        other, share = self.labels.neighbour(drag.row, place.stamp)
        there = self.labels.joints[other, drag.side, drag.joint]
        if not np.isfinite(there).all():
            there, share = np.zeros(3), 0.0
        return Pin(
            joint=drag.joint, pixel=np.array([drag.x, drag.y]), camera=place.intrinsics,
            T_cam_world=place.T_cam_world, there=there.copy(), share=share,
        )  # fmt: skip

    def _place(self, row: int, camera: str) -> ImagePlace:
        places = {place.camera: place for place in image_places(self.session, self._number(row))}
        if camera not in places:
            known = ', '.join(places) or 'none, no calibrated camera has one'
            raise DataError(f'row {row} has no image of camera {camera!r}: use one of {known}.')
        return places[camera]

    def _depth(self, row: int, camera: str) -> NDArray[np.float32] | None:
        """Return the image of a row in metres if the camera measures depth."""
        if self.session.rig.cameras[camera].modality != 'depth':
            return None
        return self.session.image(camera, self.session.sets[self._number(row)][camera]).image

    def _write(self, row: int, side: int, fitted: HandModelParameters) -> None:
        labels = self.labels
        for name in MODEL_PARAMETERS:
            getattr(labels, name)[row, side] = getattr(fitted, name)
        labels.joints[row, side] = hand_model(SIDES[side]).joints(
            *(getattr(fitted, name)[None] for name in MODEL_PARAMETERS)
        )[0]
        labels.origin[row, side] = CORRECTED
        labels.verdict[row, side] = ACCEPTED
        labels.quality[row, side] = 1.0
        labels.save_correction(self.folder, row, side)
        labels.save_verdicts(self.folder)

    def _number(self, row: int) -> int:
        if not 0 <= row < len(self.labels.stamps):
            raise DataError(f'row {row} does not exist: there are {len(self.labels.stamps)}.')
        return int(self.labels.numbers[row])


def _finite(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None

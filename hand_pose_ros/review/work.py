"""ReviewWork: one session under review: its images, its labels, and what a person says of them."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.label_masks import (
    ImagePlace,
    LabelledMeshes,
    image_places,
    label_mask,
)
from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.errors import DataError
from hand_pose_ros.hand_model.hand_pose import HandModelParameters
from hand_pose_ros.review.refit import Pin, refit
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.rig.thermal import agc
from hand_pose_ros.sessions.labels import (
    ABSENT,
    ACCEPTED,
    CORRECTED,
    REJECTED,
    UNSEEN,
    SessionLabels,
    labels_folder,
)
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.skeleton import BONES, JOINT_NAMES, SIDES

Array = NDArray[np.float64]

_CACHED = 96  # encoded images
_NEAR, _FAR = 0.15, 1.5  # metres, ends of the colours of depth
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 88]


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


class ReviewWork:
    """A session's labels as they are reviewed; every change is saved before it is answered."""

    def __init__(self, path: Path) -> None:
        """Open the session and its labels.

        Raises:
            DataError: if there are no labels, or those of another recording.
            BagError: if the bag cannot be read.
        """
        self.session = Session.open(path)
        try:
            self.folder = labels_folder(self.session.path)
            self.labels = SessionLabels.load(self.folder)
            self._check()
        except BaseException:
            self.session.close()
            raise
        self._lock = threading.RLock()
        self._images: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._pins: dict[tuple[int, int], dict[tuple[str, int], Pin]] = {}
        self._undo: list[tuple[int, int, int]] = []

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
            'quality': labels.quality.round(4).tolist(), 'origin': labels.origin.tolist(),
            'verdict': labels.verdict.tolist(), 'bones': [list(bone) for bone in BONES],
            'joints': list(JOINT_NAMES),
            'faces': [hand_model(side).data.faces.ravel().tolist() for side in SIDES],
        }  # fmt: skip

    def frame(self, row: int) -> dict[str, Any]:
        """Return the labels of a row, in 3D and in every image of its set."""
        with self._lock:
            number = self._number(row)
            labels = self.labels
            meshes = LabelledMeshes(labels)
            views = {}
            for place in image_places(self.session, number):
                at_stamp = meshes.at(row, place.stamp)
                views[place.camera] = {
                    'pixels': [self._pixels(place, row, side) for side in range(2)],
                    'outlines': _outlines(label_mask(place, at_stamp)),
                }
            here = meshes.at(row, int(labels.stamps[row]))
            return {
                'row': row, 'views': views,
                'quality': labels.quality[row].round(4).tolist(),
                'origin': labels.origin[row].tolist(), 'verdict': labels.verdict[row].tolist(),
                'residuals': {
                    name: [_number(value) for value in values[row]]
                    for name, values in labels.residuals.items()
                },
                'joints': [_listed(joints) for joints in labels.joints[row]],
                'meshes': [None if mesh is None else mesh.round(4).ravel().tolist()
                           for mesh in here],
            }  # fmt: skip

    def image(self, camera: str, row: int) -> bytes | None:
        """Return a camera's image of a row as JPEG; None if the set has none."""
        with self._lock:
            key = (camera, row)
            if key not in self._images:
                number = self._number(row)
                if camera not in self.session.sets[number]:
                    return None
                stream = self.session.frame(number, (camera,)).streams[camera]
                modality = self.session.rig.cameras[camera].modality
                shown = _shown(stream.image, modality, stream.white_hot)
                self._images[key] = cv2.imencode('.jpg', shown, _JPEG)[1].tobytes()
                while len(self._images) > _CACHED:
                    self._images.popitem(last=False)
            self._images.move_to_end(key)
            return self._images[key]

    def judge(self, row: int, side: int, verdict: int) -> None:
        """Accept, reject or forget what was said of a hand, and save it.

        Raises:
            DataError: if there is no such row, side or verdict, or it cannot be saved.
        """
        with self._lock:
            self._number(row)
            if side not in (0, 1) or verdict not in (UNSEEN, ACCEPTED, REJECTED):
                raise DataError(f'side {side} or verdict {verdict} does not exist.')
            self._undo.append((row, side, int(self.labels.verdict[row, side])))
            self.labels.verdict[row, side] = verdict
            self.labels.save_verdicts(self.folder)

    def accept_above(self, quality: float) -> int:
        """Accept all unseen hands of at least a quality; return how many."""
        with self._lock:
            labels = self.labels
            chosen = (
                (labels.origin != ABSENT) & (labels.verdict == UNSEEN) & (labels.quality >= quality)
            )
            self._undo += [(int(row), int(side), UNSEEN) for row, side in np.argwhere(chosen)]
            labels.verdict[chosen] = ACCEPTED
            labels.save_verdicts(self.folder)
            return int(chosen.sum())

    def undo(self) -> int | None:
        """Take the last verdict back; return its row, or None if there is none."""
        with self._lock:
            if not self._undo:
                return None
            row, side, before = self._undo.pop()
            self.labels.verdict[row, side] = before
            self.labels.save_verdicts(self.folder)
            return row

    def drag(self, drag: Drag) -> None:
        """Refit a hand to a dragged joint, and all dragged before in its frame, and save it.

        Raises:
            DataError: if there is no such hand or camera, or no hand projects there.
        """
        with self._lock:
            number = self._number(drag.row)
            if drag.side not in (0, 1) or not 0 <= drag.joint < len(JOINT_NAMES):
                raise DataError(f'side {drag.side} or joint {drag.joint} does not exist.')
            if self.labels.origin[drag.row, drag.side] == ABSENT:
                raise DataError(f'row {drag.row} has no {SIDES[drag.side]} hand to correct.')
            places = {place.camera: place for place in image_places(self.session, number)}
            if drag.camera not in places:
                raise DataError(f'row {drag.row} has no image of camera {drag.camera!r}.')
            place = places[drag.camera]
            pins = self._pins.setdefault((drag.row, drag.side), {})
            pins[drag.camera, drag.joint] = Pin(
                joint=drag.joint, pixel=np.array([drag.x, drag.y]), camera=place.intrinsics,
                T_cam_world=place.T_cam_world,
            )  # fmt: skip
            fitted = refit(drag.side, self._parameters(drag.row, drag.side), list(pins.values()))
            self._write(drag.row, drag.side, fitted)

    def close(self) -> None:
        """Release the bag."""
        self.session.close()

    def _write(self, row: int, side: int, fitted: HandModelParameters) -> None:
        labels = self.labels
        for name in ('global_orient', 'hand_pose', 'betas', 'translation'):
            getattr(labels, name)[row, side] = getattr(fitted, name)
        labels.joints[row, side] = hand_model(SIDES[side]).joints(
            fitted.global_orient[None], fitted.hand_pose[None], fitted.betas[None],
            fitted.translation[None],
        )[0]  # fmt: skip
        labels.origin[row, side] = CORRECTED
        labels.verdict[row, side] = ACCEPTED
        labels.quality[row, side] = 1.0
        labels.save_correction(self.folder, row, side)
        labels.save_verdicts(self.folder)

    def _parameters(self, row: int, side: int) -> HandModelParameters:
        labels = self.labels
        return HandModelParameters(
            global_orient=labels.global_orient[row, side].copy(),
            hand_pose=labels.hand_pose[row, side].copy(), betas=labels.betas[row, side].copy(),
            translation=labels.translation[row, side].copy(),
        )  # fmt: skip

    def _pixels(self, place: ImagePlace, row: int, side: int) -> list[Any] | None:
        joints = self.labels.joints[row, side]
        if not np.isfinite(joints).all():
            return None
        seen = joints @ place.T_cam_world[:3, :3].T + place.T_cam_world[:3, 3]
        return _listed(place.intrinsics.project(seen))

    def _number(self, row: int) -> int:
        if not 0 <= row < len(self.labels.stamps):
            raise DataError(f'row {row} does not exist: there are {len(self.labels.stamps)}.')
        return int(self.labels.numbers[row])

    def _check(self) -> None:
        labels, session = self.labels, self.session
        inside = not len(labels.numbers) or labels.numbers.max() < len(session.sets)
        if not inside or not np.array_equal(session.stamps[labels.numbers], labels.stamps):
            raise DataError(
                f'{self.folder} holds labels of another recording than {session.path}: annotate '
                'it again.'
            )


def _shown(image: NDArray[Any], modality: Modality, white_hot: bool) -> NDArray[np.uint8]:
    """Return an image as people see it best, B, G, R."""
    if modality == 'rgb':
        return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if modality == 'depth':
        share = np.clip((image - _NEAR) / (_FAR - _NEAR), 0.0, 1.0)
        grey = (255 * (1 - np.nan_to_num(share, nan=1.0))).astype(np.uint8)
        coloured = cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)
        coloured[~np.isfinite(image)] = 0
        return coloured
    if modality == 'thermal' and not white_hot:
        image = np.invert(image)
    return image if image.dtype == np.uint8 else agc(image)


def _outlines(mask: NDArray[np.uint8]) -> list[list[list[int]]]:
    """Return the outlines of each hand: per side a list of flat x, y, x, y, ..."""
    found = []
    for value in (1, 2):
        contours, _ = cv2.findContours(
            (mask == value).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1
        )
        found.append([contour.ravel().tolist() for contour in contours if len(contour) > 2])
    return found


def _listed(points: Array) -> list[Any] | None:
    """Return points as nested lists; None for those that are not finite."""
    if not np.isfinite(points).any():
        return None
    rows = np.round(points, 4).tolist()
    finite = [bool(np.isfinite(row).all()) for row in points]
    return [row if good else None for row, good in zip(rows, finite, strict=True)]


def _number(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None

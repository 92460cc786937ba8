"""Views: the labels of one row as they lie in an image, and the image as people see it best."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.label_masks import ImagePlace, LabelledMeshes, label_mask
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.thermal import agc
from hand_pose_ros.sessions.labels import SessionLabels

Array = NDArray[np.float64]

_NEAR, _FAR = 0.15, 1.5  # metres, ends of the colours of depth
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 88]


def picture(stream: StreamImage, modality: str) -> bytes:
    """Return an image as JPEG: thermal and NIR stretched, depth coloured, near is red."""
    return cv2.imencode('.jpg', _shown(stream, modality), _JPEG)[1].tobytes()


def overlay(labels: SessionLabels, meshes: LabelledMeshes, place: ImagePlace, row: int) -> Any:
    """Return joints and outlines of both hands in an image, moved to its stamp, in plain values."""
    joints = joints_at(labels, row, place.stamp)
    return {
        'pixels': [_pixels(place, hand) for hand in joints],
        'outlines': _outlines(label_mask(place, meshes.at(row, place.stamp))),
    }


def joints_at(labels: SessionLabels, row: int, stamp: int) -> Array:
    """Return the joints (2, 21, 3) of a row, moved to a stamp on their way to the next row."""
    other, share = labels.neighbour(row, stamp)
    here, there = labels.joints[row], labels.joints[other]
    return np.where(np.isfinite(there), here + share * (there - here), here)


def listed(points: Array) -> list[Any] | None:
    """Return points as nested lists; None for those that are not finite."""
    rows = [row if np.isfinite(row).all() else None for row in points.round(4).tolist()]
    return rows if any(rows) else None


def _pixels(place: ImagePlace, joints: Array) -> list[Any] | None:
    return listed(place.intrinsics.project(apply(place.T_cam_world, joints)))


def _shown(stream: StreamImage, modality: str) -> NDArray[np.uint8]:
    """Return an image in 8 bits, grey or B, G, R."""
    image = stream.image
    if modality == 'rgb':
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    if modality == 'depth':
        share = np.clip((image - _NEAR) / (_FAR - _NEAR), 0.0, 1.0)
        grey = (255 * (1 - np.nan_to_num(share, nan=1.0))).astype(np.uint8)
        coloured = np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO), np.uint8)
        coloured[~np.isfinite(image)] = 0
        return coloured
    return agc(image, white_hot=stream.white_hot)


def _outlines(mask: NDArray[np.uint8]) -> list[list[list[int]]]:
    """Return the outlines of each hand: per side a list of flat x, y, x, y, ..."""
    found = []
    for value in (1, 2):
        contours, _ = cv2.findContours(
            (mask == value).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_TC89_L1
        )
        found.append([contour.ravel().tolist() for contour in contours if len(contour) > 2])
    return found

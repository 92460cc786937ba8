"""Label masks: the labelled hands filled into a camera's image, left 1 and right 2."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS
from hand_pose_ros.sessions.labels import SessionLabels
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.simulation.rasterizer import rasterize
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ImagePlace:
    """Where a camera was when it took an image of a set.

    Attributes:
        camera: name.
        intrinsics: of the camera.
        stamp: of the image, nanoseconds, constant offset removed.
        header_stamp: as it stands in the image's header.
        T_cam_world: (4, 4) maps points of the labels' frame into the camera.
    """

    camera: str
    intrinsics: Camera
    stamp: int
    header_stamp: int
    T_cam_world: Array


def image_places(session: Session, number: int) -> Iterator[ImagePlace]:
    """Yield where each calibrated camera of a set was, as far as its body's motion is known."""
    rig = session.rig
    for name, place in session.sets[number].items():
        camera = rig.cameras[name]
        if camera.camera is None:
            continue
        header_stamp = int(session.streams[name].stamps[place])
        stamp = header_stamp - camera.time_offset
        T_rig_cam = session.T_rig_cam(name, stamp)
        if T_rig_cam is None:
            continue
        yield ImagePlace(
            camera=name, intrinsics=camera.camera, stamp=stamp, header_stamp=header_stamp,
            T_cam_world=inverse(T_rig_cam) @ rig.reference_camera.T_rig_cam,
        )  # fmt: skip


class LabelledMeshes:
    """Meshes of labelled hands between the stamps of the labels."""

    def __init__(self, labels: SessionLabels) -> None:
        """Use labels; meshes are made as they are asked for."""
        self._labels = labels
        self._usable = labels.usable
        self._made: dict[int, list[Array | None]] = {}

    def at(self, row: int, stamp: int) -> list[Array | None]:
        """Return the vertices (V, 3) of the left and right hand of a row, moved to a stamp."""
        other, share = self._labels.neighbour(row, stamp)
        if other == row:
            return self._meshes(row)
        return [
            mesh if mesh is None or next_mesh is None else mesh + share * (next_mesh - mesh)
            for mesh, next_mesh in zip(self._meshes(row), self._meshes(other), strict=True)
        ]

    def _meshes(self, row: int) -> list[Array | None]:
        if row not in self._made:
            self._made = {near: self._made[near] for near in self._made if abs(near - row) <= 1}
            self._made[row] = [self._mesh(row, side) for side in range(2)]
        return self._made[row]

    def _mesh(self, row: int, side: int) -> Array | None:
        if not self._usable[row, side]:
            return None
        labels = self._labels
        pose = [getattr(labels, name)[row : row + 1, side] for name in MODEL_PARAMETERS]
        if not all(np.isfinite(values).all() for values in pose):
            return None
        return hand_model(SIDES[side]).forward(*pose)[1][0]


def label_mask(place: ImagePlace, meshes: list[Array | None]) -> NDArray[np.uint8]:
    """Return an image's mask (H, W): 0 none, 1 left hand, 2 right hand, the nearer one in front.

    Every triangle of the projected meshes is filled, lens distortion included.

    Args:
        place: the camera at the image's stamp.
        meshes: vertices (V, 3) of the left and right hand in the labels' frame; None = absent.
    """
    camera = place.intrinsics
    mask = np.zeros((camera.height, camera.width), np.uint8)
    points: list[Array] = []
    faces, sides = [], []
    for side, mesh in enumerate(meshes):
        if mesh is not None:
            count = sum(len(other) for other in points)
            points.append(mesh)
            faces.append(hand_model(SIDES[side]).data.faces + count)
            sides.append(np.full(len(mesh), side + 1.0))
    if not points:
        return mask
    world = np.concatenate(points)
    seen = apply(place.T_cam_world, world)
    fragments = rasterize(
        camera.project(seen), seen[:, 2], np.concatenate(faces),
        np.concatenate(sides)[:, None].astype(np.float32), (camera.width, camera.height),
    )  # fmt: skip
    if not fragments.empty:
        filled = np.rint(fragments.attributes[..., 0]).astype(np.uint8)
        mask[fragments.box] = np.where(fragments.depth > 0, filled, 0)
    return mask

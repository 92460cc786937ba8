"""Initial pose: starts for the fit of a hand that was seen for the first time."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.hand_model.fitting import rotation_vectors
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState, stack_states
from hand_pose_ros.hand_model.residuals import sample

Array = NDArray[np.float64]

_PALM = [0, 1, 5, 9, 13, 17]
_NEAREST, _FARTHEST = 0.12, 1.5  # metres, where a hand may be
_DEPTH_RATIOS = (0.6, 1.6)  # depth image to hand-size estimate
# How far the fingers are bent in each start, as a part of the way to the limit.
_BENDS = (0.2, 0.7)


def initial_states(
    model: FittingModel,
    side: int,
    view: View,
    seen: HandLandmarks,
    depth: View | None,
    shape: Array,
) -> HandState:
    """Return several starts for one hand, from coarse to coarser.

    The palm's rotation comes from the network's shape (whose scale is never used), the place from
    the size of the palm in the image and, if there is one, the depth image.

    Args:
        model: the hand.
        side: 0 left, 1 right.
        view: the stream it was seen in.
        seen: its landmarks there.
        depth: the depth stream, or None.
        shape: (K,) shape coefficients to assume.
    """
    plane = view.camera.undistort(seen.points)
    rotations = _rotations(model, side, plane, seen, shape)
    starts = []
    for bend in _BENDS:
        for in_camera in rotations:
            state = _state(model, view.rotation.T @ in_camera, shape, bend)
            points = model.landmarks(state, np.array([side]))[0]
            place = _place(points @ view.rotation.T, plane)
            place = (place - view.translation) @ view.rotation
            if depth is not None:
                place = _at_depth(points, place, view, depth)
            starts.append(_moved(state, place))
    return stack_states(starts)


def states_at_joints(model: FittingModel, side: int, joints: Array, shape: Array) -> HandState:
    """Return starts for a hand whose joints are known, with fingers more and less bent.

    Args:
        model: the hand.
        side: 0 left, 1 right.
        joints: (21, 3) metres in the frame of the fit.
        shape: (K,) shape coefficients to assume.
    """
    starts = []
    for bend in _BENDS:
        flat = model.landmarks(_state(model, np.eye(3), shape, bend), np.array([side]))[0]
        rotation = _aligned(palm_points(flat), palm_points(joints))
        place = palm_points(joints).mean(axis=0) - rotation @ palm_points(flat).mean(axis=0)
        starts.append(_moved(_state(model, rotation, shape, bend), place))
    return stack_states(starts)


def slid_to_depth(
    model: FittingModel, side: int, state: HandState, view: View, depth: View
) -> HandState:
    """Return a hand moved along its ray in a view to where the depth image has a surface."""
    points = model.landmarks(state, np.array([side]))[0]
    return _moved(state, state.wrist[0] + _at_depth(points, np.zeros(3), view, depth))


def palm_points(landmarks: Array) -> Array:
    """Return the palm's landmarks (6, D) of (21, D): wrist, thumb base and knuckles."""
    return landmarks[_PALM]


def _rotations(
    model: FittingModel, side: int, plane: Array, seen: HandLandmarks, shape: Array
) -> list[Array]:
    """Return likely rotations of the palm in the camera, from the shape the network suggests."""
    rest = model.landmarks(_state(model, np.eye(3), shape, 0.2), np.array([side]))[0]
    rest = palm_points(rest)
    # The network sees a crop as if it lay straight ahead; the hand is seen along its own ray.
    toward = np.append(plane[_PALM].mean(axis=0), 1.0)
    turn = _between(np.array([0.0, 0.0, 1.0]), toward / np.linalg.norm(toward))
    scale = np.linalg.norm(seen.points - seen.points[0], axis=1).max()
    spread = np.linalg.norm(plane - plane[0], axis=1).max() / max(scale, 1e-9)
    flat = np.column_stack([plane, seen.relative_depth * spread])
    shapes = [seen.world @ turn.T, flat, flat * np.array([1.0, 1.0, -1.0]), flat * [1.0, 1.0, 0.0]]
    found: list[Array] = []
    for candidate in shapes:
        rotation = _aligned(rest, palm_points(candidate))
        if all(np.linalg.norm(rotation_vectors((rotation @ r.T)[None])) > 0.3 for r in found):
            found.append(rotation)
    return found


def _aligned(source: Array, target: Array) -> Array:
    """Return the rotation (3, 3) that turns points (N, 3) onto others, place and scale aside."""
    u, _, vt = np.linalg.svd((source - source.mean(0)).T @ (target - target.mean(0)))
    sign = np.sign(np.linalg.det(u @ vt)) or 1.0
    return (u @ np.diag([1.0, 1.0, sign]) @ vt).T


def _between(start: Array, end: Array) -> Array:
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return np.eye(3)
    return rotation_matrices(axis / sine * np.arctan2(sine, start @ end))


def _state(model: FittingModel, rotation: Array, shape: Array, bend: float) -> HandState:
    flexion = model.degrees[:, 1] == 2
    angles = np.where(flexion, bend * model.upper, 0.0)
    return HandState(
        rotation=rotation[None], wrist=np.zeros((1, 3)), angles=angles[None], shape=shape[None]
    )


def _moved(state: HandState, place: Array) -> HandState:
    return HandState(
        rotation=state.rotation, wrist=place[None], angles=state.angles, shape=state.shape
    )


def _place(points: Array, plane: Array) -> Array:
    """Return the translation that projects the palm of points (21, 3) onto the plane (21, 2)."""
    model, seen = palm_points(points), palm_points(plane)
    count = len(model)
    matrix = np.zeros((2 * count, 3))
    matrix[:count, 0] = matrix[count:, 1] = 1.0
    matrix[:, 2] = -seen.T.ravel()
    right = seen.T.ravel() * np.tile(model[:, 2], 2) - model[:, :2].T.ravel()
    place = np.linalg.lstsq(matrix, right, rcond=None)[0]
    middle = model.mean(axis=0)
    if not _NEAREST < place[2] + middle[2] < _FARTHEST:
        distance = np.clip(place[2] + middle[2], _NEAREST, _FARTHEST)
        place = np.append(seen.mean(axis=0), 1.0) * distance - middle
    return place


def _at_depth(points: Array, place: Array, view: View, depth: View) -> Array:
    """Slide a hand along its ray to where the depth image has a surface at its palm."""
    measurement = depth.depth_measurement()
    center = -view.rotation.T @ view.translation
    for _ in range(2):
        palm = (palm_points(points) + place) @ depth.rotation.T + depth.translation
        inside = palm.mean(axis=0) + 0.6 * (palm - palm.mean(axis=0))
        found = sample(measurement, inside[:, :2] / np.maximum(inside[:, 2:], _NEAREST))
        ratio = found / inside[:, 2]
        ratio = ratio[np.isfinite(ratio) & (ratio > _DEPTH_RATIOS[0]) & (ratio < _DEPTH_RATIOS[1])]
        if len(ratio) < 3:
            return place
        middle = palm_points(points).mean(axis=0)
        place = center + (place + middle - center) * float(np.median(ratio)) - middle
    return place

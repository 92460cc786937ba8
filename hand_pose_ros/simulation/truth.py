"""Ground truth of the simulated hands as hand poses."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.simulation.motion import ArmState
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

SEEN_JOINTS = 11  # a camera has a hand in view with at least this many of its 21 joints


def true_hands(
    state: ArmState,
    models: dict[Any, HandModel],
    T_rig_reference: Array,
    cameras: dict[str, tuple[Camera, Array]],
) -> list[HandPose]:
    """Return both hands in the reference camera's optical frame.

    Args:
        state: the arms in the rig frame.
        models: hand model of each side.
        T_rig_reference: (4, 4) pose of the reference camera.
        cameras: calibrated cameras with their ``T_rig_cam``, by name.
    """
    return [
        _true_hand(index, state, models[side], T_rig_reference, cameras)
        for index, side in enumerate(SIDES)
    ]


def _true_hand(
    index: int,
    state: ArmState,
    model: HandModel,
    T_rig_reference: Array,
    cameras: dict[str, tuple[Camera, Array]],
) -> HandPose:
    T_reference_rig = inverse(T_rig_reference)
    betas = state.betas[index : index + 1]
    wrist = model.rest_joints(betas)[0, 0]
    turned = T_reference_rig[:3, :3] @ state.orientations[index]
    # The hand turns about its rest wrist, so the translation moves that point along.
    translation = apply(T_reference_rig, wrist + state.translation[index]) - wrist
    parameters = HandModelParameters(
        global_orient=Rotation.from_matrix(turned).as_rotvec(),
        hand_pose=state.hand_pose[index],
        betas=betas[0],
        translation=translation,
    )
    joints, vertices = model.forward(
        parameters.global_orient[None], parameters.hand_pose[None], betas, translation[None]
    )
    joints_2d, seen = _pixels(joints[0], T_rig_reference, cameras)
    sources = tuple(name for name, inside in seen.items() if inside.sum() >= SEEN_JOINTS)
    anywhere = np.any(list(seen.values()), axis=0) if seen else np.zeros(21, bool)
    return HandPose(
        side=SIDES[index],
        track_id=index + 1,
        state='tracked' if sources else 'lost',
        score=1.0 if sources else 0.0,
        joints=joints[0],
        joints_raw=joints[0],
        confidence=anywhere.astype(np.float64),
        covariance=np.zeros((21, 3, 3)),
        joints_2d=joints_2d,
        sources=sources,
        parameters=parameters,
        vertices=vertices[0],
    )


def _pixels(
    joints: Array, T_rig_reference: Array, cameras: dict[str, tuple[Camera, Array]]
) -> tuple[dict[str, Array], dict[str, NDArray[np.bool_]]]:
    """Project joints (21, 3) into every camera: pixels, NaN outside the image, and in-view flags."""
    in_rig = apply(T_rig_reference, joints)
    joints_2d, seen = {}, {}
    for name, (camera, T_rig_cam) in cameras.items():
        pixels = camera.project(apply(inverse(T_rig_cam), in_rig))
        with np.errstate(invalid='ignore'):
            inside = np.all((pixels >= 0) & (pixels <= (camera.width - 1, camera.height - 1)), 1)
        joints_2d[name] = np.where(inside[:, None], pixels, np.nan)
        seen[name] = inside
    return joints_2d, seen

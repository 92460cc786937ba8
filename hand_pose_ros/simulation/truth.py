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
    hands: list[tuple[Array, Array]],
    models: dict[Any, HandModel],
    T_rig_reference: Array,
    cameras: dict[str, tuple[Camera, Array]],
) -> list[HandPose]:
    """Return both hands in the reference camera's optical frame.

    Args:
        state: the arms in the rig frame.
        hands: joints (21, 3) and vertices (V, 3) of each hand in the rig frame.
        models: hand model of each side.
        T_rig_reference: (4, 4) pose of the reference camera.
        cameras: calibrated cameras with their ``T_rig_cam``, by name.
    """
    T_reference_rig = inverse(T_rig_reference)
    pixels = _pixels(np.array([joints for joints, _ in hands]), cameras)
    poses = []
    for index, (joints, vertices) in enumerate(hands):
        seen = {name: np.isfinite(values[index, :, 0]) for name, values in pixels.items()}
        sources = tuple(name for name, inside in seen.items() if inside.sum() >= SEEN_JOINTS)
        anywhere = np.any(list(seen.values()), axis=0) if seen else np.zeros(21, bool)
        true_joints = apply(T_reference_rig, joints)
        poses.append(
            HandPose(
                side=SIDES[index],
                track_id=index + 1,
                state='tracked' if sources else 'lost',
                score=1.0 if sources else 0.0,
                joints=true_joints,
                joints_raw=true_joints,
                confidence=anywhere.astype(np.float64),
                covariance=np.zeros((21, 3, 3)),
                joints_2d={name: values[index] for name, values in pixels.items()},
                sources=sources,
                parameters=_parameters(index, state, models[SIDES[index]], T_reference_rig),
                vertices=apply(T_reference_rig, vertices),
            )
        )
    return poses


def _parameters(
    index: int, state: ArmState, model: HandModel, T_reference_rig: Array
) -> HandModelParameters:
    """Carry hand parameters from the rig frame into the reference camera's frame."""
    betas = state.betas[index]
    # The hand turns about its rest wrist, so the translation moves that point along.
    wrist = model.rest_joints(betas[None])[0, 0]
    turned = T_reference_rig[:3, :3] @ state.orientations[index]
    return HandModelParameters(
        global_orient=Rotation.from_matrix(turned).as_rotvec(),
        hand_pose=state.hand_pose[index],
        betas=betas,
        translation=apply(T_reference_rig, wrist + state.translation[index]) - wrist,
    )


def _pixels(joints: Array, cameras: dict[str, tuple[Camera, Array]]) -> dict[str, Array]:
    """Project joints (N, 21, 3) of the rig frame into every camera; NaN outside its image."""
    result = {}
    for name, (camera, T_rig_cam) in cameras.items():
        pixels = camera.project(apply(inverse(T_rig_cam), joints)).reshape(-1, 21, 2)
        result[name] = np.where(camera.contains(pixels)[..., None], pixels, np.nan)
    return result

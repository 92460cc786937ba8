"""Truth of batched clips as hand poses in the rig's reference camera, for live estimators."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.simulation.batch_draw import rotation_vectors
from hand_pose_ros.simulation.batch_labels import HandStates
from hand_pose_ros.simulation.batch_poses import models
from hand_pose_ros.simulation.motion import ArmState
from hand_pose_ros.simulation.truth import true_hands
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]


def true_poses(
    rig: RigDescription, states: HandStates, T_scene_rig: Array, meshes: list[Array]
) -> list[list[HandPose]]:
    """Return the hands that are there at each of N moments, see ``truth.true_hands``.

    Args:
        rig: the cameras.
        states: in the scene.
        T_scene_rig: (N, 4, 4).
        meshes: vertices (N, V, 3) of the left and of the right hand, in the scene.
    """
    cameras = {
        name: (description.camera, description.T_rig_cam)
        for name, description in rig.cameras.items()
        if description.camera is not None
    }
    reference = rig.reference_camera.T_rig_cam
    result = []
    for n, pose in enumerate(T_scene_rig):
        T = inverse(pose)
        hands = [(apply(T, states.joints[n, k]), apply(T, meshes[k][n])) for k in range(2)]
        state = _arm_state(states, n, T, hands)
        poses = true_hands(state, hands, models(), reference, cameras)
        result.append([hand for hand, there in zip(poses, states.present[n], strict=True) if there])
    return result


def _arm_state(
    states: HandStates, n: int, T_rig_scene: Array, hands: list[tuple[Array, Array]]
) -> ArmState:
    """Return the arms at moment ``n`` in the rig frame; forearms play no part in the truth."""
    betas = np.tile(states.betas[n], (2, 1))
    turned = T_rig_scene[:3, :3] @ states.rotations[n]
    wrists = [models()[side].rest_joints(betas[:1])[0, 0] for side in SIDES]
    return ArmState(
        global_orient=rotation_vectors(turned),
        hand_pose=states.hand_pose[n],
        betas=betas,
        translation=np.array([joints[0] for joints, _ in hands]) - wrists,
        orientations=turned,
        forearms=turned,
    )

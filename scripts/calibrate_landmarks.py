"""Makes assets/landmark_model.json: how the landmark network's points differ from the joints.

    python scripts/calibrate_landmarks.py [--seeds 101,102,103,104,105,106] [--output FILE]

Renders hands of several shapes in several poses with the simulated rig, runs the landmark network
on them and finds, for each landmark, the offset from its joint in the axes of the bone that
carries it, robustly over all cameras; then how far landmarks and relative depths stray from that.
The seeds are kept apart from those that accuracy is measured on.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_pose_ros.estimators.crops import cut, stretch_of
from hand_pose_ros.estimators.landmark_stream import HandLandmarks, hand_landmarks
from hand_pose_ros.estimators.networks import LANDMARK_INPUT, HandNetworks, load_networks
from hand_pose_ros.estimators.regions import region_from_landmarks
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.simulation.rig import SimulatedRig
from hand_pose_ros.skeleton import MANO_TO_OPENPOSE, SIDES

OUTPUT = Path(__file__).resolve().parents[1] / 'hand_pose_ros' / 'assets' / 'landmark_model.json'
STREAMS = ('thermal', 'nir', 'rgb')
IMAGES, INTERVAL, START = 40, 1.47, 0.37  # per seed; seconds
PRESENCE = 0.5
REACH = 0.012  # metres beyond which a landmark counts less
RIDGE = 0.02  # keeps offsets small along directions that were hardly seen
ITERATIONS = 10
RAYLEIGH_MEDIAN = 1.1774  # of the length of a 2D error with standard deviation 1
# MANO joint that carries each joint of the internal order; a tip is carried by its last joint.
CARRIER = [m if m < 16 else (15, 3, 6, 12, 9)[m - 16] for m in MANO_TO_OPENPOSE]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One hand in one image.

    Attributes:
        stream: name of the camera.
        joints: (21, 3) in the camera, metres.
        axes: (21, 3, 3) of the bones, mirrored for a left hand, in the camera.
        error: (21, 2) of the landmarks against the joints, on the plane z = 1.
        relative_depth: (21,) the network's, as a part of the wrist's distance.
        size: of the region on the plane z = 1.
    """

    stream: str
    joints: np.ndarray
    axes: np.ndarray
    error: np.ndarray
    relative_depth: np.ndarray
    size: float


def samples(rig: RigDescription, networks: HandNetworks, seed: int) -> list[Sample]:
    """Render one seed and look at every hand in view."""
    simulated = SimulatedRig(rig, seed=seed, scenario='normal')
    models = {side: HandModel(load_hand_model(side)) for side in SIDES}
    found = []
    for number in range(IMAGES):
        stamp = round((START + number * INTERVAL) * 1e9)
        truth = simulated.truth(stamp)
        for stream in STREAMS:
            camera, lens = rig.cameras[stream], rig.cameras[stream].camera
            image = stream_image(simulated.render(stream, stamp), camera.encoding, stamp, camera)
            T_camera_reference = inverse(camera.T_rig_cam) @ rig.reference_camera.T_rig_cam
            for hand in truth:
                if stream not in hand.sources or lens is None or hand.joints is None:
                    continue
                joints = apply(T_camera_reference, hand.joints)
                region = region_from_landmarks(lens.project(joints))
                stretch = stretch_of(image, camera.modality)
                # The second look is taken where the first one saw the hand, as when tracking.
                for _ in range(2):
                    crop = cut(image.image, region, LANDMARK_INPUT, stretch)
                    seen = hand_landmarks(networks.landmarks([crop])[0], region, 0.5)
                    region = seen.region
                if seen.presence >= PRESENCE:
                    axes = T_camera_reference[:3, :3] @ bone_axes(models[hand.side], hand)
                    found.append(sample(stream, lens, joints, axes, seen))
    return found


def bone_axes(model: HandModel, hand: HandPose) -> np.ndarray:
    """Return the axes (21, 3, 3) of the bones that carry the joints, as of a right hand."""
    pose = hand.parameters
    assert pose is not None
    rotations, _ = model.kinematics(
        pose.global_orient[None], pose.hand_pose[None], pose.betas[None], np.zeros((1, 3))
    )
    mirror = np.array([1.0 if hand.side == 'right' else -1.0, 1.0, 1.0])
    return rotations[0][CARRIER] * mirror


def sample(
    stream: str, camera: Camera, joints: np.ndarray, axes: np.ndarray, seen: HandLandmarks
) -> Sample:
    """Bring landmarks to the plane z = 1."""
    focal = camera.intrinsics[0, 0]
    return Sample(
        stream=stream,
        joints=joints,
        axes=axes,
        error=camera.undistort(seen.points) - joints[:, :2] / joints[:, 2:],
        relative_depth=(seen.relative_depth - seen.relative_depth[0]) / focal,
        size=seen.region.size / focal,
    )


def fit_offsets(found: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets (21, 3) and the errors that remain (N, 21, 2) on the plane z = 1."""
    depth = np.array([item.joints[:, 2] for item in found])
    plane = np.array([item.joints[:, :2] / item.joints[:, 2:] for item in found])
    axes, error = np.array([item.axes for item in found]), np.array([item.error for item in found])
    slope = (axes[:, :, :2] - plane[..., None] * axes[:, :, 2:]) / depth[..., None, None]
    offsets = np.zeros((21, 3))
    for _ in range(ITERATIONS):
        rest = error - np.einsum('njic,jc->nji', slope, offsets)
        metres = np.linalg.norm(rest, axis=-1) * depth
        weight = depth**2 / (1.0 + (metres / REACH) ** 2) ** 2
        matrix = np.einsum('njic,njid,nj->jcd', slope, slope, weight)
        matrix += RIDGE * len(found) * np.eye(3)
        right = np.einsum('njic,nji,nj->jc', slope, error, weight)
        offsets = np.linalg.solve(matrix, right[..., None])[..., 0]
    return offsets, error - np.einsum('njic,jc->nji', slope, offsets)


def depth_sigma(found: list[Sample], offsets: np.ndarray) -> float:
    """Return how far relative depths stray, as a part of the region's size."""
    strays = []
    for item in found:
        landmarks = item.joints + np.einsum('jac,jc->ja', item.axes, offsets)
        distance = np.linalg.norm(landmarks, axis=1)
        true = distance / distance[0] - 1.0
        strays.append((true - item.relative_depth)[1:] / item.size)
    # The lean of the network in a modality is part of what it strays by.
    return float(np.sqrt(np.mean(np.square(strays))))


def main() -> None:
    """Calibrate and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', default='101,102,103,104,105,106')
    parser.add_argument('--output', type=Path, default=OUTPUT)
    options = parser.parse_args()
    rig, networks = find_rig('simulated_head_rig'), load_networks()
    seeds = [int(seed) for seed in options.seeds.split(',')]
    found = []
    for seed in seeds:
        found += samples(rig, networks, seed)
        print(f'seed {seed}: {len(found)} hands so far')
    offsets, rest = fit_offsets(found)
    sizes = np.array([item.size for item in found])
    sigma = np.median(np.linalg.norm(rest, axis=-1) / sizes[:, None], axis=0) / RAYLEIGH_MEDIAN
    by_stream = {
        stream: depth_sigma([item for item in found if item.stream == stream], offsets)
        for stream in STREAMS
    }
    model = {
        'provenance': {
            'made_by': 'scripts/calibrate_landmarks.py',
            'network': f'MediaPipe hand landmarks, {networks.model_hash}',
            'rig': 'simulated_head_rig, scenario normal',
            'seeds': seeds,
            'hands': len(found),
            'units': 'offsets in metres; sigma and depth_sigma as a part of the region',
        },
        'offsets': np.round(offsets, 5).tolist(),
        'sigma': np.round(sigma, 4).tolist(),
        'depth_sigma': {name: round(value, 3) for name, value in by_stream.items()},
    }
    options.output.write_text(json.dumps(model, indent=1) + '\n', encoding='utf-8')
    print(f'{len(found)} hands, median sigma {np.median(sigma):.4f}, wrote {options.output}')


if __name__ == '__main__':
    main()

"""The tripod: a rigid, smooth, repeatable motion before the wearer, seen by its cameras."""

import numpy as np
import pytest

from hand_pose_ros.geometry.transforms import apply, inverse, is_rigid
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.simulation.other_body import OtherBody
from hand_pose_ros.simulation.rig import SimulatedRig

HANDS = np.array([0.38, 0.0, -0.26])


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_it_faces_the_hands_and_moves_little_and_smoothly(seed):
    body = OtherBody(seed)
    poses = [body.at(n / 30) for n in range(300)]
    assert all(is_rigid(pose) for pose in poses)
    ahead = np.array([apply(inverse(pose), HANDS) for pose in poses])
    assert np.all((ahead[:, 0] > 0.5) & (ahead[:, 0] < 0.9))
    assert np.all(np.abs(ahead[:, 1:]) < 0.25)
    assert np.ptp(ahead[:, 1:], axis=0).max() > 1e-3
    steps = np.linalg.norm(np.diff([pose[:3, 3] for pose in poses], axis=0), axis=1)
    assert steps.max() < 0.02


def on_surface(depth, camera, points):
    """Share of points of the exo camera's frame that the depth image has within 2 cm."""
    pixels = np.round(camera.project(points)).astype(int)
    return (np.abs(depth[pixels[:, 1], pixels[:, 0]] / 1000 - points[:, 2]) < 0.02).mean()


def test_truth_projects_onto_the_hands_in_the_exo_views():
    rig = find_rig('simulated_two_view_rig')
    camera = rig.cameras['exo_depth'].camera
    simulation = SimulatedRig(rig, seed=3, scenario='normal')
    for stamp in (2_000_000_000, 9_000_000_000):
        depth = simulation.render('exo_depth', stamp)
        T_exo_reference = inverse(simulation.T_rig_cam('exo_depth', stamp)) @ (
            rig.reference_camera.T_rig_cam
        )
        for hand in simulation.truth(stamp):
            here, aside = (
                on_surface(depth, camera, apply(T_exo_reference, hand.vertices) + shift)
                for shift in (0.0, [0.05, 0.0, 0.0])
            )
            assert here > 0.2
            assert aside < 0.7 * here
            assert np.isfinite(hand.joints_2d['exo_rgb']).all()

"""Crossing: hands that pass each other keep their identities and sides."""

import numpy as np

from hand_pose_ros.estimators.landmarks import LandmarkEstimator
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.simulation.rig import SimulatedRig

CROSSING = (8.9, 11.2)  # seconds of the demo scenario


def test_crossing_hands_keep_their_identities(networks):
    rig = find_rig('simulated_head_rig')
    simulated = SimulatedRig(rig, seed=52, scenario='demo')
    estimator = LandmarkEstimator({'mesh': False, 'streams_per_frame': 1}, rig, networks)
    numbers: dict[str, list[int]] = {'left': [], 'right': []}
    crossed, errors = False, []
    for stamp in range(int(CROSSING[0] * 1e9), int(CROSSING[1] * 1e9), 33_333_333):
        images = {
            name: stream_image(simulated.render(name, stamp), camera.encoding, stamp, camera)
            for name, camera in rig.cameras.items()
        }
        truth = {hand.side: hand.joints for hand in simulated.truth(stamp)}
        crossed |= bool(truth['left'][0, 0] > truth['right'][0, 0])
        for pose in estimator.estimate(rig_frame(rig, images)):
            if pose.state == 'tracked' and pose.score > 0.3:
                numbers[pose.side].append(pose.track_id)
                errors.append(np.linalg.norm(pose.joints - truth[pose.side], axis=1).mean())
    assert crossed
    for side, found in numbers.items():
        assert len(found) > 60, side
        assert len(set(found)) == 1, side
    assert not set(numbers['left']) & set(numbers['right'])
    assert np.median(errors) < 0.012
    assert np.percentile(errors, 95) < 0.04

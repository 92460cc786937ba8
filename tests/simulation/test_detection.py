"""The renderings look like hands to the palm and landmark networks."""

import numpy as np
import pytest

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators.landmark_stream import LandmarkStream
from hand_pose_ros.estimators.networks import load_networks
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.simulation.rig import SimulatedRig

RIG = find_rig('simulated_head_rig')
FRAMES = 20
RATE = 5.0


@pytest.fixture(scope='module')
def networks():
    try:
        loaded = load_networks(1)
    except ModelError as error:
        pytest.skip(f'no landmark models here: {error}')
    yield loaded
    loaded.close()


@pytest.mark.parametrize('stream', ['thermal', 'nir', 'rgb'])
def test_hands_are_found_in_nine_of_ten_images(networks, stream):
    sim = SimulatedRig(RIG, seed=11, scenario='normal')
    follower = LandmarkStream(networks, stream)
    found, total, errors = 0, 0, []
    for k in range(FRAMES):
        stamp = int(k / RATE * 1e9)
        description = RIG.cameras[stream]
        image = stream_image(sim.render(stream, stamp), description.encoding, stamp, description)
        hands = follower.update(image)
        for truth in sim.truth(stamp):
            pixels = truth.joints_2d[stream]
            size = np.ptp(pixels, axis=0).max()
            away = [np.linalg.norm(hand.points - pixels, axis=1).mean() / size for hand in hands]
            total += 1
            if away and min(away) < 0.2:
                found += 1
                errors.append(min(away))
    assert total == 2 * FRAMES
    assert found >= 0.9 * total
    assert np.median(errors) < 0.1

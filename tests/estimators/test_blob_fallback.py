"""Blob fallback: near blobs hold a place with low scores, warm ones only where a hand was lost."""

import numpy as np
import pytest

from hand_pose_ros.estimators.blob_fallback import BlobFallback, palm_middle
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.rig_views import views_of
from hand_pose_ros.hand_model.kinematics import FittingModel
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.simulation.rig import SimulatedRig
from hand_pose_ros.skeleton import SIDES

RIG = find_rig('simulated_head_rig')
STILL = SimulatedRig(RIG, seed=53, scenario='static')
STEP = 100_000_000
MODEL = FittingModel(load_hand_model('right'), surface=10)


def view(name: str):
    camera = RIG.cameras[name]
    image = stream_image(STILL.render(name, 0), camera.encoding, 0, camera)
    return views_of(rig_frame(RIG, {name: image}))[name]


@pytest.fixture
def fallback() -> BlobFallback:
    numbers = iter(range(1, 100))
    return BlobFallback(MODEL, LandmarksConfig(), lambda: next(numbers))


def true_palms() -> dict[str, np.ndarray]:
    return {hand.side: palm_middle(hand.joints) for hand in STILL.truth(0)}


def test_depth_shows_both_hands_with_low_scores_and_honest_sigmas(fallback):
    found = fallback.update(0, [view('depth')], [], set(), alone=True)
    assert sorted(SIDES[place.side] for place, _, _ in found) == ['left', 'right']
    for place, state, pose in found:
        true = true_palms()[SIDES[place.side]]
        palm = palm_middle(MODEL.landmarks(state, np.array([place.side]))[0])
        assert np.linalg.norm(palm - true) < 0.06
        assert 0 < pose.score <= 0.3
        assert pose.sigma.min() > 0.03
        assert pose.confidence.max() < 0.1


def test_a_blob_that_networks_could_have_seen_must_persist(fallback):
    shown = [
        len(fallback.update(number * STEP, [view('depth')], [], set(), alone=False))
        for number in range(4)
    ]
    assert shown == [0, 0, 2, 2]


def test_tracked_hands_are_no_blobs(fallback):
    palms = true_palms()
    left = fallback.update(0, [view('depth')], [palms['right']], {1}, alone=True)
    assert [SIDES[place.side] for place, _, _ in left] == ['left']
    both = list(palms.values())
    assert fallback.update(STEP, [view('depth')], both, {0, 1}, alone=True) == []


def test_warmth_speaks_only_where_a_hand_was_lost(fallback):
    thermal = view('thermal')
    for number in range(5):
        assert fallback.update(number * STEP, [thermal], [], set(), alone=False) == []
    fallback.remember(true_palms()['left'], 5 * STEP)
    for number in range(5, 9):
        found = fallback.update(number * STEP, [thermal], [], set(), alone=False)
    assert len(found) == 1
    spread = np.linalg.eigvalsh(found[0][2].covariance[0])
    assert np.sqrt(spread[-1]) > 0.1  # warmth does not know how far


def test_an_identity_goes_on_when_the_hand_is_recognised(fallback):
    found = fallback.update(0, [view('depth')], [], set(), alone=True)
    number = {SIDES[place.side]: place.number for place, _, _ in found}
    palm = true_palms()['left']
    assert fallback.take_number(palm) == number['left']
    assert fallback.take_number(palm) is None
    assert fallback.take_number(palm + 1.0) is None


def test_a_blob_that_goes_is_forgotten(fallback):
    fallback.update(0, [view('depth')], [], set(), alone=True)
    assert fallback.update(10 * STEP, [], [], set(), alone=True) == []
    fallback.reset()
    assert fallback.update(0, [], [], set(), alone=True) == []

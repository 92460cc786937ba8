"""The landmarks estimator as a whole: metric hands, identity, loss, and every kind of gap."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from hand_pose_ros.estimators.landmarks import LandmarkEstimator
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.simulation.rig import SimulatedRig

FRAME = 33_333_333
ALL = ('thermal', 'nir', 'depth', 'rgb')
RIG = find_rig('simulated_head_rig')
STILL = SimulatedRig(RIG, seed=51, scenario='static')


@lru_cache(maxsize=64)
def still_image(stream: str, stamp: int) -> StreamImage:
    camera = RIG.cameras[stream]
    return stream_image(STILL.render(stream, stamp), camera.encoding, stamp, camera)


def frame(number: int, streams=ALL, **changes) -> RigFrame:
    """A frame of two still hands; changes replace whole images by name."""
    stamp = number * FRAME
    images = {name: still_image(name, number % 6 * FRAME) for name in streams}
    images = {name: replace(image, stamp=stamp) for name, image in images.items()}
    images |= {name: replace(image, stamp=stamp) for name, image in changes.items()}
    return rig_frame(RIG, images)


def empty(stream: str) -> StreamImage:
    image = still_image(stream, 0)
    generator = np.random.default_rng(0)
    if stream == 'depth':
        return replace(image, image=np.full_like(image.image, np.nan))
    if stream == 'rgb':
        pixels = generator.integers(40, 60, image.image.shape).astype(image.image.dtype)
    else:
        pixels = generator.integers(100, 110, image.image.shape).astype(image.image.dtype)
    return replace(image, image=pixels)


NOTHING = {name: empty(name) for name in ALL}


@pytest.fixture
def estimator(networks) -> LandmarkEstimator:
    return LandmarkEstimator({'mesh': False}, RIG, networks)


def truth(stamp: int = 0):
    return {hand.side: hand for hand in STILL.truth(stamp)}


def error(pose) -> float:
    return float(np.linalg.norm(pose.joints - truth()[pose.side].joints, axis=1).mean())


def test_both_hands_are_metric_and_on_the_right_side(estimator):
    for number in range(6):
        poses = estimator.estimate(frame(number))
    assert sorted(pose.side for pose in poses) == ['left', 'right']
    for pose in poses:
        assert pose.state == 'tracked'
        assert error(pose) < 0.015
        assert set(pose.sources) <= set(ALL) and 'depth' in pose.sources
        assert pose.covariance.shape == (21, 3, 3)
        assert np.all(np.linalg.eigvalsh(pose.covariance) > 0)
        assert pose.confidence.min() > 0 and pose.confidence.max() <= 1
        assert 0.5 < pose.score <= 1
        for name in pose.joints_2d:
            assert pose.joints_2d[name].shape == (21, 2)


def test_every_stage_is_timed(estimator):
    estimator.estimate(frame(0))
    assert set(estimator.timings) == {'detect_2d', 'track', 'fit', 'mesh'}
    assert estimator.timings['detect_2d'] > 0 and estimator.timings['fit'] > 0


def test_mesh_joints_and_parameters_are_one_hand(networks):
    from hand_pose_ros.hand_model.hand import HandModel
    from hand_pose_ros.hand_model.model_files import load_hand_model

    estimator = LandmarkEstimator({'mesh': True}, RIG, networks)
    for pose in estimator.estimate(frame(0)):
        values = pose.parameters
        joints, vertices = HandModel(load_hand_model(pose.side)).forward(
            values.global_orient[None], values.hand_pose[None],
            values.betas[None], values.translation[None],
        )  # fmt: skip
        np.testing.assert_allclose(pose.joints, joints[0], atol=1e-9)
        np.testing.assert_allclose(pose.vertices, vertices[0], atol=1e-9)


def test_identities_last_and_are_never_given_twice(estimator):
    first = {pose.side: pose.track_id for pose in estimator.estimate(frame(0))}
    for number in range(1, 5):
        again = {pose.side: pose.track_id for pose in estimator.estimate(frame(number))}
        assert again == first
    estimator.reset()
    later = {pose.track_id for pose in estimator.estimate(frame(6))}
    assert not later & set(first.values())


def test_a_hand_that_goes_is_predicted_then_lost_once_then_silence(estimator):
    for number in range(3):
        estimator.estimate(frame(number))
    states = []
    for number in range(3, 16):
        poses = estimator.estimate(frame(number, **NOTHING))
        states.append(sorted(pose.state for pose in poses))
        for pose in poses:
            if pose.state == 'predicted':
                assert pose.score < 0.5 and pose.joints is not None and not pose.sources
            if pose.state == 'lost':
                assert pose.joints is None and pose.score == 0 and pose.covariance is None
    flat = [state for frame_states in states for state in frame_states]
    assert states[0] == ['predicted', 'predicted']
    assert flat.count('lost') == 2
    assert 'tracked' not in flat
    lost_at = next(index for index, found in enumerate(states) if 'lost' in found)
    assert 4 <= lost_at <= 6  # 0.15 s
    assert all(found == [] for found in states[lost_at + 1 :])


def test_predictions_grow_less_certain(estimator):
    for number in range(3):
        estimator.estimate(frame(number))
    sigmas = []
    for number in range(3, 6):
        sigmas.append(estimator.estimate(frame(number, **NOTHING))[0].sigma.mean())
    assert sigmas == sorted(sigmas) and sigmas[-1] > sigmas[0]


@pytest.mark.parametrize('jump', [-10, 60])
def test_a_jump_of_time_starts_over(estimator, jump):
    before = {pose.track_id for pose in estimator.estimate(frame(20))}
    after = {pose.track_id for pose in estimator.estimate(frame(20 + jump))}
    assert before and after and not before & after


@pytest.mark.parametrize(
    'streams', [('thermal',), ('nir',), ('rgb',), ('thermal', 'nir'), ('depth',), ('nir', 'depth')]
)
def test_any_streams_will_do(estimator, streams):
    poses = estimator.estimate(frame(0, streams))
    assert len(poses) == 2
    for pose in poses:
        assert set(pose.sources) <= set(streams)
        errors = np.linalg.norm(pose.joints - truth()[pose.side].joints, axis=1)
        assert errors.mean() < 4 * pose.sigma.mean() + 0.01


def test_streams_may_come_and_go(estimator):
    for number, streams in enumerate((ALL, ('depth',), ('rgb',), ('thermal', 'depth'), ALL)):
        poses = estimator.estimate(frame(number, streams))
        assert sorted(pose.side for pose in poses) == ['left', 'right']
        assert all(error(pose) < 0.03 for pose in poses)


def test_one_image_alone_is_unsure_of_the_distance(estimator):
    for pose in estimator.estimate(frame(0, ('rgb',))):
        spread = np.sqrt(np.diagonal(pose.covariance, axis1=1, axis2=2)).mean(axis=0)
        assert spread[2] > 0.015
        assert spread[2] > 2 * spread[0]


def test_depth_without_a_single_value_changes_nothing(estimator):
    poses = estimator.estimate(frame(0, ('rgb',), depth=NOTHING['depth']))
    assert [pose.sources for pose in poses] == [('rgb',), ('rgb',)]


def test_without_calibration_there_are_only_two_dimensions(estimator):
    image = replace(still_image('rgb', 0), camera=None)
    poses = estimator.estimate(rig_frame(RIG, {'rgb': image}))
    assert sorted(pose.side for pose in poses) == ['left', 'right']
    for pose in poses:
        assert pose.joints is None and pose.covariance is None and pose.parameters is None
        assert pose.joints_2d['rgb'].shape == (21, 2)


def test_a_stream_without_calibration_is_left_out(estimator):
    image = replace(still_image('thermal', 0), camera=None)
    poses = estimator.estimate(frame(0, ('rgb', 'depth'), thermal=image))
    assert poses and all('thermal' not in pose.sources for pose in poses)


def test_uncalibrated_depth_alone_gives_nothing(estimator):
    image = replace(still_image('depth', 0), camera=None)
    assert estimator.estimate(rig_frame(RIG, {'depth': image})) == []


def test_nothing_there_is_no_hand(estimator):
    for number in range(4):
        assert estimator.estimate(frame(number, **NOTHING)) == []


def test_depth_holds_hands_the_networks_lose(estimator):
    for number in range(3):
        estimator.estimate(frame(number))
    blind = {name: image for name, image in NOTHING.items() if name != 'depth'}
    for number in range(3, 8):
        poses = estimator.estimate(frame(number, **blind))
        assert [pose.state for pose in poses] == ['tracked', 'tracked']
        for pose in poses:
            assert pose.sources == ('depth',)
            assert pose.score <= 0.3
            assert error(pose) < 0.03
            assert pose.sigma.mean() > 0.015


def test_two_tracks_on_one_hand_become_one(estimator):
    for number in range(3):
        estimator.estimate(frame(number))
    # A second track that was drawn onto the first one's hand.
    tracks = estimator._tracker.tracks
    older = min(tracks, key=lambda track: track.number)
    younger = max(tracks, key=lambda track: track.number)
    younger.side, younger.state = older.side, older.state
    poses = estimator.estimate(frame(3, ('depth',)))
    states = {pose.track_id: pose.state for pose in poses}
    assert states[older.number] == 'tracked'
    assert states[younger.number] == 'lost'


def test_results_are_in_the_frame_that_was_asked_for(estimator, networks):
    here = {pose.side: pose for pose in estimator.estimate(frame(0))}
    shifted = frame(0)
    T_rig_frame = shifted.T_rig_frame @ np.array(
        [[1, 0, 0, 0.1], [0, 1, 0, 0.2], [0, 0, 1, -0.1], [0, 0, 0, 1.0]]
    )
    other = LandmarkEstimator({'mesh': False}, RIG, networks)
    there = other.estimate(replace(shifted, T_rig_frame=T_rig_frame))
    for pose in there:
        moved = here[pose.side].joints - [0.1, 0.2, -0.1]
        np.testing.assert_allclose(pose.joints, moved, atol=2e-3)


def test_the_same_frames_give_the_same_hands(networks):
    found = []
    for _ in range(2):
        estimator = LandmarkEstimator({'mesh': False}, RIG, networks)
        found.append([estimator.estimate(frame(number)) for number in range(3)][-1])
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first.joints, second.joints)


def test_jitter_of_still_hands_is_small(estimator):
    joints = {'left': [], 'right': []}
    for number in range(24):
        for pose in estimator.estimate(frame(number)):
            joints[pose.side].append(pose.joints)
    for track in joints.values():
        late = np.array(track[12:])
        assert np.sqrt(((late - late.mean(axis=0)) ** 2).mean(axis=(0, 1))).max() < 0.002


def test_real_thermal_hands_lie_where_hands_can_be(networks, thermal_frames, test_data):
    from hand_pose_ros.rig.description import load_rig

    rig = load_rig(test_data / 'thermal_egocentric' / 'calibration' / 'ego_calib.json')
    thermal = rig.cameras['thermal']
    estimator = LandmarkEstimator({'mesh': False}, rig, networks)
    places = {'left': [], 'right': []}
    for stream in thermal_frames[:6]:
        height, width = stream.image.shape
        camera = thermal.camera.scaled(width, height)
        image = replace(stream, camera=camera, T_rig_cam=thermal.T_rig_cam)
        found = RigFrame(
            streams={'thermal': image}, reference='thermal', T_rig_frame=thermal.T_rig_cam
        )
        for pose in estimator.estimate(found):
            places[pose.side].append(pose.joints)
            pixels = camera.project(pose.joints)
            assert np.all((pixels > 0) & (pixels < (width, height)))
    for side, sign in (('left', -1), ('right', 1)):
        track = np.array(places[side])
        assert len(track) == 6
        assert np.all((track[..., 2] > 0.3) & (track[..., 2] < 0.8))
        assert np.all(sign * track[:, 0, 0] > 0)
        assert np.abs(np.diff(track, axis=0)).max() < 0.03

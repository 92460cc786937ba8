"""The fusion estimator: every stage helps, and any stream or stage may be missing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import HandPoseError, ModelError
from hand_pose_ros.estimators import fusion, hand_follower, trained_models
from hand_pose_ros.estimators.fusion import FusionEstimator
from hand_pose_ros.estimators.fusion_stages import FusionStages
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.network_hands import NetworkNoise, image_pixels
from hand_pose_ros.estimators.rig_views import views_of
from hand_pose_ros.estimators.stage_timer import StageTimer
from hand_pose_ros.networks.checkpoint import save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from tests.estimators.network_fakes import (
    ALL,
    RIG,
    TRUTH,
    FakeFinder,
    FakeRefiner,
    camera_joints,
    dark,
    error,
    frame,
    still_image,
    without_hand,
)

HASH = type('Loaded', (), {'model_hash': 'ab' * 32})()


@pytest.fixture
def make(monkeypatch):
    """Makes the estimator with stand-ins for our networks, and without landmarks unless asked."""

    def made(options=None, landmarks=None, **stages):
        for stage in stages.values():
            stage.loaded = HASH
        monkeypatch.setattr(fusion, '_make', lambda name, *_: stages[name])
        names = (*stages, 'landmarks') if landmarks else tuple(stages)
        options = {'mesh': False, 'stages': list(names), **(options or {})}
        return FusionEstimator(options, RIG, landmarks)

    return made


def follow(estimator, streams=ALL, count=4, **changes):
    for number in range(count):
        poses = estimator.estimate(frame(number, streams, **changes))
    return {pose.side: pose for pose in poses}


def test_therformer_alone_finds_both_hands_in_the_dark(make):
    poses = follow(make(therformer=FakeFinder(noise=0.008)), ('thermal',))
    assert poses.keys() == {'left', 'right'}
    for pose in poses.values():
        assert pose.state == 'tracked' and pose.sources == ('thermal',)
        assert error(pose) < 0.015
        assert pose.parameters is not None
        assert pose.joints_2d['thermal'].shape == (21, 2)


def test_depth_corrects_what_therformer_is_unsure_of(make):
    shifted = (0.0, 0.0, 0.04)
    alone = follow(make(therformer=FakeFinder(shift=shifted)), ('thermal',))
    held = follow(make(therformer=FakeFinder(shift=shifted)), ('thermal', 'depth'))
    for side, pose in held.items():
        assert error(pose) < 0.012 < error(alone[side])
        assert pose.sigma.mean() < alone[side].sigma.mean()
        assert set(pose.sources) == {'thermal', 'depth'}


def test_a_refiner_makes_the_fingers_better(make):
    coarse = FakeFinder(noise=0.02)
    alone = follow(make(therformer=coarse), ('thermal', 'depth'), 3)
    fine = FakeRefiner('depth', noise=0.002)
    refined = follow(
        make(therformer=FakeFinder(noise=0.02), densereg=fine), ('thermal', 'depth'), 3
    )
    for side, pose in refined.items():
        assert error(pose) < 0.7 * error(alone[side])


def test_the_near_fit_lays_fingers_onto_the_surface(make):
    finder = {'therformer': FakeFinder(noise=0.02)}
    coarse = follow(make({'near_iterations': 0}, **finder), ('thermal', 'depth'), 3)
    near = follow(make(**finder), ('thermal', 'depth'), 3)
    for side, pose in near.items():
        assert error(pose) < 0.8 * error(coarse[side])


def test_thermal_crops_make_fingers_better_where_no_other_camera_sees(make):
    finder, fine = FakeFinder(noise=0.02), FakeRefiner('thermal', noise=0.002)
    alone = follow(make(therformer=finder), ('thermal',), 3)
    refined = follow(
        make(therformer=FakeFinder(noise=0.02), wildhands_thermal=fine), ('thermal',), 3
    )
    for side, pose in refined.items():
        assert error(pose) < 0.7 * error(alone[side])


def test_landmarks_are_looked_for_where_thermal_crops_show_the_hand(make, monkeypatch):
    estimator = make(therformer=FakeFinder(), wildhands_thermal=FakeRefiner('thermal'))
    told = []
    monkeypatch.setattr(
        estimator._search, 'follow',
        lambda tracks, expected, views, hands: told.append(hands) or [{} for _ in tracks],
    )  # fmt: skip
    follow(estimator, ('thermal',), 2)
    assert told[0] == []
    assert [[hand.finds for hand in hands] for hands in told[1]] == [[True, False]] * 2


def test_networks_look_closer_at_each_hand_once_a_frame(make):
    fine = FakeRefiner('thermal')
    looks = []
    refine = fine.refine
    fine.refine = lambda views, places: looks.append(len(places)) or refine(views, places)
    estimator = make(therformer=FakeFinder(), wildhands_thermal=fine)
    follow(estimator, ('thermal',), 3)
    assert looks == [2, 2, 2]


def test_no_hand_is_farther_away_than_an_arm_is_long(make):
    far = FakeFinder(shift=(0.0, 0.0, 0.8))
    poses = follow(make(therformer=far), ('thermal',))
    assert not any(pose.state == 'tracked' for pose in poses.values())
    poses = follow(make({'reach': 2.0}, therformer=far), ('thermal',))
    assert any(pose.state == 'tracked' for pose in poses.values())


def test_with_landmarks_as_well(make, networks):
    stages = {'therformer': FakeFinder(noise=0.02), 'densereg': FakeRefiner('depth', noise=0.004)}
    estimator = make(landmarks=networks, **stages)
    poses = follow(estimator, count=5)
    assert all(error(pose) < 0.010 for pose in poses.values())
    assert set(estimator.timings) == {
        'therformer', 'densereg', 'detect_2d', 'track', 'fit', 'mesh',
    }  # fmt: skip
    assert all(seconds > 0 for seconds in estimator.timings.values())


def test_streams_and_stages_may_come_and_go(make):
    finder, refiner = FakeFinder(noise=0.01), FakeRefiner('depth', noise=0.004)
    estimator = make(therformer=finder, densereg=refiner)
    plan = [ALL, ('depth',), ('rgb', 'depth'), ('thermal',), ('depth', 'nir'), ALL]
    numbers = set()
    for number, streams in enumerate(plan):
        poses = estimator.estimate(frame(number, streams))
        assert {pose.side for pose in poses} == {'left', 'right'}
        for pose in poses:
            assert np.isfinite(pose.joints).all() and error(pose) < 0.03
            numbers.add(pose.track_id)
    assert len(numbers) == 2


def test_without_any_usable_stream_hands_are_predicted_and_lost(make):
    estimator = make(therformer=FakeFinder())
    follow(estimator, ('thermal',), 2)
    states = []
    for number in range(2, 12):
        states += [pose.state for pose in estimator.estimate(frame(number, ('rgb',)))]
    assert states.count('lost') == 2 and 'tracked' not in states


def test_a_network_that_only_looks_closer_does_not_keep_a_hand_that_nothing_finds(make):
    """It answers with a hand wherever it is asked."""
    finder = FakeFinder()
    estimator = make(therformer=finder, densereg=FakeRefiner('thermal'))
    follow(estimator, ('thermal', 'depth'), 3)
    finder.sides = (1,)
    gone = without_hand(0)
    states = []
    for number in range(3, 12):
        poses = estimator.estimate(frame(number, ('thermal', 'depth'), depth=gone))
        states.append({pose.side: pose.state for pose in poses})
    assert states[0]['left'] == 'predicted' and 'left' not in states[-1]
    assert [state['right'] for state in states] == ['tracked'] * 9


def test_a_hand_that_the_depth_camera_sees_through_is_not_there(make):
    estimator = make(therformer=FakeFinder())
    follow(estimator, ('thermal', 'depth'), 2)
    states = []
    for number in range(2, 11):
        poses = estimator.estimate(frame(number, ('thermal', 'depth'), depth=without_hand(0)))
        states.append({pose.side: pose.state for pose in poses})
    assert all(state.get('left') != 'tracked' for state in states)
    assert [state['right'] for state in states] == ['tracked'] * 9


@pytest.mark.parametrize('side', (0, 1))
def test_a_hand_far_behind_what_the_depth_camera_sees_is_not_there(make, side):
    far = FakeFinder(shift=(0.0, 0.0, 0.25), noise=0.004, sides=(side,))
    poses = follow(make(therformer=far), ('thermal', 'depth'), 6)
    assert all(pose.state != 'tracked' or error(pose) < 0.05 for pose in poses.values())


def test_one_hand_is_one_hand(make):
    poses = follow(make(therformer=FakeFinder(sides=(1,))), ('thermal',))
    assert poses.keys() == {'right'}


class TwiceFinder(FakeFinder):
    """Takes the right hand for a left one as well, 3 cm beside it."""

    def hand(self, side, views):
        seen = super().hand(1, views)
        if side == 1:
            return seen
        joints = seen.joints + np.array([0.03, 0.0, 0.0])
        return replace(
            seen, side=0, joints=joints, pixels=image_pixels(joints, views[self.stream]),
            confidence=np.full(21, 0.8),
        )  # fmt: skip


def test_a_hand_that_therformer_takes_for_both_is_one(make):
    poses = follow(make(therformer=TwiceFinder(sides=(1, 0))), ('thermal',))
    assert [side for side, pose in poses.items() if pose.state == 'tracked'] == ['right']
    options = {'tracking': {'duplicate': 0.025}}
    poses = follow(make(options, therformer=TwiceFinder(sides=(1, 0))), ('thermal',))
    assert poses['left'].state == 'tracked'


def test_a_hand_that_is_more_likely_wrong_than_right_is_not_tracked(make):
    """However sure a network that looks closer is: it would be as sure of a mug."""
    finder, refiner = FakeFinder(), FakeRefiner('depth', noise=0.002)
    refiner.confidence = 1.0
    estimator = make(therformer=finder, densereg=refiner)
    states = []
    for number, finder.confidence in enumerate([0.4] * 8 + [0.9] * 4 + [0.2] * 12):
        poses = estimator.estimate(frame(number, ('thermal', 'depth')))
        states.append([pose.state for pose in poses])
        assert all(pose.score >= 0.5 for pose in poses if pose.state == 'tracked')
    assert not any(states[:8])  # what was never sure is neither predicted nor lost
    assert states[11] == ['tracked'] * 2
    assert states[16] == ['predicted'] * 2 and states[-1] == []
    finder.confidence = 0.4
    options = {'tracking': {'least_score': 0.3}}
    believed = follow(make(options, therformer=finder, densereg=refiner), ('thermal', 'depth'))
    assert {pose.state for pose in believed.values()} == {'tracked'}
    assert all(0.3 < pose.score < 0.5 for pose in believed.values())


def test_a_hand_of_which_depth_shows_little_is_followed_and_predicted_not_tracked(
    make, monkeypatch
):
    finder, refiner = FakeFinder(), FakeRefiner('depth', noise=0.002)
    estimator = make(therformer=finder, densereg=refiner)
    shown = follow(estimator, ('thermal', 'depth'))
    assert {pose.state for pose in shown.values()} == {'tracked'}
    with monkeypatch.context() as patch:
        patch.setattr(hand_follower, 'agreement', lambda share, measured: 0.3)
        for number in range(4, 24):  # longer than a hand is predicted that nothing shows
            poses = estimator.estimate(frame(number, ('thermal', 'depth')))
            assert [pose.state for pose in poses] == ['predicted'] * 2
            assert all(pose.score <= 0.5 for pose in poses)
            assert all(error(pose) < 0.012 for pose in poses)
            assert all(pose.sigma.mean() > shown[pose.side].sigma.mean() for pose in poses)
    assert all(0.05 < pose.sigma.mean() < 0.15 for pose in poses)  # as of one that was lost
    again = estimator.estimate(frame(24, ('thermal', 'depth')))
    assert {pose.side: pose.state for pose in again} == {'left': 'tracked', 'right': 'tracked'}
    assert {pose.track_id for pose in again} == {pose.track_id for pose in shown.values()}


def test_an_unsure_hand_that_densereg_does_not_see_is_predicted_where_depth_is_measured(make):
    """As unsure as TherFormer alone leaves it: enough where there is no DenseReg."""
    alone = follow(make(therformer=FakeFinder(noise=0.02)), ('thermal', 'depth'))
    assert {pose.state for pose in alone.values()} == {'tracked'}
    blind = FakeRefiner('depth', sides=())
    blind.knows_distance = True
    estimator = make(therformer=FakeFinder(noise=0.02), densereg=blind)
    for number in range(4):
        poses = estimator.estimate(frame(number, ('thermal', 'depth')))
    assert 'tracked' not in {pose.state for pose in poses}
    # Without its image DenseReg takes no part.
    poses = estimator.estimate(frame(4, ('thermal',)))
    assert {pose.state for pose in poses} == {'tracked'}


def test_a_hand_whose_place_is_not_known_is_followed_and_predicted_not_tracked(make):
    finder, refiner = FakeFinder(), FakeRefiner('depth', noise=0.002)
    estimator = make(therformer=finder, densereg=refiner)
    shown = follow(estimator, ('thermal', 'depth'))
    assert {pose.state for pose in shown.values()} == {'tracked'}
    finder.along = 0.2  # a network as sure of a hand as before, and not of its distance
    for number in range(4, 24):  # without depth, longer than a hand is predicted that nothing shows
        poses = estimator.estimate(frame(number, ('thermal',)))
    assert [pose.state for pose in poses] == ['predicted'] * 2
    assert all(0.05 < pose.sigma.mean() < 0.15 for pose in poses)
    again = estimator.estimate(frame(24, ('thermal', 'depth')))
    assert {pose.side: pose.state for pose in again} == {'left': 'tracked', 'right': 'tracked'}
    assert {pose.track_id for pose in again} == {pose.track_id for pose in shown.values()}
    sure = make({'inflation': 1.0}, therformer=finder, densereg=refiner)
    poses = follow(sure, ('thermal', 'depth')).values()
    assert {pose.state for pose in poses} == {'tracked'}


@pytest.mark.parametrize('along', [0.03, 0.05])
def test_a_hand_that_one_network_sees_is_no_less_sure_than_that_network(make, along):
    """What a fit takes for independent errs alike, but not what one network says at once."""
    finder = FakeFinder(noise=0.008)
    finder.along = along
    poses = follow(make(therformer=finder), ('thermal',))
    assert poses.keys() == {'left', 'right'}
    alone = np.sqrt(along**2 + 2 * 0.01**2 + 3 * 0.008**2) / np.sqrt(0.9)
    for pose in poses.values():
        stated = np.sqrt(np.trace(pose.covariance, axis1=1, axis2=2).mean())
        assert stated == pytest.approx(1.5 * alone, rel=1e-3)


def test_how_unsure_landmarks_are_without_any_network_is_theirs_unless_it_is_given(make, networks):
    assert make(landmarks=networks).config.inflation == LandmarksConfig.inflation
    assert make({'inflation': 3.0}, landmarks=networks).config.inflation == 3.0
    assert make(landmarks=networks, therformer=FakeFinder()).config.inflation == 4.1


@pytest.mark.parametrize('shown', (0.0, 0.2))
def test_landmarks_of_one_image_alone_do_not_outvote_a_finder_that_sees_no_hand(
    make, networks, shown
):
    """Warm things have them too; little or no surface in the depth image confirms nothing."""
    options, streams = {'palm_interval': 0.0}, ('thermal', 'depth')
    empty = still_image('depth', 0)
    columns = RIG.cameras['depth'].camera.project(camera_joints('depth', 0))[:, 0]
    column = np.arange(empty.image.shape[1])
    strip = (column >= columns.min()) & (column < columns.min() + shown * np.ptp(columns))
    right_half = np.where((column < 320) & ~strip, np.nan, empty.image)
    empty = replace(empty, image=right_half.astype(np.float32))
    alone = follow(make(options, landmarks=networks), streams, depth=empty)
    sources = ('thermal', 'depth') if shown else ('thermal',)
    assert alone['left'].state == 'tracked' and alone['left'].sources == sources
    finder = FakeFinder(sides=(1,))
    poses = follow(make(options, landmarks=networks, therformer=finder), streams, depth=empty)
    assert 'left' not in poses or poses['left'].state != 'tracked'
    assert poses['right'].state == 'tracked'


@pytest.mark.parametrize(('often', 'side'), ((True, 'right'), (False, 'left')))
def test_landmarks_of_the_wrong_side_turn_no_hand_that_a_finder_often_sees(
    make, networks, monkeypatch, often, side
):
    """In thermal images they take many hands for the other side, and are sure of it."""
    finder = FakeFinder(sides=(1,))
    estimator = make({'max_hands': 1}, landmarks=networks, therformer=finder)
    search = estimator._search
    right = search.follow

    def wrong(*arguments):
        return [
            {name: replace(hand, right_probability=0.02) for name, hand in found.items()}
            for found in right(*arguments)
        ]

    monkeypatch.setattr(search, 'follow', wrong)
    sides = []
    for number in range(32):
        # Two frames in three, or the first alone.
        finder.sides = (1,) if number == 0 or (often and number % 3) else ()
        sides += [pose.side for pose in estimator.estimate(frame(number, ('thermal',)))]
    assert sides[:16] == ['right'] * 16
    assert sides[-1] == side


def test_a_therformer_hand_far_from_its_track_does_not_start_a_second_one(make):
    finder = FakeFinder()
    estimator = make(therformer=finder)
    first = follow(estimator, ('thermal',), 2)
    finder.shift = np.array([0.0, 0.3, 0.0])
    poses = estimator.estimate(frame(2, ('thermal',)))
    assert {pose.track_id for pose in poses} == {pose.track_id for pose in first.values()}


def test_a_track_that_left_its_hand_is_taken_back_there(make):
    estimator = make(therformer=FakeFinder())
    numbers = {pose.track_id for pose in follow(estimator, ('thermal', 'depth'), 3).values()}
    track = estimator._tracker.tracks[0]
    step = np.zeros((1, 6 + track.state.angles.shape[1] + track.state.shape.shape[1]))
    step[0, 3:6] = 0.0, 0.3, 0.0
    track.state = track.state.moved(step)
    poses = estimator.estimate(frame(3, ('thermal', 'depth')))
    assert {pose.track_id for pose in poses} == numbers
    assert all(pose.state == 'tracked' and error(pose) < 0.01 for pose in poses)


def moved_away(estimator, step):
    """Move what the estimator knows of its hands by a step (3,) in metres."""
    for track in estimator._tracker.tracks:
        track.state = replace(track.state, wrist=track.state.wrist + np.array(step))


@pytest.mark.parametrize('streams', [('thermal', 'depth'), ('thermal',)])
def test_a_hand_that_jumped_is_looked_at_where_therformer_sees_it(make, streams):
    """As at ten frames a second, when the wearer turns the head."""
    refiner = FakeRefiner(streams[-1], noise=0.002)
    looks = []
    original = refiner.refine
    refiner.refine = lambda *given: looks.append(original(*given)) or looks[-1]
    estimator = make(therformer=FakeFinder(noise=0.01), densereg=refiner)
    follow(estimator, streams, 3)
    moved_away(estimator, (0.13, 0.0, 0.0))  # no crop this far away shows the hand
    poses = estimator.estimate(frame(5, streams))
    assert all(hand is not None for hand in looks[-1])
    assert all(pose.state == 'tracked' and error(pose) < 0.012 for pose in poses)


class SureRefiner(FakeRefiner):
    """Knows where hands are to a few millimetres."""

    def hand(self, side, views):
        noise = NetworkNoise(across=0.004, along=0.006, shape=0.004)
        return replace(super().hand(side, views), noise=noise)


def test_a_fit_from_too_far_away_starts_again_where_a_sure_network_sees_the_hand(make):
    """From there the network's joints are outliers, which a robust fit leaves alone."""
    finder = FakeFinder()
    estimator = make(therformer=finder, densereg=SureRefiner('thermal', noise=0.002))
    follow(estimator, ('thermal',), 3)
    finder.shift = np.array([0.0, 0.0, -0.09])  # as wrong as the track
    moved_away(estimator, (0.0, 0.0, -0.09))
    for number, limit in ((5, 0.025), (6, 0.01)):
        poses = estimator.estimate(frame(number, ('thermal',)))
        assert all(pose.state == 'tracked' and error(pose) < limit for pose in poses)


def test_a_hand_that_the_finder_does_not_see_where_it_looks_is_predicted_and_lost(make):
    """What looks closer is as sure of a sleeve or a mug: it does not keep a hand alone."""
    finder, refiner = FakeFinder(noise=0.005), FakeRefiner('depth', noise=0.004)
    estimator = make(therformer=finder, densereg=refiner)
    follow(estimator, ('thermal', 'depth'), 3)
    finder.sides = (1,)
    states = []
    for number in range(3, 13):
        poses = estimator.estimate(frame(number, ('thermal', 'depth')))
        states.append({pose.side: pose.state for pose in poses})
    assert states[0] == {'left': 'predicted', 'right': 'tracked'}
    assert 'left' not in states[-1]
    # Without the finder's image the surface goes on holding it.
    finder.sides = (0, 1)
    follow(estimator, ('thermal', 'depth'), 13)
    poses = estimator.estimate(frame(13, ('depth',)))
    assert {pose.side: pose.state for pose in poses} == {'left': 'tracked', 'right': 'tracked'}


def test_an_alien_surface_does_not_pull_a_hand_away(make):
    """A wall where the hands are not: the fit must not follow it."""
    wall = dark('depth')
    distance = float(np.mean([hand.joints[:, 2].mean() for hand in TRUTH.values()])) + 0.06
    wall = type(wall)(**{**wall.__dict__, 'image': np.full_like(wall.image, distance)})
    finder, refiner = FakeFinder(noise=0.01), FakeFinder(noise=0.01)
    poses = follow(make(therformer=finder), ('thermal',), depth=wall)
    alone = follow(make(therformer=refiner), ('thermal',))
    for side, pose in poses.items():
        assert error(pose) < max(0.025, 1.5 * error(alone[side]))


def test_streams_that_did_not_show_a_hand_are_not_counted_as_belief(make, networks):
    estimator = make(landmarks=networks, therformer=FakeFinder(noise=0.005))
    fits = []
    original = estimator._lift.fit
    estimator._lift.fit = lambda hands, *rest: (
        fits.append((hands, original(hands, *rest))) or (fits[-1][1])
    )
    follow(estimator, count=3)
    for hands, fit in fits:
        for row, hand in enumerate(hands):
            assert 0.0 <= hand.belief(fit, row) <= 1.0


def test_a_jump_of_time_forgets_what_the_networks_saw(make):
    finder = FakeFinder()
    estimator = make(therformer=finder)
    before = follow(estimator, ('thermal',), 2)
    after = estimator.estimate(frame(90, ('thermal',)))
    assert finder.resets == 1
    assert not {p.track_id for p in after} & {p.track_id for p in before.values()}


def test_darkness_is_no_obstacle(make, networks):
    """RGB and NIR show nothing; warmth and depth remain."""
    stages = {'therformer': FakeFinder(noise=0.015), 'densereg': FakeRefiner('depth', noise=0.005)}
    estimator = make(landmarks=networks, **stages)
    poses = follow(estimator, count=4, rgb=dark('rgb'), nir=dark('nir'))
    assert poses.keys() == {'left', 'right'}
    assert all(error(pose) < 0.015 for pose in poses.values())


class TestAssignment:
    VIEWS = views_of(frame(0, ('thermal',)))
    STAGES = FusionStages(None, {}, StageTimer())
    LEFT, RIGHT = FakeFinder().look(VIEWS)

    def places(self, *sides, shift=0.0):
        return [(side, TRUTH[side].joints + shift) for side in sides]

    def test_each_hand_goes_to_its_track(self):
        found, others = self.STAGES.assign(
            [self.LEFT, self.RIGHT], self.places(1, 0, shift=0.03), self.VIEWS
        )
        assert found == [[self.RIGHT], [self.LEFT]] and others == []

    def test_a_hand_without_a_track_is_left_over(self):
        found, others = self.STAGES.assign([self.LEFT, self.RIGHT], self.places(1), self.VIEWS)
        assert found == [[self.RIGHT]] and others == [self.LEFT]

    def test_a_far_hand_of_a_tracked_side_is_left_over(self):
        found, others = self.STAGES.assign([self.LEFT], self.places(0, shift=0.2), self.VIEWS)
        assert found == [[]] and others == [self.LEFT]

    @pytest.mark.parametrize(('along', 'same'), [(0.03, False), (0.09, True)])
    def test_a_network_that_does_not_know_depth_may_err_along_the_view(self, along, same):
        hand = replace(self.LEFT, noise=replace(self.LEFT.noise, along=along))
        view = self.VIEWS['thermal']
        middle = hand.joints.mean(axis=0)
        farther = hand.joints + 0.3 * middle / np.linalg.norm(middle)
        place = (farther - view.translation) @ view.rotation
        found, _ = self.STAGES.assign([hand], [(0, place)], self.VIEWS)
        assert bool(found[0]) is same

    def test_a_second_hand_where_one_is_tracked_begins_no_track(self):
        double = replace(self.RIGHT, joints=self.LEFT.joints + np.array([0.05, 0.0, 0.0]))
        found, others = self.STAGES.assign([self.LEFT, double], self.places(0), self.VIEWS)
        assert found == [[self.LEFT]] and others == []

    def test_a_track_of_the_wrong_side_gets_the_hand_that_is_right_there(self):
        [(_, joints)] = self.places(1)
        found, _ = self.STAGES.assign([self.RIGHT], [(0, joints)], self.VIEWS)
        assert found == [[self.RIGHT]]


class TestRefinement:
    VIEWS = views_of(frame(0, ('thermal', 'depth')))

    def refine(self, stream, shift):
        """What a refiner that always answers is asked about at the shifted left hand."""
        refiner, asked = FakeRefiner(stream), []
        refiner.refine = lambda views, places: asked.extend(places) or [None] * len(places)
        joints = TRUTH[0].joints + np.array(shift)
        found = FusionStages(None, {'densereg': refiner}, StageTimer('densereg')).refine(
            self.VIEWS, [(1, TRUTH[1].joints), (0, joints)]
        )
        assert found == [[], []]
        return [side for side, _ in asked]

    def test_networks_are_asked_about_hands_that_their_images_show(self):
        assert self.refine('depth', (0.0, 0.0, 0.0)) == [1, 0]

    def test_a_hand_that_mostly_left_an_image_is_not_guessed_in_it(self):
        for step in ((-0.5, 0.0, 0.0), (0.8, 0.0, 0.0), (0.0, 0.0, -2.0)):  # behind the camera
            assert self.refine('depth', step) == [1]

    def test_without_its_image_a_network_is_not_asked(self):
        assert self.refine('rgb', (0.0, 0.0, 0.0)) == []


class TestLoading:
    @pytest.fixture(autouse=True)
    def folder(self, monkeypatch, tmp_path):
        monkeypatch.setattr(trained_models, 'folders', lambda: [tmp_path])
        return tmp_path

    def densereg(self, folder):
        config = DenseRegConfig(
            stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8
        )
        torch.manual_seed(0)
        save_checkpoint(folder / 'densereg.safetensors', DenseReg(config), 'densereg', config, {})

    def test_stages_without_a_model_are_left_out_and_say_why(self, folder, networks):
        self.densereg(folder)
        estimator = FusionEstimator({'mesh': False}, RIG, networks)
        assert estimator.missing.keys() == {'therformer', 'wildhands', 'wildhands_thermal'}
        assert 'no trained model of therformer' in estimator.missing['therformer']
        assert len(estimator.model_hash) == 64
        for pose in estimator.estimate(frame(0)):
            assert np.isfinite(pose.joints).all()

    def test_nothing_left_is_an_error(self):
        with pytest.raises(ModelError, match='fusion has nothing to see hands with'):
            FusionEstimator({'stages': ['therformer', 'densereg']}, RIG)

    def test_a_model_that_was_asked_for_must_be_there(self, networks):
        with pytest.raises(ModelError, match="called 'mine'"):
            FusionEstimator({'densereg': {'model': 'mine'}}, RIG, networks)

    @pytest.mark.parametrize(
        ('options', 'words'),
        [
            ({'stages': ['thermal']}, "stage 'thermal' does not exist"),
            ({'densereg': {'runtime': 'x'}}, "runtime 'x' does not exist"),
            ({'densereg': {'stream': 'rgb'}}, 'is no depth stream'),
            ({'therformer': {'modle': 'x'}}, 'did you mean model'),
        ],
    )
    def test_wrong_options_are_named(self, options, words, folder, networks):
        self.densereg(folder)
        with pytest.raises(HandPoseError, match=words):
            FusionEstimator(options, RIG, networks)

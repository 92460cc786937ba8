"""The densereg estimator: cubes where hands are, votes that agree, sides that are guessed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators import densereg, network_locators, registry, trained_models
from hand_pose_ros.estimators.densereg import DenseRegEstimator, sureness
from hand_pose_ros.estimators.network_locators import TherFormerLocator
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.dense_crop import crop_cubes
from hand_pose_ros.networks.dense_votes import DenseJoints, dense_targets
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from tests.estimators.network_fakes import (
    RIG,
    FakeFinder,
    camera_joints,
    dark,
    error,
    frame,
    still_image,
)

CONFIG = DenseRegConfig(
    stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8, weight_std=None,
    turns=(-0.3, 0.3),
)  # fmt: skip
CARD = {'sha256': 'ef' * 32, 'training': {'options': {'side': 0.28}}}


@pytest.fixture(autouse=True)
def no_models(monkeypatch, tmp_path):
    """TherFormer is not installed, unless a test brings it."""
    monkeypatch.setattr(trained_models, 'folders', lambda: [tmp_path])


@pytest.fixture
def make(monkeypatch):
    """The estimator with a network whose fields are those of the hand that the cube is about."""
    crops = []

    def cut(depth, intrinsics, centres, side, *, mirrored, turn):
        crop = crop_cubes(depth, intrinsics, centres, side, mirrored=mirrored, turn=turn)
        true = torch.tensor(np.stack([camera_joints('depth', s) for s in (0, 1)])).float()
        away = (true.mean(dim=1)[None] - centres[:, None]).norm(dim=2)
        near, own = away.min(dim=1)
        crops.append((crop, true[own], near, mirrored == (own == 0)))
        return crop

    class Votes:
        completer = None

        def __call__(self, image):
            crop, joints, near, right_side = crops[-1]
            fields = dense_targets(crop, joints).fields
            # A cube about no hand, or shown as the other hand, has votes that do not agree.
            noise = torch.where((near < 0.1) & right_side, 0.0, 0.5)[:, None, None, None]
            generator = torch.Generator().manual_seed(0)
            scatter = torch.randn(fields.direction.shape, generator=generator)
            return [replace(fields, direction=fields.direction + noise * scatter)]

    monkeypatch.setattr(densereg, 'crop_cubes', cut)
    loaded = LoadedNetwork(network=Votes(), name='densereg', config=CONFIG, card=CARD)

    def made(finder=None, **options):
        estimator = DenseRegEstimator(options, RIG, loaded)
        if finder is not None:
            estimator._locators._locators.insert(0, TherFormerLocator(finder))
        return estimator

    made.crops = crops
    return made


def test_hands_are_found_by_depth_alone(make):
    estimator = make()
    for number in range(3):
        poses = estimator.estimate(frame(number, ('depth',)))
    assert poses
    for pose in poses:
        assert error(pose) < 0.015 and pose.sources == ('depth',)
        assert pose.joints_2d['depth'].shape == (21, 2)
        assert np.all(np.linalg.eigvalsh(pose.covariance) > 0)


def test_therformer_says_where_the_hands_are(make):
    estimator = make(FakeFinder(noise=0.02, shift=(0.01, 0.02, 0.03)))
    poses = estimator.estimate(frame(0, ('thermal', 'depth')))
    assert [pose.side for pose in poses] == ['left', 'right']
    assert all(error(pose) < 0.015 for pose in poses)
    assert estimator.model_hash == 'ef' * 32


def test_left_hands_are_shown_mirrored(make):
    estimator = make(FakeFinder())
    estimator.estimate(frame(0, ('thermal', 'depth')))
    crop = make.crops[0][0]
    flips = torch.linalg.det(crop.crop_from_camera).sign()
    assert flips.tolist() == [-1.0, 1.0] * 2  # in both looks


def test_a_cube_that_misses_the_hand_is_cut_again_around_it(make):
    estimator = make(FakeFinder(shift=(0.05, 0.0, 0.0)))
    poses = estimator.estimate(frame(0, ('thermal', 'depth')))
    assert len(make.crops) == 2
    assert all(error(pose) < 0.015 for pose in poses)


def test_a_track_goes_on_where_the_finder_fails(make):
    finder = FakeFinder()
    estimator = make(finder)
    first = {p.side: p.track_id for p in estimator.estimate(frame(0, ('thermal', 'depth')))}
    finder.sides = ()
    poses = estimator.estimate(frame(1, ('thermal', 'depth')))
    assert {p.side: p.track_id for p in poses} == first
    assert all(pose.state == 'tracked' for pose in poses)


def test_votes_that_do_not_agree_are_no_hand(make):
    estimator = make(FakeFinder(shift=(0.0, -0.35, 0.0)), locators=['track'])
    assert estimator.estimate(frame(0, ('thermal', 'depth'))) == []


def test_without_depth_or_without_a_surface_there_is_no_hand(make):
    estimator = make(FakeFinder())
    assert estimator.estimate(frame(0, ('thermal',))) == []
    assert estimator.estimate(frame(1, ('thermal',), depth=dark('depth'))) == []


def test_hands_that_vanish_are_predicted_then_lost(make):
    estimator = make(FakeFinder())
    estimator.estimate(frame(0, ('thermal', 'depth')))
    states = []
    for number in range(1, 8):
        poses = estimator.estimate(frame(number, ('thermal',), depth=dark('depth')))
        states += [pose.state for pose in poses]
    assert states == ['predicted'] * 8 + ['lost'] * 2


def test_the_spread_of_the_votes_and_expected_errors_lower_the_confidence(make):
    refiner = make()._refiner
    view = network_locators.View(
        name='depth', stream=still_image('depth', 0), camera=RIG.cameras['depth'].camera,
        rotation=np.eye(3), translation=np.zeros(3), lag=0.0,
    )  # fmt: skip
    joints = camera_joints('depth', 1)

    def seen(spread, error=None, points=joints):
        expected = None if error is None else torch.full((1, 21), error)
        hands = DenseJoints(joints=None, spread=torch.full((1, 21), spread), error=expected)
        sigma, confidence = (value[0].double().numpy() for value in sureness(hands))
        return refiner._hand(view, 1, points, sigma, confidence)

    agreed, apart = seen(0.004), seen(0.02)
    assert agreed.presence > 0.95 and 0.5 < apart.presence < 0.7
    assert apart.shape_sigma.mean() > 1.2 * agreed.shape_sigma.mean()
    assert seen(0.06) is None
    assert seen(0.004, points=joints * np.nan) is None
    # What the network expects of its errors counts in their place.
    right, wrong = seen(0.004, 0.005), seen(0.004, 0.0299)
    assert right.presence > 0.95 and 0.45 < wrong.presence < 0.55
    assert wrong.shape_sigma.mean() > 1.5 * right.shape_sigma.mean()
    assert seen(0.004, 0.04) is None


def test_an_untrained_network_gives_numbers_or_nothing():
    torch.manual_seed(0)
    network = DenseReg(DenseRegConfig()).eval()
    loaded = LoadedNetwork(network=network, name='densereg', config=CONFIG, card=CARD)
    estimator = DenseRegEstimator({'confidence': 0.0}, RIG, loaded)
    for pose in estimator.estimate(frame(0, ('depth',))):
        assert np.isfinite(pose.joints).all()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'stream': 'rgb'}, 'is no depth stream'),
        ({'locators': ['nose']}, "locator 'nose'"),
        ({'locators': ['therformer']}, 'no trained model of therformer'),
    ],
)
def test_wrong_options_are_named(options, words):
    loaded = LoadedNetwork(network=None, name='densereg', config=CONFIG, card=CARD)
    with pytest.raises(HandPoseError, match=words):
        DenseRegEstimator(options, RIG, loaded)


def test_a_rig_without_depth_is_told_so():
    cameras = {name: camera for name, camera in RIG.cameras.items() if name != 'depth'}
    synchronizer = replace(RIG.synchronizer, streams=tuple(cameras))
    rig = replace(RIG, cameras=cameras, synchronizer=synchronizer)
    with pytest.raises(HandPoseError, match='the rig has none'):
        registry.create('densereg', {}, rig)

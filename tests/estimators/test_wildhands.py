"""The wildhands estimator: crops where hands are, parameters and mesh in the rig's frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators import registry, trained_models
from hand_pose_ros.estimators.network_config import ModelConfig
from hand_pose_ros.estimators.network_locators import HandPlace, TherFormerLocator
from hand_pose_ros.estimators.rig_views import modalities_of, views_of
from hand_pose_ros.estimators.wildhands import WildHandsEstimator, WildHandsRefiner
from hand_pose_ros.hand_model.hand import HandModel, rotation_matrices
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.joint_maps import MappedJoints
from hand_pose_ros.networks.wildhands import WildHands, WildHandsConfig, WildHandsOutput, project
from hand_pose_ros.skeleton import SIDES
from tests.estimators.network_fakes import (
    FRAME,
    RIG,
    TRUTH,
    FakeFinder,
    camera_joints,
    dark,
    error,
    frame,
)

CONFIG = replace(
    WildHandsConfig.small(), width=4, head_channels=(16, 16, 16), feature=16, hidden=16,
    camera_hidden=8,
)  # fmt: skip
CARD = {'sha256': '12' * 32}


class TrueHands:
    """Answers with the true parameters in a camera."""

    def __init__(self, stream='rgb'):
        self.stream = stream
        self.layer, self.calls, self.shift = HandLayer(), [], 0.0
        self.maps = False

    def __call__(self, image, crops, intrinsics, boxes, *, mesh=False):
        self.calls.append((image, crops, intrinsics, boxes))
        T = np.linalg.inv(RIG.cameras[self.stream].T_rig_cam) @ RIG.reference_camera.T_rig_cam
        rotations, betas, places = [], [], []
        for side in (0, 1):
            values = TRUTH[side].parameters
            turns = rotation_matrices(np.vstack([values.global_orient, values.hand_pose]))
            turns[0] = T[:3, :3] @ turns[0]
            rest = TRUTH[side].joints[0] - values.translation
            place = camera_joints(self.stream, side)[0] - rest + [self.shift, 0, 0]
            rotations.append(turns)
            betas.append(values.betas)
            places.append(place)
        given = [torch.tensor(np.array(part)).float()[None] for part in (rotations, betas, places)]
        hands = self.layer(*given, mesh=mesh)
        camera = torch.zeros(1, 2, 3)
        pixels = project(hands.joints, intrinsics)
        maps = None
        if self.maps:
            corner, far = boxes[:, :, None].split(2, dim=-1)
            places = torch.cat([2 * (pixels - corner) / (far - corner) - 1, pixels[..., :1]], -1)
            maps = MappedJoints(places, torch.full((1, 2, 21), 9.0), torch.empty(0))
        return WildHandsOutput(
            rotations=given[0], betas=given[1], camera=camera, initial_camera=camera,
            translation=given[2], joints=hands.joints, vertices=hands.vertices,
            pixels=pixels, grasp_logits=None, maps=maps,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def no_models(monkeypatch, tmp_path):
    """TherFormer is not installed, unless a test brings it."""
    monkeypatch.setattr(trained_models, 'folders', lambda: [tmp_path])


@pytest.fixture
def make():
    def made(finder=None, **options):
        network = TrueHands()
        loaded = LoadedNetwork(network=network, name='wildhands', config=CONFIG, card=CARD)
        options = {'locators': ['track'], **options}
        estimator = WildHandsEstimator(options, RIG, loaded)
        if finder is not None:
            estimator._locators._locators.insert(0, TherFormerLocator(finder))
        return estimator, network

    return made


def test_both_hands_come_with_parameters_and_mesh_in_the_frame_of_the_rig(make):
    estimator, _ = make(FakeFinder(noise=0.005))
    for number in range(3):
        poses = estimator.estimate(frame(number, ('thermal', 'rgb')))
    assert [pose.side for pose in poses] == ['left', 'right']
    for pose in poses:
        assert error(pose) < 1e-3 and pose.sources == ('rgb',)
        values = pose.parameters
        joints, vertices = HandModel(load_hand_model(pose.side)).forward(
            values.global_orient[None], values.hand_pose[None], values.betas[None],
            values.translation[None],
        )  # fmt: skip
        np.testing.assert_allclose(joints[0], pose.joints, atol=1e-5)
        np.testing.assert_allclose(vertices[0], pose.vertices, atol=1e-5)
        assert np.all(np.linalg.eigvalsh(pose.covariance) > 0)
        ray = np.sqrt(np.diagonal(pose.covariance, axis1=1, axis2=2)).mean(axis=0)
        assert ray[2] > 1.5 * ray[0]  # the distance is what one colour image knows least


def test_boxes_hold_the_joints_and_k_fits_the_patch(make):
    estimator, network = make(FakeFinder())
    estimator.estimate(frame(0, ('thermal', 'rgb')))
    image, crops, intrinsics, boxes = network.calls[0]
    assert image.shape == (1, 3, 112, 112) and crops.shape == (1, 2, 3, 112, 112)
    assert float(crops.min()) >= 0.0 and float(crops.max()) <= 1.0
    for side in (0, 1):
        joints = torch.tensor(camera_joints('rgb', side)).float()[None]
        pixels = project(joints, intrinsics)[0]
        box = boxes[0, side]
        assert bool(((pixels > box[:2]) & (pixels < box[2:])).all())
        width = (pixels.amax(dim=0) - pixels.amin(dim=0)).max()
        assert float((box[2] - box[0]) / width) == pytest.approx(1.5, abs=0.02)


def test_maps_say_where_joints_are_across_the_view_of_the_camera_itself():
    network = TrueHands()
    network.maps = True
    card = {**CARD, 'noise': {'map_slope': 0.5, 'map_rest': 5.0}}
    loaded = LoadedNetwork(network=network, name='wildhands', config=CONFIG, card=card)
    refiner = WildHandsRefiner(ModelConfig(), modalities_of(RIG), loaded)
    views = views_of(frame(0, ('thermal', 'rgb')))
    places = [(side, TRUTH[side].joints) for side in (0, 1)]
    for side, seen in enumerate(refiner.refine(views, places)):
        true = camera_joints('rgb', side)
        np.testing.assert_allclose(seen.mapped.points, true[:, :2] / true[:, 2:], atol=1e-5)
        box, matrix = network.calls[0][3][0, side], network.calls[0][2][0]
        step = float((box[2] - box[0]) / 112 / matrix[0, 0])
        np.testing.assert_allclose(seen.mapped.measured(seen.noise)[1], 2.0 * step)


def test_thermal_crops_come_from_the_thermal_stream():
    network = TrueHands('thermal')
    loaded = LoadedNetwork(network=network, name='wildhands', config=CONFIG, card=CARD)
    refiner = WildHandsRefiner(ModelConfig(), modalities_of(RIG), loaded, modality='thermal')
    assert refiner.stream == 'thermal'
    views = views_of(frame(0, ('thermal',)))
    places = [(side, TRUTH[side].joints) for side in (0, 1)]
    found = refiner.refine(views, places)
    # The camera's own pixels, as in training.
    own = RIG.cameras['thermal'].camera.intrinsics[0, 0]
    assert float(network.calls[0][2][0, 0, 0]) * 320 / 112 == pytest.approx(own, rel=1e-3)
    for side, seen in enumerate(found):
        assert seen.stream == 'thermal'
        np.testing.assert_allclose(seen.joints_in(views['thermal']), TRUTH[side].joints, atol=1e-4)


def test_a_rig_without_the_images_is_refused_with_what_is_missing():
    modalities = {'thermal': 'thermal', 'depth': 'depth'}
    with pytest.raises(HandPoseError, match='a stream of rgb images and the rig has none'):
        WildHandsRefiner(ModelConfig(), modalities)
    with pytest.raises(HandPoseError, match='a stream of thermal images and the rig has none'):
        WildHandsRefiner(ModelConfig(), {'rgb': 'rgb'}, modality='thermal')


def test_the_mesh_can_be_left_out(make):
    estimator, _ = make(FakeFinder(), mesh=False)
    [left, _] = estimator.estimate(frame(0, ('thermal', 'rgb')))
    assert left.vertices is None and left.parameters is not None


def test_without_places_nothing_is_looked_at(make):
    estimator, network = make()
    assert estimator.estimate(frame(0, ('rgb',))) == []
    assert network.calls == []


def test_without_the_image_hands_are_predicted_then_lost(make):
    estimator, _ = make(FakeFinder())
    estimator.estimate(frame(0, ('thermal', 'rgb')))
    states = []
    for number in range(1, 8):
        states += [pose.state for pose in estimator.estimate(frame(number, ('thermal',)))]
    assert states == ['predicted'] * 8 + ['lost'] * 2


def test_one_place_gives_one_hand(make):
    estimator, network = make(FakeFinder(sides=(0,)))
    [pose] = estimator.estimate(frame(0, ('thermal', 'rgb')))
    assert pose.side == 'left'
    assert len(network.calls) == 1


def test_an_answer_far_from_its_box_is_no_hand(make):
    estimator, network = make(FakeFinder())
    network.shift = 0.3
    assert estimator.estimate(frame(0, ('thermal', 'rgb'))) == []


def test_a_track_is_followed_for_a_while_without_anything_else_that_sees_it(make):
    finder = FakeFinder()
    estimator, _ = make(finder)
    estimator.estimate(frame(0, ('thermal', 'rgb')))
    finder.sides = ()
    tracked = 0
    for number in range(1, 45):
        poses = estimator.estimate(frame(number, ('thermal', 'rgb')))
        tracked += any(pose.state == 'tracked' for pose in poses)
    assert tracked * FRAME * 1e-9 == pytest.approx(1.0, abs=0.1)


def test_landmarks_place_hands_where_therformer_is_missing(networks, make):
    estimator, _ = make(locators=['track', 'landmarks'])
    for number in range(3):
        poses = estimator.estimate(frame(number, ('rgb',)))
    assert {pose.side for pose in poses} == {'left', 'right'}
    assert all(error(pose) < 1e-3 for pose in poses)


def test_an_image_without_anything_gives_no_nan(make):
    estimator, _ = make(FakeFinder())
    grey = dark('rgb')
    grey = replace(grey, image=np.full_like(grey.image, 128))
    poses = estimator.estimate(frame(0, ('thermal',), rgb=grey))
    assert len(poses) == 2
    for pose in poses:
        assert np.isfinite(pose.joints).all() and np.isfinite(pose.vertices).all()


def test_in_a_dark_image_no_hand_is_seen_however_sure_the_network_is(make):
    estimator, network = make(FakeFinder())
    assert estimator.estimate(frame(0, ('thermal',), rgb=dark('rgb'))) == []
    assert network.calls == []
    # One lamp in a dark room is light.
    lit = dark('rgb')
    image = lit.image.copy()
    image[: len(image) // 10] = 200
    poses = estimator.estimate(frame(1, ('thermal',), rgb=replace(lit, image=image)))
    assert {pose.side for pose in poses} == {'left', 'right'}


def test_places_of_one_hand_are_one(make):
    estimator, _ = make(FakeFinder())

    class Again:
        def locate(self, views, expected):
            return [HandPlace(side=1 - SIDES.index('right'), joints=TRUTH[1].joints + 0.01)]

        def reset(self):
            pass

    estimator._locators._locators[0] = Again()
    estimator._locators._locators.insert(0, TherFormerLocator(FakeFinder(sides=(1,))))
    [pose] = estimator.estimate(frame(0, ('thermal', 'rgb')))
    assert pose.side == 'right'


def test_an_untrained_network_gives_numbers_or_nothing():
    torch.manual_seed(0)
    loaded = LoadedNetwork(
        network=WildHands(CONFIG).eval(), name='wildhands', config=CONFIG, card=CARD
    )
    estimator = WildHandsEstimator({'confidence': 0.0, 'locators': ['track']}, RIG, loaded)
    estimator._locators._locators.insert(0, TherFormerLocator(FakeFinder()))
    for pose in estimator.estimate(frame(0, ('thermal', 'rgb'))):
        assert np.isfinite(pose.joints).all() and np.isfinite(pose.covariance).all()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'stream': 'depth'}, 'is no 2D stream'),
        ({'locators': ['blobs', 'nose']}, "locator 'nose'"),
        ({'model': 'mine'}, "called 'mine'"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(HandPoseError, match=words):
        if 'model' in options:
            registry.create('wildhands', options, RIG)
        else:
            loaded = LoadedNetwork(network=None, name='wildhands', config=CONFIG, card=CARD)
            WildHandsEstimator(options, RIG, loaded)

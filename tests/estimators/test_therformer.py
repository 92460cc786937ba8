"""The therformer estimator: streaming, places in the rig, confidence, and every kind of gap."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import HandPoseError, ModelError
from hand_pose_ros.estimators import registry, therformer, trained_models
from hand_pose_ros.estimators.therformer import TherFormerEstimator
from hand_pose_ros.networks.checkpoint import LoadedNetwork, save_checkpoint
from hand_pose_ros.networks.therformer import (
    SPREAD,
    TherFormer,
    TherFormerConfig,
    TherFormerOutput,
)
from tests.estimators.network_fakes import (
    RIG,
    TRUTH,
    camera_joints,
    dark,
    error,
    frame,
    still_image,
)

CONFIG = replace(
    TherFormerConfig.small(), backbone_width=8, width=16, mask_width=8, spatial_hidden=16,
    down_channels=(8, 8, 8), features=32, temporal_hidden=32, head_width=32,
)  # fmt: skip


class TrueStream:
    """Answers with the true joints in the camera whose image it gets; the mask is on the hands."""

    instances: ClassVar[list['TrueStream']] = []

    def __init__(self, network):
        self.network, self.stream = network, 'thermal'
        self.images, self.resets, self.absent, self.broken = [], 0, (), False
        self.spread = None
        TrueStream.instances.append(self)

    def reset(self):
        self.resets += 1

    def push(self, image, intrinsics):
        self.images.append(image)
        joints = np.concatenate([camera_joints(self.stream, side) for side in (0, 1)])
        seen = torch.from_numpy(joints).float() @ intrinsics[0].mT
        pixels = seen[:, :2] / seen[:, 2:]
        logits = torch.full((1, 1, 32, 40), -8.0)
        for side in (0, 1):
            if side not in self.absent:
                own = pixels[21 * side : 21 * side + 21]
                columns, rows = (own / 8).long().unbind(1)
                for dr in (-1, 0, 1):
                    for dc in (-1, 0, 1):
                        logits[0, 0, (rows + dr).clamp(0, 31), (columns + dc).clamp(0, 39)] = 8.0
        out = torch.from_numpy(joints).float()[None]
        out = out * torch.nan if self.broken else out
        return TherFormerOutput(
            joints=out, pixels=pixels[None], depth=out[..., 2:], mask_logits=logits,
            spread=None if self.spread is None else torch.full((1, 42), self.spread),
        )  # fmt: skip


def loaded(**card) -> LoadedNetwork:
    network = TherFormer(CONFIG)
    card = {'sha256': 'cd' * 32, **card}
    return LoadedNetwork(network=network, name='therformer', config=CONFIG, card=card)


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(therformer, 'TherFormerStream', TrueStream)

    def made(card=None, **options):
        return TherFormerEstimator({'stream': 'thermal', **options}, RIG, loaded(**(card or {})))

    return made


def test_both_hands_are_placed_in_the_frame_of_the_rig(make):
    estimator = make()
    for number in range(3):
        poses = estimator.estimate(frame(number, ('thermal', 'rgb')))
    assert [pose.side for pose in poses] == ['left', 'right']
    assert estimator.model_hash == 'cd' * 32
    for pose in poses:
        assert error(pose) < 1e-4
        assert (pose.state, pose.sources) == ('tracked', ('thermal',))
        assert pose.score > 0.9 and pose.confidence.min() > 0.5
        assert np.all(np.linalg.eigvalsh(pose.covariance) > 0)
        native = still_image('thermal', 0).camera.project(
            camera_joints('thermal', ['left', 'right'].index(pose.side))
        )
        np.testing.assert_allclose(pose.joints_2d['thermal'], native, atol=1e-3)
        assert pose.parameters is None and pose.vertices is None
    assert estimator.timings['network'] > 0


def test_the_network_gets_its_size_in_0_to_1_and_k_of_those_pixels(make):
    make().estimate(frame(0, ('thermal',)))
    [image] = TrueStream.instances[-1].images
    assert image.shape == (1, 3, 256, 320) and image.dtype == torch.float32
    assert image.min() >= 0 and 0.9 < image.max() <= 1


@pytest.mark.parametrize('stream', ['rgb', 'nir', 'depth'])
def test_other_streams_can_be_chosen(make, stream):
    estimator = make(stream=stream)
    TrueStream.instances[-1].stream = stream
    poses = estimator.estimate(frame(0, (stream,)))
    assert all(error(pose) < 1e-4 and pose.sources == (stream,) for pose in poses)
    [image] = TrueStream.instances[-1].images
    assert image.shape == (1, 3, 256, 320) and image.min() >= 0 and image.max() <= 1


def test_the_card_says_which_spread_of_maps_is_usual(make):
    def sigma(spread, card=None):
        estimator = make(card)
        TrueStream.instances[-1].spread = spread
        poses = estimator.estimate(frame(0, ('thermal',)))
        return [float(np.sqrt(np.linalg.eigvalsh(pose.covariance[0])[0])) for pose in poses]

    assert sigma(60.0) == []  # three times the shipped network's: no hand
    usual, blurred = (sigma(value, {'noise': {'spread': 60.0}}) for value in (60.0, 80.0))
    assert len(usual) == len(blurred) == 2
    assert usual == pytest.approx(sigma(SPREAD), rel=0.01)
    assert all(more > 1.1 * less for more, less in zip(blurred, usual, strict=True))


def test_an_absent_hand_is_not_reported(make):
    estimator = make()
    TrueStream.instances[-1].absent = (0,)
    assert [pose.side for pose in estimator.estimate(frame(0, ('thermal',)))] == ['right']


def test_a_missing_stream_means_predicted_then_lost(make):
    estimator = make()
    estimator.estimate(frame(0, ('thermal',)))
    states = []
    for number in range(1, 9):
        poses = estimator.estimate(frame(number, ('rgb',)))
        states.append([pose.state for pose in poses])
        assert all(p.joints is None or np.isfinite(p.joints).all() for p in poses)
    assert states == [['predicted'] * 2] * 4 + [['lost'] * 2] + [[]] * 3


def test_a_stream_without_calibration_is_a_missing_stream(make):
    image = replace(still_image('thermal', 0), camera=None)
    assert make().estimate(frame(0, (), thermal=image)) == []


def test_a_pause_and_a_jump_back_forget_earlier_images(make):
    estimator = make()
    stream = TrueStream.instances[-1]
    for number in (10, 11, 12):
        estimator.estimate(frame(number, ('thermal',)))
    before = stream.resets
    estimator.estimate(frame(50, ('thermal',)))
    assert stream.resets > before
    before = stream.resets
    estimator.estimate(frame(20, ('thermal',)))
    assert stream.resets > before


def test_the_same_image_is_not_counted_twice(make):
    estimator = make()
    first = frame(3, ('thermal', 'rgb'))
    estimator.estimate(first)
    estimator.estimate(first)
    assert len(TrueStream.instances[-1].images) == 1


def test_output_that_is_no_number_never_gets_out(make):
    estimator = make()
    stream = TrueStream.instances[-1]
    estimator.estimate(frame(0, ('thermal',)))
    stream.broken = True
    poses = estimator.estimate(frame(1, ('thermal',)))
    assert [pose.state for pose in poses] == ['predicted', 'predicted']
    assert all(np.isfinite(pose.joints).all() for pose in poses)


def test_sigmas_come_from_the_card_and_grow_with_doubt(make):
    small = make({'noise': {'across': 0.002, 'along': 0.004, 'shape': 0.003}})
    [left, _] = small.estimate(frame(0, ('thermal',)))
    assert 0.003 < left.sigma.mean() < 0.007
    [other, _] = make().estimate(frame(0, ('thermal',)))
    assert other.sigma.mean() > 2 * left.sigma.mean()


def test_two_hands_in_one_place_are_one(make, monkeypatch):
    monkeypatch.setitem(TRUTH, 0, replace(TRUTH[0], joints=TRUTH[1].joints + 0.002))
    assert len(make().estimate(frame(0, ('thermal',)))) == 1


def test_a_black_image_gives_no_nan(make):
    estimator = make()
    black = replace(dark('thermal'), image=np.zeros_like(dark('thermal').image))
    for pose in estimator.estimate(frame(0, (), thermal=black)):
        assert np.isfinite(pose.joints).all()


class TestLoading:
    @pytest.fixture(autouse=True)
    def folder(self, monkeypatch, tmp_path):
        monkeypatch.setattr(trained_models, 'folders', lambda: [tmp_path])
        return tmp_path

    def save(self, path, stream='thermal'):
        torch.manual_seed(0)
        save_checkpoint(
            path, TherFormer(CONFIG), 'therformer', CONFIG, {'data': {'stream': stream}}
        )

    def test_the_registry_makes_it_from_the_installed_model(self, folder):
        self.save(folder / 'therformer.safetensors')
        estimator = registry.create('therformer', {'confidence': 0.0}, RIG)
        for number in range(10):  # more than the window
            for pose in estimator.estimate(frame(number, ('thermal',))):
                assert np.isfinite(pose.joints).all() and np.isfinite(pose.covariance).all()

    def test_the_stream_is_the_one_the_model_was_trained_on(self, folder):
        self.save(folder / 'therformer.safetensors', 'nir')
        estimator = registry.create('therformer', {}, RIG)
        assert estimator._finder.stream == 'nir'

    def test_a_model_for_another_sensor_is_not_taken(self, folder):
        self.save(folder / 'therformer.safetensors', 'nir')
        with pytest.raises(ModelError, match='for thermal images'):
            registry.create('therformer', {'stream': 'thermal'}, RIG)

    def test_without_a_model_the_error_says_how_to_get_one(self):
        with pytest.raises(ModelError, match='hand-pose models install'):
            registry.create('therformer', {}, RIG)

    def test_a_checkpoint_of_another_network_is_refused(self, folder):
        from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig

        tiny = DenseRegConfig(
            stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8
        )
        save_checkpoint(folder / 'd.safetensors', DenseReg(tiny), 'densereg', tiny, {})
        with pytest.raises(ModelError, match='holds a densereg network, not therformer'):
            registry.create('therformer', {'model': str(folder / 'd.safetensors')}, RIG)

    def test_a_wrong_image_size_in_the_card_is_refused(self, folder):
        import json

        path = folder / 'therformer.safetensors'
        self.save(path)
        card = json.loads(path.with_suffix('.json').read_text())
        card['config']['image_size'] = [128, 160]
        path.with_suffix('.json').write_text(json.dumps(card))
        with pytest.raises(ModelError, match='256 x 320 or 240 x 320') as error:
            registry.create('therformer', {}, RIG)
        assert '\n' not in str(error.value)

    @pytest.mark.parametrize(
        ('options', 'words'),
        [
            ({'stream': 'radar'}, "no stream 'radar'"),
            ({'device': 'abacus'}, "device 'abacus'"),
            ({'device': 'mps'}, 'is not supported'),
            ({'runtime': 'tpu'}, "runtime 'tpu'"),
            ({'confidence': 'high'}, 'takes a number'),
            ({'tracking': {'gap': True}}, 'takes a number'),
            ({'model': 5}, 'takes a text'),
        ],
    )
    def test_wrong_options_are_named(self, options, words, folder):
        self.save(folder / 'therformer.safetensors')
        with pytest.raises(HandPoseError, match=words):
            registry.create('therformer', options, RIG)

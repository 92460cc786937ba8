"""DenseReg: published sizes and shapes, the small network, the variants, renormalisation."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.batch_renorm import BatchRenorm2d
from hand_pose_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.networks.registry import create_network
from hand_pose_ros.networks.resnet import count_parameters

HEADS = ('dense', 'masked_offset', 'detection_depth', 'coordinates')


def crops(count=2, seed=0, *, unseen=True):
    """Normalised depth: a square before nothing; a corner is unseen."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.full((count, 1, 128, 128), -1.0)
    image[..., 30:100, 20:90] = torch.rand(count, 1, 70, 70, generator=generator) * 0.2 + 0.3
    hidden = torch.zeros_like(image)
    hidden[..., :30, :30] = 1.0
    return torch.cat([image, hidden], dim=1) if unseen else image


@pytest.fixture(scope='module')
def small():
    torch.manual_seed(0)
    return DenseReg(DenseRegConfig.small()).eval()


@pytest.mark.parametrize(
    ('joints', 'parameters'), [(14, 5_827_804), (16, 5_856_352), (21, 5_929_262)]
)
def test_the_published_network_has_exactly_its_parameters(joints, parameters):
    with torch.device('meta'):
        network = DenseReg(DenseRegConfig.base(joints))
    assert count_parameters(network) == parameters
    with torch.device('meta'):
        renormalised = DenseReg(dataclasses.replace(DenseRegConfig.base(joints), renorm=True))
    assert count_parameters(renormalised) == parameters


@pytest.mark.parametrize('joints', [14, 21])
def test_two_stacks_give_r_s_and_v_on_the_grid(joints):
    with torch.inference_mode():
        stages = DenseReg(DenseRegConfig.base(joints)).eval()(crops(1, unseen=False))
    assert len(stages) == 2
    for fields in stages:
        assert fields.heat_2d.shape == (1, joints, 32, 32)
        assert fields.heat_3d.shape == (1, joints, 32, 32)
        assert fields.direction.shape == (1, 3 * joints, 32, 32)
        assert fields.coordinates is None


def test_the_small_network_is_small(small):
    assert small.config.joints == 21
    completer = count_parameters(small.completer)
    assert count_parameters(small) - completer <= 1_500_000  # what sees the image
    assert completer == 654_932
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        small(crops(1))
    assert counter.get_total_flops() / 2 <= 0.6e9  # a multiplication and an addition each


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('stacks', [1, 2])
def test_variants_have_fields_and_gradients_everywhere(head, stacks):
    config = dataclasses.replace(DenseRegConfig.small(), head=head, stacks=stacks, joints=5)
    network = DenseReg(config).train()
    assert (network.refiner is None) == (head == 'coordinates')
    assert (network.completer is None) == (head == 'coordinates')
    if network.refiner is not None:  # which corrects nothing at first
        nn.init.normal_(network.refiner.out.weight, std=0.1)
    stages = network(crops())
    assert len(stages) == stacks
    total = torch.zeros(())
    for fields in stages:
        for map_ in (fields.heat_2d, fields.heat_3d, fields.direction):
            assert torch.isfinite(map_).all()
            total = total + (map_ - 0.3).square().sum()
        assert (fields.coordinates is not None) == (head == 'coordinates')
        if fields.coordinates is not None:
            assert fields.coordinates.shape == (2, 5, 3)
            total = total + fields.coordinates.square().sum()
        if fields.correction is not None:
            completed = network.completer(fields.correction, fields.log_error)
            total = total + (completed[0] - 0.3).square().sum() + completed[1].sum()
    total.backward()
    without = [name for name, value in network.named_parameters() if value.grad is None]
    assert without == []


def test_the_second_stack_refines_what_the_first_predicts(small):
    """R, S and V of the first stack reach the second."""
    network = DenseReg(dataclasses.replace(DenseRegConfig.small(), stacks=2)).eval()
    with torch.inference_mode():
        before = network(crops())[1].heat_2d
        network.heads[0].direction.out[-1].bias += 1.0
        after = network(crops())[1].heat_2d
    assert not torch.allclose(before, after)


def test_v_knows_r_and_s_and_not_the_other_way_round(small):
    network = DenseReg(DenseRegConfig.small()).eval()
    with torch.inference_mode():
        before = network(crops())[0]
        network.heads[0].heat_2d.bias += 1.0
        after = network(crops())[0]
    assert torch.equal(before.heat_3d, after.heat_3d)
    assert not torch.allclose(before.direction, after.direction)


def test_only_the_last_stack_is_corrected_and_at_first_not_at_all(small):
    with torch.inference_mode():
        first, last = small(crops())
    assert first.correction is None and first.log_error is None
    assert last.correction.shape == (2, 21, 3) and not last.correction.any()
    plain = DenseReg(dataclasses.replace(DenseRegConfig.small(), refiner=0)).eval()
    with torch.inference_mode():
        fields = plain(crops())[-1]
    assert fields.correction is None and fields.log_error is None


def test_a_refiner_whose_heads_do_not_fit_is_refused():
    with pytest.raises(ModelError, match='refiner of width 10 among 4'):
        DenseRegConfig(refiner=10)


def test_hands_that_are_never_looked_at_are_refused():
    with pytest.raises(ModelError, match='finds none: give turns at least one'):
        DenseRegConfig(turns=())


def test_predictions_do_not_depend_on_the_rest_of_the_batch(small):
    with torch.inference_mode():
        both, one = small(crops(2))[-1], small(crops(2)[:1])[-1]
    difference = (both.heat_3d[:1] - one.heat_3d).abs().max()
    assert difference < 1e-4 * one.heat_3d.abs().max()


def test_a_network_that_knows_what_is_unseen_uses_it(small):
    image = crops()
    empty = image.clone()
    empty[:, 1] = 0.0
    with torch.inference_mode():
        assert not torch.allclose(small(image)[0].heat_2d, small(empty)[0].heat_2d, atol=1e-3)
        plain = DenseReg(dataclasses.replace(DenseRegConfig.small(), unseen=False)).eval()
        assert plain(image[:, :1])[0].heat_2d.shape == (2, 21, 32, 32)
        with pytest.raises(ModelError, match=r'takes crops \(N, 1, 128, 128\)'):
            plain(image)


def test_an_empty_crop_gives_finite_fields(small):
    with torch.inference_mode():
        fields = small(torch.full((1, 2, 128, 128), -1.0))[-1]
    assert torch.isfinite(fields.direction).all()


@pytest.mark.parametrize('shape', [(1, 2, 96, 96), (1, 1, 128, 128), (1, 128, 128)])
def test_other_sizes_are_refused(small, shape):
    with pytest.raises(ModelError, match='densereg takes crops'):
        small(torch.zeros(shape))


@pytest.mark.parametrize('options', [{'joints': 0}, {'stacks': 3}, {'head': 'sparse'}])
def test_impossible_configurations_are_refused(options):
    with pytest.raises(ModelError, match='densereg'):
        DenseRegConfig(**options)


def test_it_travels_through_the_registry_and_a_checkpoint(tmp_path, small):
    save_checkpoint(tmp_path / 'd.safetensors', small, 'densereg', small.config, {})
    loaded = load_checkpoint(tmp_path / 'd.safetensors', expected='densereg')
    assert loaded.config == small.config
    with torch.inference_mode():
        assert torch.equal(loaded.network(crops())[-1].direction, small(crops())[-1].direction)
    assert isinstance(create_network('densereg', {'joints': 5, 'channels': 16}), DenseReg)


def test_it_learns_one_sample():
    torch.manual_seed(0)
    config = dataclasses.replace(DenseRegConfig.small(), stacks=1, joints=2, dropout=0.0)
    network = DenseReg(config).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    image, wanted = crops(2), torch.zeros(2, 2, 32, 32)
    wanted[:, :, 10:14, 10:14] = 1.0
    losses = []
    for _ in range(12):
        loss = (network(image)[-1].heat_3d - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


# Batch renormalisation.


def test_renormalisation_starts_as_batch_normalisation():
    x = torch.randn(4, 3, 8, 8) * 2 + 1
    renorm, norm = BatchRenorm2d(3).train(), nn.BatchNorm2d(3, eps=1e-3).train()
    assert renorm.limits() == pytest.approx((1.0, 1e-3))
    assert torch.allclose(renorm(x), norm(x), atol=2e-3)


def test_its_limits_grow_to_3_and_5():
    renorm = BatchRenorm2d(3)
    renorm.num_batches_tracked.fill_(100_000)  # t = 1
    r, d = renorm.limits()
    assert r == pytest.approx(3 / (1 + 2 * 0.36787944), rel=1e-6)
    assert d == pytest.approx(5 / (1 + 4999 * 0.13533528), rel=1e-6)
    renorm.num_batches_tracked.fill_(10_000_000)
    assert renorm.limits() == pytest.approx((3.0, 5.0))


def test_with_wide_limits_training_output_is_the_output_in_use():
    """That is its point: small batches see the running statistics."""
    renorm = BatchRenorm2d(3).train()
    renorm.num_batches_tracked.fill_(10_000_000)
    renorm.running_mean.fill_(0.5)
    renorm.running_var.fill_(1.7)
    x = torch.randn(2, 3, 4, 4) + 0.5
    expected = (x - 0.5) / (1.7 + 1e-3) ** 0.5
    assert torch.allclose(renorm(x), expected, atol=1e-5)


def test_its_gradient_is_that_of_the_normalisation():
    renorm = BatchRenorm2d(2).double().train()
    renorm.running_mean.fill_(0.2)
    renorm.momentum = renorm.rate = 0.0  # r and d stay at their limits
    x = torch.randn(3, 2, 2, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: renorm(value).square(), (x,))


def test_its_weights_load_into_batch_normalisation_and_back():
    renorm, norm = BatchRenorm2d(3), nn.BatchNorm2d(3, eps=1e-3)
    renorm.train()(torch.randn(4, 3, 8, 8))
    norm.load_state_dict(renorm.state_dict())
    x = torch.randn(2, 3, 4, 4)
    assert torch.allclose(norm.eval()(x), renorm.eval()(x), atol=1e-6)

"""Muon and AdamW as one optimiser."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from hand_pose_ros.training import muon
from hand_pose_ros.training.config import OptimiserConfig
from hand_pose_ros.training.muon import Muon, is_kernel, orthogonal
from hand_pose_ros.training.optimiser import make_optimiser

RATE = 0.01
CONFIG = OptimiserConfig(name='muon', learning_rate=RATE, weight_decay=0.0)


@pytest.fixture(autouse=True)
def in_32_bits(monkeypatch):
    """On every processor: 16 bits, where it knows them, are within some per cent of a step."""
    monkeypatch.setattr(muon, 'computes_bfloat16', lambda device: False)


def network(memory_format=torch.contiguous_format):
    torch.manual_seed(3)
    parts = nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 12, 3),
        nn.Flatten(), nn.Linear(12, 2),
    )  # fmt: skip
    return parts.to(memory_format=memory_format)


def train(parts, optimiser, steps):
    generator = torch.Generator().manual_seed(5)
    losses = []
    for _ in range(steps):
        images = torch.randn(16, 3, 5, 5, generator=generator)
        wanted = torch.stack([images.mean(dim=(1, 2, 3)), images[:, 0, 2, 2]], dim=1)
        optimiser.zero_grad()
        loss = (parts(images) - wanted).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_matrices_and_kernels_go_to_muon_and_the_rest_to_adamw():
    parts = network()
    assert [is_kernel(weight) for weight in parts.parameters()] == [
        True, False, False, True, False, False, False,
    ]  # fmt: skip
    groups = make_optimiser(parts, OptimiserConfig(name='muon', weight_decay=0.1)).param_groups
    assert [(len(group['params']), group['weight_decay']) for group in groups] == [
        (2, 0.1), (1, 0.1), (4, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_a_step_moves_all_directions_of_a_kernel_alike_and_as_far_as_adamw(memory_format):
    parts = network(memory_format)
    kernel = parts[3].weight
    before = kernel.detach().clone()
    optimiser = make_optimiser(parts, CONFIG)
    kernel.grad = torch.randn_like(kernel)
    kernel.grad[:6] *= 0.1  # the orthogonal step does not care
    optimiser.step()
    moved = (kernel.detach() - before).flatten(1)
    scale = torch.linalg.svdvals(moved) / (RATE * 0.2 * max(moved.shape) ** 0.5)
    assert float(scale.min()) > 0.5 and float(scale.max()) < 1.4
    # AdamW's later steps are about a fifth of its rate in every element.
    assert 0.1 * RATE < float(moved.square().mean().sqrt()) < 0.3 * RATE


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_kernels_does_not_matter(memory_format):
    usual, other = network(), network(memory_format)
    train(usual, make_optimiser(usual, CONFIG), 3)
    train(other, make_optimiser(other, CONFIG), 3)
    for one, two in zip(usual.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-3 * RATE)
    assert other[3].weight.is_contiguous(memory_format=memory_format)


def test_steps_are_those_of_torch_but_for_its_16_bits():
    torch.manual_seed(7)
    mine = nn.Parameter(torch.randn(24, 40))
    theirs = nn.Parameter(mine.detach().clone())
    one = Muon([mine], learning_rate=RATE, weight_decay=0.1)
    two = torch.optim.Muon([theirs], RATE, weight_decay=0.1, adjust_lr_fn='match_rms_adamw')
    for _ in range(5):
        before = mine.detach().clone()
        mine.grad = torch.randn_like(mine)
        theirs.grad = mine.grad.clone()
        one.step()
        two.step()
        step = float((mine.detach() - before).square().mean().sqrt())
        difference = float((mine.detach() - theirs.detach()).square().mean().sqrt())
        assert 0 < difference < 0.05 * step, (difference, step)


@pytest.mark.parametrize('shape', [(8, 30), (30, 8), (16, 16)])
def test_orthogonal_evens_out_singular_values(shape):
    generator = torch.Generator().manual_seed(2)
    matrix = torch.randn(shape, generator=generator)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    matrix = u * torch.linspace(0.2, 5.0, len(s)) @ v
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert float(values.min()) > 0.5 and float(values.max()) < 1.25
    # Directions stay: what is left of u and v is symmetric.
    core = u.T @ orthogonal(matrix) @ v.T
    torch.testing.assert_close(core, core.T, rtol=0, atol=1e-4)
    assert torch.equal(orthogonal(torch.zeros(shape)), torch.zeros(shape))


def test_it_learns_and_goes_on_bit_for_bit_from_its_state():
    parts = network()
    optimiser = make_optimiser(parts, CONFIG)
    losses = train(parts, optimiser, 60)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    twin = network()
    twin.load_state_dict(parts.state_dict())
    second = make_optimiser(twin, CONFIG)
    second.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert train(parts, optimiser, 5) == train(twin, second, 5)


def test_frozen_kernels_stay_and_rates_can_be_set():
    parts = network()
    parts[0].requires_grad_(False)
    before = parts[0].weight.clone(), parts[3].weight.detach().clone()
    optimiser = make_optimiser(parts, CONFIG)
    for group in optimiser.param_groups:
        group['lr'] = 0.0
    train(parts, optimiser, 2)
    assert torch.equal(parts[0].weight, before[0])
    assert torch.equal(parts[3].weight, before[1])
    # Also where nothing but normalisations and biases is left to train.
    for kernel in (parts[0].weight, parts[3].weight, parts[5].weight):
        kernel.requires_grad_(False)
    assert np.isfinite(train(parts, make_optimiser(parts, CONFIG), 2)).all()

"""Mixed precision: what keeps 32 bits and what does not need them."""

import pytest
import torch
from torch import nn

from hand_pose_ros.networks import precision
from hand_pose_ros.networks.precision import (
    LayerNorm,
    computes_bfloat16,
    full_precision,
    mixed_precision,
)

CPU = torch.device('cpu')


def test_full_precision_switches_mixed_precision_off_and_back_on():
    a = torch.rand(4, 4)
    with torch.autocast('cpu', torch.bfloat16):
        with full_precision(a):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16
    with full_precision(a):
        assert not torch.is_autocast_enabled('cpu')


def test_a_norm_is_that_of_torch_and_keeps_the_precision_of_its_input():
    torch.manual_seed(0)
    own, plain, x = LayerNorm(16), nn.LayerNorm(16), 3 * torch.randn(2, 5, 16) + 2
    nn.init.normal_(own.weight)
    nn.init.normal_(own.bias)
    plain.load_state_dict(own.state_dict())
    assert torch.equal(own(x), plain(x))
    results = []
    for norm, given in ((own, x.bfloat16()), (plain, x.bfloat16().float())):
        given.requires_grad_()
        with torch.autocast('cpu', torch.bfloat16, enabled=norm is own):
            result = norm(given)
        assert result.dtype == given.dtype
        result.float().square().sum().backward()
        results.append([result, given.grad, norm.weight.grad, norm.bias.grad])
    assert results[0][2].dtype == torch.float32
    for found, expected in zip(*results, strict=True):
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(found.float(), expected, atol=0.02 * scale, rtol=0)


@pytest.mark.parametrize(
    ('known', 'seconds', 'fast'),
    [
        ({'avx2': True}, 1.0, False),
        ({'avx512_bf16': True}, 1.0, True),
        ({'avx512_bf16': True}, 3.0, False),
        ({'amx_bf16': True}, 1.0, True),
        ({}, 1.0, False),
    ],
)
def test_auto_is_16_bits_only_where_they_are_the_faster_ones(monkeypatch, known, seconds, fast):
    times = {torch.bfloat16: seconds, torch.float32: 2.0}
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: known)
    monkeypatch.setattr(precision, '_product', times.get)
    assert computes_bfloat16(CPU) is fast
    a = torch.rand(4, 4)
    for stated, mixed in (('auto', fast), ('bfloat16', True), ('float32', False)):
        with mixed_precision(stated, CPU):
            assert (a @ a).dtype == (torch.bfloat16 if mixed else torch.float32)
    assert not torch.is_autocast_enabled('cpu')


def test_products_are_timed_once_whatever_the_context(monkeypatch):
    precision._product.cache_clear()
    with torch.autocast('cpu', torch.bfloat16):
        first = precision._product(torch.float32)
    assert 0 < first < 10
    monkeypatch.setattr(torch, 'mm', lambda a, b: 1 / 0)
    assert precision._product(torch.float32) == first

"""Mask-guided deformable attention against its definition, cell by cell."""

import math

import pytest
import torch
from torch import nn

from hand_pose_ros.networks import deformable_attention
from hand_pose_ros.networks.deformable_attention import MaskGuidedAttention, SpatialLayer

SIZE = (5, 6)
CELLS = SIZE[0] * SIZE[1]


def layer(seed=0, reach=2.0):
    """A layer whose offsets and weights depend on the query."""
    torch.manual_seed(seed)
    attention = MaskGuidedAttention(8, heads=2, points=3)
    nn.init.normal_(attention.offsets.weight, std=reach)
    nn.init.normal_(attention.weights.weight)
    nn.init.normal_(attention.weights.bias)
    nn.init.normal_(attention.value.bias)
    nn.init.normal_(attention.output.bias)
    return attention


def tokens(seed=1, count=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, count, CELLS, 8, generator=generator)


def masks(seed=2, count=2):
    """Anchors, ignored and undecided cells; two cells are exactly at the limits."""
    p = torch.rand(count, CELLS, generator=torch.Generator().manual_seed(seed))
    p[:, :6] = 0.95
    p[:, 7], p[:, 8] = 0.9, 0.1
    return p


def by_hand(attention, features, query, mask):
    """Steps 1 to 7 of the specification as loops over cells, heads, points and corners."""
    h, w = SIZE
    result = []
    for n in range(features.shape[0]):
        values = attention.value(features[n])
        values = [
            v * 0 if mask is not None and mask[n, i] < 0.1 else v for i, v in enumerate(values)
        ]
        rows = []
        for token in range(h * w):
            anchor = mask is None or mask[n, token] > 0.9
            reference = ((token % w + 0.5) / w, (token // w + 0.5) / h) if anchor else (2.0, 2.0)
            offsets = attention.offsets(query[n, token]).view(2, 3, 2)
            shares = attention.weights(query[n, token]).view(2, 3).softmax(dim=1)
            heads = []
            for head in range(2):
                total = torch.zeros(4)
                for point in range(3):
                    x = (reference[0] + offsets[head, point, 0] / w) * w - 0.5
                    y = (reference[1] + offsets[head, point, 1] / h) * h - 0.5
                    left, top = math.floor(x.item()), math.floor(y.item())
                    for row in (top, top + 1):
                        for column in (left, left + 1):
                            if 0 <= row < h and 0 <= column < w:
                                share = (1 - (x - column).abs()) * (1 - (y - row).abs())
                                value = values[row * w + column][4 * head : 4 * head + 4]
                                total = total + shares[head, point] * share * value
                heads.append(total)
            rows.append(attention.output(torch.cat(heads)))
        result.append(torch.stack(rows))
    return torch.stack(result)


@pytest.fixture(params=['for the tokens that sample', 'for all tokens', 'with matrices'])
def way(request, monkeypatch):
    """All ways of computing the same."""
    if request.param == 'for all tokens':
        monkeypatch.setattr(deformable_attention, '_sparse_allowed', lambda *_: False)
    elif request.param == 'with matrices':
        monkeypatch.setattr(deformable_attention, '_matrices_allowed', lambda *_: True)
        monkeypatch.setattr(deformable_attention, '_ROUND', 4)
    else:
        monkeypatch.setattr(deformable_attention, '_MOST_SPARSE', 1.0)


# With a reach of 8 cells, tokens off the hand look back into the map from their place outside.
@pytest.mark.parametrize('reach', [0.5, 2.0, 8.0])
def test_attention_equals_its_definition(way, reach):
    attention, (features, query), mask = layer(reach=reach), tokens(), masks()
    expected = by_hand(attention, features, query, mask)
    torch.testing.assert_close(
        attention(features, query, mask, SIZE), expected, atol=1e-5, rtol=1e-5
    )


def test_gradients_equal_those_of_the_definition(way):
    attention, mask = layer(), masks()
    gradients = []
    for compute in (lambda *a: attention(*a, SIZE), lambda *a: by_hand(attention, *a)):
        features, query = (part.clone().requires_grad_() for part in tokens())
        attention.zero_grad()
        compute(features, query, mask).square().sum().backward()
        gradients.append([features.grad, query.grad, *(p.grad for p in attention.parameters())])
    for own, true in zip(*gradients, strict=True):
        assert true.abs().max() > 0
        torch.testing.assert_close(own, true, atol=1e-4, rtol=1e-4)


def test_mixed_precision_gives_the_same_answers_and_gradients(way):
    attention, mask = layer(reach=0.5), masks()
    found = []
    for mixed in (True, False):
        features, query = (part.bfloat16().float().requires_grad_() for part in tokens())
        attention.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled=mixed):
            result = attention(features, query, mask, SIZE)
        assert result.dtype == (torch.bfloat16 if mixed else torch.float32)
        result.float().square().sum().backward()
        found.append([result, features.grad, query.grad, *(p.grad for p in attention.parameters())])
    for own, true in zip(*found, strict=True):
        scale = float(true.detach().norm())
        assert float((own.detach().float() - true.detach()).norm()) < 0.05 * scale


def test_every_image_gets_as_many_tokens_and_all_that_sample():
    reaching = torch.rand(5, 200, generator=torch.Generator().manual_seed(0)) < 0.4
    reaching[3] = False
    chosen = (
        deformable_attention._equally_many(reaching).view(5, -1) - torch.arange(5)[:, None] * 200
    )
    assert chosen.shape[1] % 64 == 0 and chosen.shape[1] >= reaching.sum(dim=1).max()
    for row, own in zip(reaching, chosen, strict=True):
        assert len(own.unique()) == len(own)
        assert set(row.nonzero()[:, 0].tolist()) <= set(own.tolist())
    assert deformable_attention._equally_many(torch.ones(2, 100) > 0).sort().values.tolist() == [
        *range(200)
    ]


def test_the_spatial_layer_keeps_16_bits():
    block, (features, _) = SpatialLayer(8, 2, 3, 16), tokens()
    with torch.autocast('cpu', torch.bfloat16):
        result = block(features.bfloat16(), torch.rand(CELLS, 8), masks(), SIZE)
    assert result.dtype == torch.bfloat16


def test_without_guidance_every_token_looks_around_and_is_seen(way):
    attention, (features, query) = layer(), tokens()
    expected = by_hand(attention, features, query, None)
    torch.testing.assert_close(
        attention(features, query, None, SIZE), expected, atol=1e-5, rtol=1e-5
    )


def test_initial_offsets_point_in_a_direction_per_head_and_grow_by_one_cell_per_point():
    attention = MaskGuidedAttention(16, heads=8, points=8)
    offsets = attention.offsets.bias.view(8, 8, 2)
    for head in range(8):
        angle = 2 * math.pi * head / 8
        direction = torch.tensor([math.cos(angle), math.sin(angle)])
        direction = direction / direction.abs().max()
        for point in range(8):
            torch.testing.assert_close(
                offsets[head, point], direction * (point + 1), atol=1e-5, rtol=0
            )
    assert offsets[1, 2].tolist() == pytest.approx([3, 3])
    for zero in (attention.offsets.weight, attention.weights.weight, attention.weights.bias,
                 attention.value.bias, attention.output.bias):  # fmt: skip
        assert not zero.any()
    bound = math.sqrt(6 / 32)  # Xavier
    assert 0.9 * bound < attention.value.weight.abs().max() <= bound
    assert 0.9 * bound < attention.output.weight.abs().max() <= bound


@pytest.mark.parametrize('p', [0.0, 0.5, 0.9])
def test_a_token_that_is_no_anchor_samples_zeros_at_initial_offsets(way, p):
    torch.manual_seed(0)
    attention = MaskGuidedAttention(8, heads=2, points=3)
    nn.init.normal_(attention.output.bias)
    (features, query), mask = tokens(), torch.full((2, CELLS), 0.99)
    mask[:, 12] = p
    result = attention(features, query, mask, SIZE)
    assert torch.equal(result[:, 12], attention.output.bias.expand(2, -1))
    assert not torch.allclose(result[:, 13], attention.output.bias.expand(2, -1))


def test_an_ignored_token_contributes_nothing_and_an_undecided_one_does(way):
    attention, (features, query), mask = layer(reach=0.5), tokens(), masks()
    mask[:, 9], mask[:, 10] = 0.09, 0.11
    before = attention(features, query, mask, SIZE)
    for cell, matters in ((9, False), (10, True)):
        changed = features.clone()
        changed[:, cell] += 10
        assert torch.equal(attention(changed, query, mask, SIZE), before) != matters


def test_without_any_hand_everything_stays_finite(way):
    attention, (features, query) = layer(reach=0.0), tokens()
    features.requires_grad_()
    mask = torch.zeros(2, CELLS)
    result = attention(features, query, mask, SIZE)
    assert torch.equal(result, attention.output.bias.expand_as(result))
    result.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in attention.parameters())
    block = SpatialLayer(8, 2, 3, 16)
    assert block(features, torch.zeros(CELLS, 8), mask, SIZE).isfinite().all()


def test_offsets_and_weights_learn_only_once_there_are_anchors(way):
    attention, (features, query) = layer(reach=0.5), tokens()
    for p, learns in ((0.5, False), (0.95, True)):
        attention.zero_grad()
        mask = torch.full((2, CELLS), p)
        attention(features, query, mask, SIZE).square().sum().backward()
        for part in (attention.offsets, attention.weights):
            moved = part.weight.grad is not None and bool(part.weight.grad.abs().max() > 0)
            assert moved == learns


def test_the_spatial_layer_normalises_after_its_residuals():
    block, (features, _) = SpatialLayer(8, 2, 3, 16), tokens()
    result = block(features, torch.zeros(CELLS, 8), masks(), SIZE)
    torch.testing.assert_close(result.mean(dim=2), torch.zeros(2, CELLS), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        result.var(dim=2, correction=0), torch.ones(2, CELLS), atol=1e-2, rtol=0
    )

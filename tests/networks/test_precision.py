"""Mixed precision: what keeps 32 bits and what does not need them."""

import torch
from torch import nn

from hand_pose_ros.networks.precision import LayerNorm, full_precision


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

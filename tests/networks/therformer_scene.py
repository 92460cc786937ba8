"""What the tests of TherFormer share: a tiny network with learnt-looking weights, images, K."""

import dataclasses

import torch

from hand_pose_ros.networks.therformer import TherFormer, TherFormerConfig

# Halved thermal and NIR cameras of the methods specification, section 1.8.
THERMAL = torch.tensor([[204.769, 0, 161.55235], [0, 204.9582, 126.7942], [0, 0, 1]])
NIR = torch.tensor([[228.404, 0, 165.43555], [0, 228.5703, 120.4531], [0, 0, 1]])


def tiny(**changes) -> TherFormer:
    """The small network, narrower; its mask head is sure enough of itself to make anchors."""
    torch.manual_seed(0)
    config = dataclasses.replace(
        TherFormerConfig.small(), backbone_width=8, width=32, mask_width=16, spatial_hidden=32,
        down_channels=(16, 16, 16), features=32, temporal_hidden=64, head_width=32, **changes,
    )  # fmt: skip
    network = TherFormer(config).eval()
    with torch.no_grad():
        network.mask_head[3].weight *= 12
        for layer in network.spatial:
            layer.attention.offsets.weight.normal_(std=0.1)
            layer.attention.weights.weight.normal_(std=0.3)
    return network


def images(count, rows=256, seed=0):
    """Noise with structure at several scales, three equal channels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, rows // 16, 20, generator=generator)
    coarse = torch.nn.functional.interpolate(coarse, (rows, 320), mode='bilinear')
    fine = torch.rand(count, 1, rows, 320, generator=generator)
    return (0.8 * coarse + 0.2 * fine).expand(-1, 3, -1, -1).contiguous()


def cameras(count, K=THERMAL):
    return K.expand(count, 3, 3).contiguous()

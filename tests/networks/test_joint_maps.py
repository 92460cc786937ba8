"""Maps of joints: places, spread and depth of what their cells say."""

import math

import torch

from hand_pose_ros.networks.joint_maps import JointMaps
from tests.networks.one_cell import OneCell


def test_maps_of_joints_answer_with_their_certain_cells():
    torch.manual_seed(0)
    maps = JointMaps((8, 8, 8, 8), 16, 42, stride=8, unit=100.0, depth=2.0)
    levels = [torch.rand(2, 8, *size) for size in ((30, 40), (15, 20), (8, 10), (4, 5))]
    answer, spread, logits = maps(levels)
    assert (answer.shape, logits.shape) == ((2, 42, 3), (2, 42, 30, 40))
    # Anywhere in the image: the standard deviation of an even share of its cells.
    anywhere = math.hypot(320, 240) / math.sqrt(12)
    torch.testing.assert_close(spread, torch.full((2, 42), anywhere), atol=15.0, rtol=0)
    # Hardly trained, all joints lie about the image's middle, at the given depth.
    assert float(answer[..., :2].detach().abs().max()) < 0.3
    torch.testing.assert_close(answer[..., 2], torch.full((2, 42), 2.0), atol=0.3, rtol=0)
    with torch.no_grad():  # joint 5 in cell 7, 22 (row, column): its logits follow the first map
        maps.out.weight.zero_()
        maps.out.weight[5, 0] = 1000.0
        maps.merge[2] = OneCell((7, 22))
        answer, spread, logits = maps(levels)
    assert float(spread[:, 5].max()) < 0.1 < float(spread[:, 6].min())
    assert logits[0, 5].argmax() == 7 * 40 + 22
    pixels = answer[:, 5, :2] * 100 + torch.tensor([160.0, 120.0])
    torch.testing.assert_close(pixels, torch.tensor([[179.5, 59.5]]).expand(2, 2))

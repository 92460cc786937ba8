"""Parts of TherFormer: mask head, downsampler, pose head, agreement."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from hand_pose_ros.networks.normalisation import group_norm

# Pixels of an image per cell of the map.
STRIDE = 8

Pool = Literal['conv_flatten', 'avg']

HAND_JOINTS = 21
JOINTS = 2 * HAND_JOINTS

# Units of the head: 100 px in the image; depth in thousandths of the focal length, metres.
PIXEL_UNIT = 100.0
DEPTH_UNIT = 0.001

# A left hand in the middle of the image as the head sees it at first, in PIXEL_UNIT from the
# centre: the average of hands seen from the head; the right hand is its mirror image.
_MEAN_LEFT: tuple[tuple[float, float], ...] = (
    (-0.39, 0.28), (-0.34, 0.20), (-0.27, 0.17), (-0.16, 0.10), (-0.08, 0.04),
    (-0.16, 0.04), (-0.09, -0.04), (-0.03, -0.08), (0.02, -0.09),
    (-0.21, 0.02), (-0.14, -0.06), (-0.08, -0.10), (-0.03, -0.11),
    (-0.26, 0.02), (-0.19, -0.05), (-0.13, -0.08), (-0.08, -0.08),
    (-0.30, 0.06), (-0.23, 0.02), (-0.19, 0.00), (-0.15, -0.01),
)  # fmt: skip
_MEAN_DEPTH = 0.46
_MEAN_FOCAL = 205.0

# How much less another frame of a clip counts than a hand's own, for its depth and its shape: at
# once, for each unit of the logarithm of how far away it is, and of how blurred it sees the hand.
_DOUBTS = ((0.40, 2.25, 3.0), (0.40, 1.65, 4.1))


class MaskHead(nn.Sequential):
    """Logit of a hand in every cell."""

    def __init__(self, width: int, hidden: int) -> None:
        """Make the head for ``width`` channels."""
        super().__init__(
            nn.Conv2d(width, hidden, 1, bias=False),
            group_norm(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, 1, 1, bias=False),
        )


class Downsampler(nn.Module):
    """Three strided convolutions and a linear layer: a feature map becomes one vector."""

    def __init__(self, width: int, channels: Sequence[int], features: int, pool: Pool) -> None:
        """Make the layers; ``conv_flatten`` keeps the layout of the 4 x 5 cells."""
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((width, *channels), channels, strict=False):
            layers += [
                nn.Conv2d(inputs, outputs, 3, 2, 1), group_norm(outputs), nn.ReLU(inplace=True)
            ]  # fmt: skip
        self.convolutions = nn.Sequential(*layers)
        self.pool = pool
        cells = 20 if pool == 'conv_flatten' else 1
        self.linear = nn.Linear(channels[-1] * cells, features)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map (N, width, 32 or 30, 40) to (N, features); also return the three maps on the way."""
        levels = []
        for number, layer in enumerate(self.convolutions):
            x = layer(x)
            if number % 3 == 2:
                levels.append(x)  # the last is (N, C, 4, 5)
        vector = x.flatten(1) if self.pool == 'conv_flatten' else x.mean(dim=(2, 3))
        return self.linear(vector), levels


def attended(tokens: Tensor, not_padding: Tensor | None) -> Tensor | None:
    """Return which frames (B, T) of clips (B, T, d) may be attended to; None for all.

    The first one always may, so that no softmax is over nothing.
    """
    if not_padding is None:
        return None
    batch, count = tokens.shape[:2]
    first = torch.arange(count, device=tokens.device) == 0
    return (not_padding.reshape(batch, count) > 0.5) | first


class PoseHead(nn.Sequential):
    """From a frame's vector to (u', v', z') of 42 joints; starts with a pair of hands."""

    def __init__(self, features: int, hidden: int, depth_offset: float, *, corrects: bool) -> None:
        """Make the head; its first answers are near a pair of hands 0.46 m away.

        ``corrects``: it corrects another answer, at first hardly.
        """
        super().__init__(
            nn.Linear(features, hidden), nn.LeakyReLU(),
            nn.Linear(hidden, hidden), nn.LeakyReLU(),
            nn.Linear(hidden, 3 * JOINTS),
        )  # fmt: skip
        with torch.no_grad():
            if corrects:
                self[4].weight.mul_(0.1)
                self[4].bias.zero_()
                return
            left = torch.tensor(_MEAN_LEFT)
            both = torch.cat([left, left * torch.tensor([-1.0, 1.0])])
            depth = torch.full((JOINTS, 1), start_depth(depth_offset))
            self[4].bias.copy_(torch.cat([both, depth], dim=1).flatten())


class Agreement(nn.Module):
    """The frames of a clip agree on answers: near ones, and those that see a hand well, count most.

    They agree on how far away a hand is and on how its joints lie about their middle, each with
    shares of its own. Where the middle is in the image, every frame sees best itself.
    """

    away: Tensor

    def __init__(self, longest: int) -> None:
        """Begin with shares that were fitted to the shipped network's answers.

        ``longest``: most frames of a clip.
        """
        super().__init__()
        self.doubts = nn.Parameter(torch.tensor(_DOUBTS))
        frame = torch.arange(float(longest))
        self.register_buffer('away', (frame[:, None] - frame).abs(), persistent=False)

    def forward(self, answers: Tensor, spread: Tensor, seen: Tensor | None) -> Tensor:
        """Return the answers that the frames agree on.

        Args:
            answers: (B, T, 42, 3) u', v', z' of joints.
            spread: (B, T, 42) of their maps, pixels.
            seen: (B, T) bool, which frames may be attended to.
        """
        hands = answers.unflatten(2, (2, HAND_JOINTS))  # (B, T, 2, 21, 3)
        middle = hands.mean(dim=3, keepdim=True)
        away = self.away[: answers.shape[1], : answers.shape[1]]  # (T, T) frames
        blur = spread.log().unflatten(2, (2, HAND_JOINTS)).mean(dim=3).transpose(1, 2)  # (B, 2, T)
        agreed = []
        for part, (other, later, blurred) in zip(
            (middle[..., 2:], hands - middle), self.doubts, strict=True
        ):
            doubt = other * (away > 0) + later * away.log1p() + blurred * blur[:, :, None]
            if seen is not None:
                doubt = doubt.masked_fill(~seen[:, None, None], torch.inf)
            shares = (-doubt).softmax(dim=3)  # (B, 2, T, T)
            agreed.append(torch.einsum('bhij,bjhkc->bihkc', shares, part))
        depth, shape = agreed
        return (torch.cat([middle[..., :2], depth], dim=4) + shape).flatten(2, 3)


def start_depth(offset: float) -> float:
    """Return z' of hands at their mean depth."""
    return (_MEAN_DEPTH - offset) / (DEPTH_UNIT * _MEAN_FOCAL)


def decode_joints(
    raw: Tensor, intrinsics: Tensor, image_size: tuple[int, int], depth_offset: float, *,
    legacy_focal: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Turn the head's answers into pixels, depths and points.

    Source: methods specification, section 1.2 (2.5D decoding).

    Args:
        raw: (N, 42, 3) u', v', z'.
        intrinsics: (N, 3, 3) K in pixels of the image.
        image_size: its rows and columns.
        depth_offset: depth of z' = 0 in metres.
        legacy_focal: use fx for y too, as the released code does.

    Returns:
        pixels (N, 42, 2), depth (N, 42, 1) in metres and points (N, 42, 3) in metres in the
        camera's frame.
    """
    raw = raw.float()
    height, width = image_size
    fx, fy = intrinsics[:, None, 0, :1], intrinsics[:, None, 1, 1:2]  # (N, 1, 1)
    u = raw[..., :1] * PIXEL_UNIT + width / 2  # (N, 42, 1)
    v = raw[..., 1:2] * PIXEL_UNIT + height / 2
    depth = fx * DEPTH_UNIT * raw[..., 2:] + depth_offset
    x = (u - intrinsics[:, None, 0, 2:]) * depth / fx
    y = (v - intrinsics[:, None, 1, 2:]) * depth / (fx if legacy_focal else fy)
    return torch.cat([u, v], dim=-1), depth, torch.cat([x, y, depth], dim=-1)

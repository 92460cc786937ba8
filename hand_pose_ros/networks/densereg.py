"""DenseReg: a cascade of hourglasses that predicts, per joint, two heat maps and a unit direction.

The published network (arXiv 1711.08996) takes a normalised depth crop and predicts on a 32 x 32
grid: the 2D heat map R, then the 3D heat map S, then, from both, the directions V. The second
stack repeats this on refined features. ``dense_votes`` turns the fields into joints.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.batch_renorm import BatchRenorm2d
from hand_pose_ros.networks.dense_crop import CROP_SIZE, GRID_SIZE, grid_depth
from hand_pose_ros.networks.dense_votes import THETA, DenseFields
from hand_pose_ros.networks.hand_completer import HandCompleter
from hand_pose_ros.networks.joint_refiner import TOKEN_HEADS, JointRefiner

Head = Literal['dense', 'masked_offset', 'detection_depth', 'coordinates']

_HOURGLASS_DEPTH = 4
_SURFACE = -0.9
_POOLED = 4
_FIELD_STD = 0.01

Norm = Callable[[int], nn.Module]


@dataclass(frozen=True, kw_only=True)
class DenseRegConfig:
    """Size and variant of the network.

    Attributes:
        joints: J; 14 for NYU, 16 for ICVL, 21 for MSRA and this package.
        stacks: 1 or 2 hourglasses.
        head: what a stack predicts. ``dense``: R, S and V, the method. The others are the paper's
            comparisons: ``masked_offset`` regresses the whole offset, learnt near the joint only;
            ``detection_depth`` detects the joint in 2D and reads its depth from the image, plus a
            learnt thickness; ``coordinates`` regresses the coordinates directly.
        stem_channels: after the first convolution.
        channels: of the hourglasses.
        branch_channels: of each of the two branches that lead to V.
        vote_channels: of the last layers before V.
        narrow_branches: blocks of the branches work at half their result's width instead of half
            their input's.
        refiner: width of the tokens in which joints learn of each other, see ``joint_refiner``; 0
            for none. Not with ``coordinates``.
        completer: width of the layers that complete hands, see ``hand_completer``; 0 for none. Only
            beside a refiner, which says how far off joints may be.
        turns: radians by which the crops are turned in which each hand is looked at, see
            ``dense_hands``.
        unseen: also takes where the camera saw nothing that rules a hand out, see ``DenseCrop``.
            Without it, as published, a finger behind something looks like no finger.
        dropout: share dropped before V.
        renorm: batch renormalisation, for batches below 32.
        weight_std: standard deviation of the initial weights; None scales them by layer (He).
    """

    joints: int = 21
    stacks: int = 2
    head: Head = 'dense'
    stem_channels: int = 32
    channels: int = 128
    branch_channels: int = 256
    vote_channels: int = 512
    narrow_branches: bool = False
    refiner: int = 0
    completer: int = 0
    turns: tuple[float, ...] = (0.0,)
    unseen: bool = False
    dropout: float = 0.5
    renorm: bool = False
    weight_std: float | None = 0.01

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ModelError: the number of joints, stacks or looks, or the head, is not possible.
        """
        if self.joints < 1 or self.stacks not in (1, 2):
            raise ModelError(
                f'densereg with {self.joints} joints and {self.stacks} stacks does not exist: '
                'use at least 1 joint and 1 or 2 stacks'
            )
        if self.head not in get_args(Head):
            raise ModelError(
                f'densereg has no head {self.head!r}: use one of {", ".join(get_args(Head))}'
            )
        if not self.turns:
            raise ModelError(
                'densereg that never looks at a hand finds none: give turns at least one, such as 0'
            )
        if self.refiner % TOKEN_HEADS:
            raise ModelError(
                f'densereg cannot split a refiner of width {self.refiner} among {TOKEN_HEADS} '
                'heads: use a multiple, or 0 for none'
            )

    @property
    def inputs(self) -> int:
        """Channels of the crops."""
        return 1 + self.unseen

    @property
    def looks(self) -> int:
        """How often each hand is looked at."""
        return len(self.turns)

    @classmethod
    def base(cls, joints: int = 21) -> 'DenseRegConfig':
        """Return the published network."""
        return cls(joints=joints)

    @classmethod
    def small(cls) -> 'DenseRegConfig':
        """Return the network for CPUs: 21 joints, two stacks, thin branches."""
        return cls(
            stem_channels=16,
            channels=96,
            branch_channels=48,
            vote_channels=96,
            narrow_branches=True,
            refiner=96,
            completer=512,
            turns=(-0.3, 0.3),
            unseen=True,
            dropout=0.0,
            weight_std=None,
        )


class DenseReg(nn.Module):
    """The network; N crops in, the fields of each stack out.

    Attributes:
        config: size and variant.
        completer: for ``find_hands``: completes the joints that the fields lead to; or None.
    """

    def __init__(self, config: DenseRegConfig) -> None:
        """Build the network with new weights."""
        super().__init__()
        self.config = config
        norm = _norm(config.renorm)
        stem, width = config.stem_channels, config.channels
        self.stem = nn.Sequential(
            _conv(config.inputs, stem, 7, norm, stride=2),  # (N, stem, 64, 64)
            Residual(stem, 2 * stem, norm),
            nn.MaxPool2d(2),  # (N, 2 stem, 32, 32)
            Residual(2 * stem, 2 * stem, norm),
            Residual(2 * stem, width, norm),
        )
        head = _HEADS[config.head]
        self.hourglasses = nn.ModuleList(
            _hourglass(_HOURGLASS_DEPTH, width, norm) for _ in range(config.stacks)
        )
        self.lower = nn.ModuleList(
            nn.Sequential(Residual(width, width, norm), _conv(width, width, 1, norm))
            for _ in range(config.stacks)
        )
        self.heads = nn.ModuleList(head(config, norm) for _ in range(config.stacks))
        between = config.stacks - 1
        self.from_features = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(between))
        self.from_fields = nn.ModuleList(
            nn.Conv2d(head.fields_per_joint * config.joints, width, 1)
            for _ in range(between if head.fields_per_joint else 0)
        )
        self.refiner = (
            JointRefiner(config.joints, 2 * width, 2 * stem, config.refiner)
            if config.refiner and head.fields_per_joint
            else None
        )
        self.completer = (
            HandCompleter(config.joints, config.completer)
            if config.completer and self.refiner is not None
            else None
        )
        along = torch.arange(GRID_SIZE) * (2 / GRID_SIZE) - 1
        rows, columns = torch.meshgrid(along, along, indexing='ij')
        self.register_buffer('columns_rows', torch.stack([columns, rows])[None], persistent=False)
        self._initialise()

    def forward(self, crop: Tensor) -> list[DenseFields]:
        """Predict the fields of normalised depth crops.

        Args:
            crop: (N, 1, 128, 128), or (N, 2, 128, 128) with ``unseen``: ``DenseCrop.channels``.

        Returns:
            R (N, J, 32, 32), S (N, J, 32, 32) and V (N, 3J, 32, 32) of each stack; the last is
            the result.

        Raises:
            ModelError: the crop has another size.
        """
        channels = self.config.inputs
        if crop.ndim != 4 or crop.shape[1:] != (channels, CROP_SIZE, CROP_SIZE):
            raise ModelError(
                f'densereg takes crops (N, {channels}, {CROP_SIZE}, {CROP_SIZE}), got '
                f'{tuple(crop.shape)}: cut them with dense_crop'
            )
        depth = grid_depth(crop[:, :1])  # (N, 1, 32, 32)
        position = torch.cat([self.columns_rows.expand(crop.shape[0], -1, -1, -1), depth], dim=1)
        fine = self.stem[:2](crop)  # (N, 2 stem, 64, 64)
        x = self.stem[2:](fine)  # (N, C, 32, 32)
        outputs = []
        for number, hourglass in enumerate(self.hourglasses):
            features = hourglass(x)  # (N, C, 32, 32)
            lower = self.lower[number](features)  # (N, C, 32, 32)
            fields = self.heads[number](features, lower, position)
            outputs.append(fields)
            if number + 1 < len(self.hourglasses):
                x = x + self.from_features[number](lower)
                if self.from_fields:
                    maps = [fields.heat_2d, fields.heat_3d, fields.direction]  # (N, 5J, 32, 32)
                    x = x + self.from_fields[number](torch.cat(maps, dim=1))
        if self.refiner is not None:
            last = torch.cat([features, lower], dim=1)
            shown = depth[:, 0] >= _SURFACE
            correction, log_error = self.refiner(fields, last, fine, position, shown)
            outputs[-1] = replace(fields, correction=correction, log_error=log_error)
        return outputs

    def _initialise(self) -> None:
        std = self.config.weight_std
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                if std is None:
                    nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
                else:
                    nn.init.normal_(module.weight, std=std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for head in self.heads:  # most of what they should say is zero
            for name in head.outputs:
                nn.init.normal_(head.get_submodule(name).weight, std=_FIELD_STD)
        if self.refiner is not None:
            self.refiner.start()
        if self.completer is not None:
            self.completer.start()
        self.to(memory_format=torch.channels_last)  # a fifth faster on CPUs


class Residual(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the first two narrower, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, width: int | None = None) -> None:
        """Make a block from ``inputs`` to ``outputs`` channels, inside of ``width`` or half."""
        super().__init__()
        half = width or inputs // 2
        self.body = nn.Sequential(
            _conv(inputs, half, 1, norm), _conv(half, half, 3, norm), _conv(half, outputs, 1, norm)
        )
        self.shortcut = nn.Identity() if inputs == outputs else _conv(inputs, outputs, 1, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        return self.body(x) + self.shortcut(x)


class Hourglass(nn.Module):
    """One level: a path at full size and one through half of it, with the next level inside."""

    def __init__(self, inner: nn.Module, width: int, norm: Norm) -> None:
        """Wrap the next level, or nothing at the lowest."""
        super().__init__()
        self.skip = Residual(width, width, norm)
        self.down = nn.Sequential(
            nn.MaxPool2d(3, 2, 1), Residual(width, width, norm), inner, Residual(width, width, norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        return self.skip(x) + functional.interpolate(self.down(x), scale_factor=2.0)


class _Branches(nn.Module):
    """From features to maps: everywhere, and where there is surface, joined (V's way)."""

    def __init__(self, inputs: int, outputs: int, config: DenseRegConfig, norm: Norm) -> None:
        super().__init__()
        branch, vote = config.branch_channels, config.vote_channels
        width = branch // 2 if config.narrow_branches else None
        self.everywhere, self.surface = (
            nn.Sequential(Residual(inputs, branch, norm, width), Residual(branch, branch, norm))
            for _ in range(2)
        )
        self.joined = Residual(2 * branch, vote, norm)
        self.out = nn.Sequential(
            nn.Conv2d(vote + 3, vote, 1), nn.ReLU(inplace=True), nn.Dropout(config.dropout),
            nn.Conv2d(vote, vote, 1), nn.ReLU(inplace=True), nn.Dropout(config.dropout),
            nn.Conv2d(vote, outputs, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        shown = (position[:, 2:] >= _SURFACE).to(x.dtype)
        both = torch.cat([self.everywhere(x), self.surface(x * shown)], dim=1)
        return self.out(torch.cat([self.joined(both), position], dim=1))


class _Head(nn.Module, ABC):
    """What a stack predicts from its hourglass, the layers after it and the position.

    ``position`` (N, 3, 32, 32) holds column, row and depth of every pixel.
    """

    fields_per_joint = 5
    outputs: tuple[str, ...] = ()  # names of the layers whose result is a field

    def __init__(self, config: DenseRegConfig, norm: Norm) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: Tensor, lower: Tensor, position: Tensor) -> DenseFields: ...


class _Dense(_Head):
    """R and S from the lower features, V from the hourglass, R and S."""

    outputs = ('heat_2d', 'heat_3d.1', 'direction.out.6')

    def __init__(self, config: DenseRegConfig, norm: Norm) -> None:
        super().__init__(config, norm)
        width, joints = config.channels, config.joints
        self.heat_2d = nn.Conv2d(width, joints, 1)
        self.heat_3d = nn.Sequential(Residual(width + 3, width, norm), nn.Conv2d(width, joints, 1))
        self.direction = _Branches(width + 2 * joints, 3 * joints, config, norm)

    def forward(self, features: Tensor, lower: Tensor, position: Tensor) -> DenseFields:
        heat_2d = self.heat_2d(lower)  # (N, J, 32, 32)
        heat_3d = self.heat_3d(torch.cat([lower, position], dim=1))  # (N, J, 32, 32)
        known = torch.cat([features, heat_2d, heat_3d], dim=1)  # (N, C + 2J, 32, 32)
        direction = self.direction(known, position)  # (N, 3J, 32, 32)
        return DenseFields(heat_2d=heat_2d, heat_3d=heat_3d, direction=direction)


class _MaskedOffset(_Head):
    """R, and the offsets in one piece; S and V are their length and direction."""

    outputs = ('heat_2d', 'offset.out.6')

    def __init__(self, config: DenseRegConfig, norm: Norm) -> None:
        super().__init__(config, norm)
        width, joints = config.channels, config.joints
        self.heat_2d = nn.Conv2d(width, joints, 1)
        self.offset = _Branches(width + joints, 3 * joints, config, norm)

    def forward(self, features: Tensor, lower: Tensor, position: Tensor) -> DenseFields:
        heat_2d = self.heat_2d(lower)  # (N, J, 32, 32)
        offset = self.offset(torch.cat([features, heat_2d], dim=1), position)  # in units of theta
        parts = offset.unflatten(1, (-1, 3))  # (N, J, 3, 32, 32)
        length = (parts.square().sum(dim=2) + 1e-12).sqrt()
        direction = (parts / length[:, :, None]).flatten(1, 2)
        return DenseFields(heat_2d=heat_2d, heat_3d=1 - length, direction=direction)


class _DetectionDepth(_Head):
    """R alone: a pixel's vote is its own point, moved back by the joint's learnt thickness."""

    outputs = ('heat_2d',)

    def __init__(self, config: DenseRegConfig, norm: Norm) -> None:
        super().__init__(config, norm)
        self.heat_2d = nn.Conv2d(config.channels, config.joints, 1)
        self.thickness = nn.Parameter(torch.full((config.joints, 1, 1), 0.1))  # 10 mm

    def forward(self, features: Tensor, lower: Tensor, position: Tensor) -> DenseFields:
        heat_2d = self.heat_2d(lower)  # (N, J, 32, 32)
        heat_3d = (1 - self.thickness / THETA).expand_as(heat_2d)
        away = heat_2d.new_tensor([0.0, 0.0, 1.0]).repeat(heat_2d.shape[1])
        direction = away[:, None, None].expand(heat_2d.shape[0], -1, GRID_SIZE, GRID_SIZE)
        return DenseFields(heat_2d=heat_2d, heat_3d=heat_3d, direction=direction)


class _Coordinates(_Head):
    """Coordinates of the whole hand from pooled features."""

    fields_per_joint = 0
    outputs = ('out.5',)

    def __init__(self, config: DenseRegConfig, norm: Norm) -> None:
        super().__init__(config, norm)
        self.out = nn.Sequential(
            nn.AdaptiveMaxPool2d(_POOLED), nn.Flatten(),
            nn.Linear(config.channels * _POOLED**2, config.vote_channels), nn.ReLU(inplace=True),
            nn.Dropout(config.dropout), nn.Linear(config.vote_channels, 3 * config.joints),
        )  # fmt: skip

    def forward(self, features: Tensor, lower: Tensor, position: Tensor) -> DenseFields:
        coordinates = self.out(lower).unflatten(1, (-1, 3))  # (N, J, 3)
        empty = lower[:, :0]
        return DenseFields(heat_2d=empty, heat_3d=empty, direction=empty, coordinates=coordinates)


_HEADS: dict[Head, type[_Head]] = {
    'dense': _Dense,
    'masked_offset': _MaskedOffset,
    'detection_depth': _DetectionDepth,
    'coordinates': _Coordinates,
}


def _hourglass(depth: int, width: int, norm: Norm) -> nn.Module:
    if depth == 0:
        return nn.Identity()
    return Hourglass(_hourglass(depth - 1, width, norm), width, norm)


def _norm(renorm: bool) -> Norm:
    return BatchRenorm2d if renorm else partial(nn.BatchNorm2d, eps=1e-3)


def _conv(inputs: int, outputs: int, size: int, norm: Norm, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        norm(outputs),
        nn.ReLU(inplace=True),
    )

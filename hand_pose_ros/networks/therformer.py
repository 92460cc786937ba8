"""TherFormer: egocentric images of one sensor to the 3D joints of both hands.

Source: ThermoHands, arXiv 2403.09871 (methods specification, section 1).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.deformable_attention import ANCHOR, SpatialLayer, sine_table
from hand_pose_ros.networks.resnet import ResNet

JOINTS = 42  # left 21, right 21
STRIDE = 8
SIZES = ((256, 320), (240, 320))
_DOWN_CELLS = 4 * 5  # what three convolutions of stride 2 leave of 32 x 40 and of 30 x 40 tokens
_PIXELS = 100.0  # per unit of the head's u and v
_DEPTH = 0.001  # metres per pixel of focal length and unit of the head's z


@dataclass(frozen=True, kw_only=True)
class TherFormerConfig:
    """Size and variant of the network.

    Attributes:
        frames: T, the most frames a window may have; 8 for -V, 1 for -S.
        image_size: (rows, columns) of the images.
        depth_offset: metres added to the predicted depth: 0.7 thermal, 0.5 the other sensors.
        input_channels: 3, or 1 to look at the mean of the channels.
        backbone_width: channels of the backbone's stem; 64 is ResNet-18.
        width: channels of a token.
        mask_width: hidden channels of the mask head.
        spatial_encoder: off for the ablation.
        mask_guidance: off for the ablation: every token looks around and may be read.
        spatial_layers, spatial_heads, spatial_points, spatial_hidden: of the spatial encoder.
        pool: ``conv_flatten`` keeps the layout of the tokens; ``avg`` is the ablation.
        down_widths: channels of the three convolutions before flattening.
        feature_width: channels of a frame's feature.
        temporal_layers, temporal_heads, temporal_hidden: of the temporal encoder.
        norm: of the new convolutions of mask head and downsampler. ``affine`` is what the
            published training amounts to (statistics 0 and 1 for ever); ``batch`` trains better
            from scratch.
        legacy_projection: use fx for the y coordinate, as the published code does.
    """

    frames: int = 8
    image_size: tuple[int, int] = (256, 320)
    depth_offset: float = 0.7
    input_channels: int = 3
    backbone_width: int = 64
    width: int = 1024
    mask_width: int = 512
    spatial_encoder: bool = True
    mask_guidance: bool = True
    spatial_layers: int = 2
    spatial_heads: int = 8
    spatial_points: int = 8
    spatial_hidden: int = 1024
    pool: Literal['conv_flatten', 'avg'] = 'conv_flatten'
    down_widths: tuple[int, int, int] = (256, 128, 128)
    feature_width: int = 512
    temporal_layers: int = 2
    temporal_heads: int = 8
    temporal_hidden: int = 2048
    norm: Literal['affine', 'batch'] = 'affine'
    legacy_projection: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ModelError: the image size or the number of frames does not fit the network.
        """
        if tuple(self.image_size) not in SIZES:
            raise ModelError(
                f'therformer takes images of 256x320 or 240x320 (rows x columns), not '
                f'{self.image_size[0]}x{self.image_size[1]}: scale them'
            )
        if self.frames < 1:
            raise ModelError(f'therformer needs at least 1 frame, not {self.frames}')
        if self.input_channels not in (1, 3):
            raise ModelError(f'input_channels of therformer is 1 or 3, not {self.input_channels}')

    @classmethod
    def base(cls) -> 'TherFormerConfig':
        """Return the published network: 21,149,758 parameters."""
        return cls()

    @classmethod
    def small(cls) -> 'TherFormerConfig':
        """Return a network for CPUs."""
        return cls(
            input_channels=1, backbone_width=24, width=96, mask_width=64, spatial_heads=4,
            spatial_points=4, spatial_hidden=192, down_widths=(96, 64, 64), feature_width=256,
            temporal_heads=4, temporal_hidden=512, norm='batch',
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class TherFormerOutput:
    """What the network says about N frames.

    Attributes:
        joints: (N, 42, 3) metres in the camera's frame, left hand then right.
        pixels: (N, 42, 2).
        depth: (N, 42, 1) metres along the optical axis.
        mask_logits: (N, 1, rows / 8, columns / 8), of a cell showing a hand.
    """

    joints: Tensor
    pixels: Tensor
    depth: Tensor
    mask_logits: Tensor

    @property
    def anchor_rate(self) -> Tensor:
        """Share of the cells that look around; 0 means that the attention learns nothing."""
        return (self.mask_logits.sigmoid() > ANCHOR).float().mean()


class ChannelAffine(nn.Module):
    """A factor and a summand per channel: a batch normalisation whose statistics are 0 and 1."""

    def __init__(self, channels: int) -> None:
        """Start as the identity."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class TherFormer(nn.Module):
    """The network; see ``encode`` for blocks 1 to 5 and ``decode`` for blocks 6 and 7."""

    position: Tensor
    time: Tensor

    def __init__(self, config: TherFormerConfig) -> None:
        """Build the network with new weights."""
        super().__init__()
        self.config = config
        norm = nn.BatchNorm2d if config.norm == 'batch' else ChannelAffine
        self.backbone = ResNet(
            18, width=config.backbone_width, stages=2, input_channels=config.input_channels
        )
        self.lift = nn.Conv2d(self.backbone.out_channels, config.width, 1)
        self.mask_head = nn.Sequential(
            nn.Conv2d(config.width, config.mask_width, 1, bias=False), norm(config.mask_width),
            nn.ReLU(inplace=True), nn.Conv2d(config.mask_width, 1, 1, bias=False),
        )  # fmt: skip
        self.spatial = nn.ModuleList(
            SpatialLayer(
                config.width, config.spatial_heads, config.spatial_points, config.spatial_hidden
            )
            for _ in range(config.spatial_layers if config.spatial_encoder else 0)
        )
        self.downsampler = _downsampler(config, norm)
        flat = config.width if config.pool == 'avg' else config.down_widths[-1] * _DOWN_CELLS
        self.feature = nn.Linear(flat, config.feature_width)
        self.temporal = nn.ModuleList(
            TemporalLayer(config.feature_width, config.temporal_heads, config.temporal_hidden)
            for _ in range(config.temporal_layers)
        )
        self.temporal_norm = nn.LayerNorm(config.feature_width)
        width = config.feature_width
        self.pose_head = nn.Sequential(
            nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, width), nn.LeakyReLU(),
            nn.Linear(width, 3 * JOINTS),
        )  # fmt: skip
        rows, columns = (side // STRIDE for side in config.image_size)
        self.register_buffer('position', sine_table(rows * columns, config.width), persistent=False)
        self.register_buffer(
            'time', sine_table(config.frames, config.feature_width), persistent=False
        )

    def forward(
        self, images: Tensor, intrinsics: Tensor, *, frames: int, not_padding: Tensor | None = None
    ) -> TherFormerOutput:
        """Estimate both hands in all frames of B windows.

        Args:
            images: (B T, 3, H, W) in 0..1.
            intrinsics: (B T, 3, 3) K in pixels of these images.
            frames: T.
            not_padding: (B T,) 0 for repeated frames, which no other frame then looks at.

        Raises:
            ModelError: the images have another size than the network, or T is too large.
        """
        if len(images) % frames or frames > self.config.frames:
            raise ModelError(
                f'{len(images)} images make no windows of {frames} frames for a network of '
                f'{self.config.frames}: give whole windows of at most that length'
            )
        features, mask_logits = self.encode(images)
        valid = None if not_padding is None else not_padding.reshape(-1, frames) > 0.5
        raw = self.decode(features.reshape(-1, frames, features.shape[-1]), valid)
        joints, pixels, depth = self.project(raw.flatten(0, 1), intrinsics)
        return TherFormerOutput(joints=joints, pixels=pixels, depth=depth, mask_logits=mask_logits)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return each frame's feature (N, D) and mask logits (N, 1, h, w) of images (N, 3, H, W).

        Raises:
            ModelError: the images have another size than the network.
        """
        if tuple(images.shape[-2:]) != tuple(self.config.image_size):
            rows, columns = self.config.image_size
            raise ModelError(
                f'therformer was made for images of {rows}x{columns} (rows x columns), got '
                f'{images.shape[-2]}x{images.shape[-1]}: scale them'
            )
        if self.config.input_channels == 1:
            images = images.mean(dim=1, keepdim=True)
        maps = self.lift(self.backbone(images - 0.5))  # (N, C, h, w)
        mask_logits = self.mask_head(maps)
        size = (maps.shape[-2], maps.shape[-1])
        tokens = maps.flatten(2).transpose(1, 2)  # (N, h w, C)
        probability = (
            mask_logits.detach().flatten(1).sigmoid() if self.config.mask_guidance else None
        )
        for layer in self.spatial:
            tokens = layer(tokens, self.position, size, probability)
        maps = tokens.transpose(1, 2).reshape(maps.shape)
        if self.config.pool == 'avg':
            return self.feature(maps.mean(dim=(2, 3))), mask_logits
        return self.feature(self.downsampler(maps).flatten(1)), mask_logits

    def decode(self, features: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the raw head (B, T, 42, 3) of windows of features (B, T, D).

        Args:
            features: of consecutive frames.
            valid: (B, T) False for padding; the first frame always counts.
        """
        steps = features.shape[1]
        hidden = None
        if valid is not None:
            hidden = ~valid
            hidden[:, 0] = False
        time = self.time[:steps]
        for layer in self.temporal:
            features = layer(features, time, hidden)
        raw = self.pose_head(self.temporal_norm(features))
        return raw.unflatten(-1, (JOINTS, 3))

    def project(self, raw: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return joints (N, 42, 3), pixels (N, 42, 2) and depth (N, 42, 1) of the head (N, 42, 3).

        Source: methods specification, section 1.2 (2.5D decoding).
        """
        rows, columns = self.config.image_size
        centre = raw.new_tensor([columns / 2.0, rows / 2.0])
        pixels = _PIXELS * raw[..., :2] + centre
        fx, fy = intrinsics[:, 0, 0, None, None], intrinsics[:, 1, 1, None, None]
        if self.config.legacy_projection:
            fy = fx
        depth = fx * _DEPTH * raw[..., 2:] + self.config.depth_offset
        focal = torch.cat([fx, fy], dim=-1)  # (N, 1, 2)
        plane = (pixels - intrinsics[:, None, :2, 2]) / focal
        return torch.cat([plane * depth, depth], dim=-1), pixels, depth


class TemporalLayer(nn.Module):
    """Self-attention over the frames and a feed-forward network, pre-norm."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """Make one layer; ``hidden`` is the width of the feed-forward network."""
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, features: Tensor, time: Tensor, hidden: Tensor | None) -> Tensor:
        """Map features (B, T, D) to the same shape; ``hidden`` (B, T) marks keys to leave out."""
        values = self.norm1(features)
        keys = values + time
        read, _ = self.attention(keys, keys, values, key_padding_mask=hidden, need_weights=False)
        features = features + read
        return features + self.linear2(functional.relu(self.linear1(self.norm2(features))))


def _downsampler(config: TherFormerConfig, norm: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = config.width
    if config.pool == 'conv_flatten':
        for outputs in config.down_widths:
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), norm(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
    return nn.Sequential(*layers)


class TherFormerStream:
    """Frame by frame: each image is encoded once, the last T features are decoded together."""

    def __init__(self, network: TherFormer) -> None:
        """Wrap a network in evaluation mode."""
        self.network = network
        self._features: list[Tensor] = []

    def reset(self) -> None:
        """Forget the frames so far, as after a jump of time."""
        self._features.clear()

    @torch.inference_mode()
    def push(self, image: Tensor, intrinsics: Tensor) -> TherFormerOutput:
        """Return the hands of the newest frame, with the frames before it in view.

        Until T frames have come, the window is as short as there are frames.

        Args:
            image: (1, 3, H, W) in 0..1.
            intrinsics: (1, 3, 3) K in pixels of this image.
        """
        feature, mask_logits = self.network.encode(image)
        self._features = [*self._features, feature][-self.network.config.frames :]
        raw = self.network.decode(torch.stack(self._features, dim=1))[:, -1]
        joints, pixels, depth = self.network.project(raw, intrinsics)
        return TherFormerOutput(joints=joints, pixels=pixels, depth=depth, mask_logits=mask_logits)


def hand_confidence(output: TherFormerOutput, size: tuple[int, int]) -> Tensor:
    """Return how surely each hand is where it is said to be, (N, 2) in 0..1, left then right.

    The mean probability of the mask at the projected joints; a joint outside the image counts 0,
    so an absent hand, which the head puts somewhere all the same, stays low.
    Source: methods specification, section 4.

    Args:
        output: of N frames.
        size: (rows, columns) of the images.
    """
    rows, columns = size
    scale = output.pixels.new_tensor([2.0 / columns, 2.0 / rows])
    grid = ((output.pixels + 0.5) * scale - 1.0)[:, :, None]  # (N, 42, 1, 2)
    probability = output.mask_logits.sigmoid()
    at_joints = functional.grid_sample(probability, grid, align_corners=False)  # (N, 1, 42, 1)
    return at_joints[:, 0, :, 0].unflatten(1, (2, -1)).mean(dim=2)


_FARTHEST = 1.6  # metres that a depth image shows as full scale


def depth_image(depth: Tensor) -> Tensor:
    """Return depth (N, 1, H, W) in metres as the image (N, 3, H, W) in 0..1 the network takes."""
    return (depth / _FARTHEST).clamp(0.0, 1.0).expand(-1, 3, -1, -1)

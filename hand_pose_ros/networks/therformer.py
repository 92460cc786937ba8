"""TherFormer: both hands in metres from whole images of one sensor, single frames or clips.

After *ThermoHands* (arXiv 2403.09871). A frame becomes one vector (``encode``); the vectors of a
clip become joints (``decode``). ``TherFormerStream`` keeps the vectors of the last frames, so that
a new image costs one ``encode``.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.cuda_graphs import Graphed
from hand_pose_ros.networks.deformable_attention import ANCHOR, SpatialLayer
from hand_pose_ros.networks.joint_maps import JointMaps
from hand_pose_ros.networks.normalisation import group_norm
from hand_pose_ros.networks.precision import full_precision
from hand_pose_ros.networks.resnet import ResNet
from hand_pose_ros.networks.therformer_blocks import (
    HAND_JOINTS,
    JOINTS,
    PIXEL_UNIT,
    STRIDE,
    Agreement,
    Downsampler,
    MaskHead,
    Pool,
    PoseHead,
    attended,
    decode_joints,
    start_depth,
)
from hand_pose_ros.networks.token_encoder import TokenEncoder, positional_table

Sensor = Literal['thermal', 'nir', 'rgb', 'depth']

# Rows and columns of the images that the downsampler fits: thermal, and all others.
IMAGE_SIZES: tuple[tuple[int, int], ...] = ((256, 320), (240, 320))
LONGEST = 64  # frames
# Mask probability from which on a cell is said to show a hand. Hand cells weigh 30 times as much in
# the loss, so that this stands for a chance of one in ten.
MASK = 0.77

# Mean spread of a hand's joints, pixels, where a network sees hands well, until a card says it.
SPREAD = 16.3
# How many times that spread half of the hands lie elsewhere, and how fast their share grows;
# measured on the validation split.
_LOST, _LOST_WIDTH = 2.0, 0.3

# Depth of a zero answer by sensor, metres.
DEPTH_OFFSETS: dict[Sensor, float] = {'thermal': 0.7, 'nir': 0.5, 'rgb': 0.5, 'depth': 0.5}


@dataclass(frozen=True, kw_only=True)
class TherFormerConfig:
    """Size and variant of the network.

    Attributes:
        frames: T, frames of a clip; 1 is the single-frame form (-S), 8 the video form (-V).
        image_size: rows and columns of the images it is made for.
        depth_offset: depth of a zero answer, metres; see ``DEPTH_OFFSETS``.
        input_channels: 3, or 1 for the mean of the image's three.
        backbone_width: channels of the ResNet-18's stem; 64 is the published one.
        backbone_stages: 2, or 3, whose last one adds what it sees at stride 16 to the tokens.
        backbone_norm: ``batch`` loads ImageNet checkpoints, ``group`` trains from scratch.
        width: d, of the spatial tokens.
        mask_width: channels inside the mask head.
        mask_guidance: False lets every token look around and be seen (ablation).
        spatial_encoder: False leaves it out (ablation).
        spatial_layers: of the spatial encoder.
        heads: of the spatial encoder.
        points: that each of its heads samples.
        spatial_hidden: width inside its feed-forward networks.
        down_channels: of the three strided convolutions.
        pool: how the last map becomes a vector; ``avg`` loses the layout (ablation).
        joint_maps: channels of the maps that give a first answer, which the head corrects; 0 leaves
            them out, as published.
        features: length of a frame's vector.
        temporal_layers: of the temporal encoder.
        temporal_heads: of the temporal encoder.
        temporal_hidden: width inside its feed-forward networks.
        head_width: of the pose head.
        agreement: the frames of a clip agree on their answers, those whose joint maps see a hand
            well first; without such maps, and as published, each keeps its own.
        legacy_focal: use fx for y too, as the released code does.
    """

    frames: int = 8
    image_size: tuple[int, int] = (256, 320)
    depth_offset: float = DEPTH_OFFSETS['thermal']
    input_channels: int = 3
    backbone_width: int = 64
    backbone_stages: Literal[2, 3] = 2
    backbone_norm: Literal['batch', 'group'] = 'batch'
    width: int = 1024
    mask_width: int = 512
    mask_guidance: bool = True
    spatial_encoder: bool = True
    spatial_layers: int = 2
    heads: int = 8
    points: int = 8
    spatial_hidden: int = 1024
    down_channels: tuple[int, int, int] = (256, 128, 128)
    pool: Pool = 'conv_flatten'
    joint_maps: int = 0
    features: int = 512
    temporal_layers: int = 2
    temporal_heads: int = 8
    temporal_hidden: int = 2048
    head_width: int = 512
    agreement: bool = False
    legacy_focal: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ModelError: an option has a value that the network does not have.
        """
        _check_size(self.image_size)
        if not 1 <= self.frames <= LONGEST:
            raise ModelError(f'therformer has {self.frames} frames: use 1 to {LONGEST}')
        if self.input_channels not in (1, 3):
            raise ModelError(f'therformer has {self.input_channels} input channels: use 1 or 3')
        if self.pool not in get_args(Pool):
            raise ModelError(f'therformer has no pool {self.pool!r}: use conv_flatten or avg')
        if self.backbone_stages not in (2, 3):
            raise ModelError(f'therformer has {self.backbone_stages} backbone_stages: use 2 or 3')
        if self.backbone_norm not in ('batch', 'group'):
            raise ModelError(
                f'therformer has no backbone_norm {self.backbone_norm!r}: use batch or group'
            )
        if self.width % self.heads or self.features % self.temporal_heads:
            raise ModelError(
                f'therformer cannot split widths {self.width} and {self.features} among '
                f'{self.heads} and {self.temporal_heads} heads: choose divisors'
            )

    @property
    def parts(self) -> tuple[int, int, int]:
        """Lengths of what is kept of a frame: its vector, first answer and that one's spread."""
        joints = JOINTS if self.joint_maps else 0
        return self.features, 3 * joints, joints

    @property
    def token(self) -> int:
        """Length D of what is kept of a frame."""
        return sum(self.parts)

    @classmethod
    def base(cls, sensor: Sensor = 'thermal') -> 'TherFormerConfig':
        """Return the published network for a sensor."""
        return cls(image_size=_size(sensor), depth_offset=DEPTH_OFFSETS[sensor])

    @classmethod
    def small(cls, sensor: Sensor = 'thermal') -> 'TherFormerConfig':
        """Return a network for CPUs, which trains from scratch: a twentieth of the arithmetic.

        Its depth is proportional to the focal length, so that images of any camera agree.
        """
        return cls(
            depth_offset=0.0,
            image_size=_size(sensor),
            input_channels=3 if sensor == 'rgb' else 1,
            backbone_width=32,
            backbone_stages=3,
            width=128,
            mask_width=64,
            heads=4,
            points=4,
            spatial_hidden=128,
            down_channels=(128, 128, 128),
            joint_maps=64,
            features=256,
            temporal_heads=4,
            temporal_hidden=1024,
            head_width=256,
            agreement=True,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class TherFormerOutput:
    """What the network sees in N frames; joints are left 0-20, right 21-41.

    Attributes:
        joints: (N, 42, 3) metres in the camera's frame.
        pixels: (N, 42, 2) in the image.
        depth: (N, 42, 1) metres.
        mask_logits: (N, 1, h, w) of any hand, one cell for 8 x 8 pixels.
        spread: (N, 42) standard deviation of where the maps say that a joint may lie, pixels; None
            for a network without such maps.
        joint_logits: (N, 42, h, w) of these maps, where whole clips were given.
    """

    joints: Tensor
    pixels: Tensor
    depth: Tensor
    mask_logits: Tensor
    spread: Tensor | None = None
    joint_logits: Tensor | None = None

    @property
    def anchor_rate(self) -> Tensor:
        """Share (N,) of the cells whose tokens look around; at 0 the encoder learns nothing."""
        return (self.mask_logits.float().sigmoid() > ANCHOR).float().mean(dim=(1, 2, 3))


class TherFormer(nn.Module):
    """The network."""

    position: Tensor

    def __init__(self, config: TherFormerConfig) -> None:
        """Build the network with new weights."""
        super().__init__()
        self.config = config
        width = config.width
        norm = nn.BatchNorm2d if config.backbone_norm == 'batch' else group_norm
        self.backbone = ResNet(
            18, width=config.backbone_width, stages=config.backbone_stages,
            input_channels=config.input_channels, norm=norm,
        )  # fmt: skip
        fine, *coarse = (config.backbone_width * 2**n for n in range(1, config.backbone_stages))
        self.lift = nn.Conv2d(fine, width, 1)
        self.lift_coarse = nn.Conv2d(coarse[0], width, 1, bias=False) if coarse else None
        self.mask_head = MaskHead(width, config.mask_width)
        self.spatial = nn.ModuleList(
            SpatialLayer(width, config.heads, config.points, config.spatial_hidden)
            for _ in range(config.spatial_layers if config.spatial_encoder else 0)
        )
        self.down = Downsampler(width, config.down_channels, config.features, config.pool)
        if config.joint_maps:
            self.joint_maps = JointMaps(
                (width, *config.down_channels), config.joint_maps, JOINTS,
                stride=STRIDE, unit=PIXEL_UNIT, depth=start_depth(config.depth_offset),
            )  # fmt: skip
            self.place = nn.Linear(3 * JOINTS, config.features)
        self.agreement = Agreement(LONGEST) if config.agreement and config.joint_maps else None
        self.temporal = TokenEncoder(
            config.features, config.temporal_heads, config.temporal_hidden,
            config.temporal_layers, LONGEST,
        )  # fmt: skip
        self.head = PoseHead(
            config.features, config.head_width, config.depth_offset,
            corrects=bool(config.joint_maps),
        )  # fmt: skip
        cells = max(rows * columns for rows, columns in IMAGE_SIZES) // STRIDE**2
        self.register_buffer('position', positional_table(cells, width), persistent=False)

    def forward(
        self, images: Tensor, intrinsics: Tensor, *,
        frames: int = 1, not_padding: Tensor | None = None, depth_offset: float | None = None,
    ) -> TherFormerOutput:  # fmt: skip
        """See all frames of clips.

        Args:
            images: (B T, 3, H, W) in 0..1; H, W is 256 x 320 or 240 x 320.
            intrinsics: (B T, 3, 3) K in pixels of these images.
            frames: T.
            not_padding: (B T,), 0 for frames that only fill a clip.
            depth_offset: instead of the configuration's, for another sensor.

        Raises:
            ModelError: the images have another size, or are no whole clips.
        """
        if frames < 1 or frames > LONGEST or images.shape[0] % frames:
            raise ModelError(
                f'therformer got {images.shape[0]} images for clips of {frames} frames: give whole '
                f'clips of at most {LONGEST} frames'
            )
        features, mask_logits, joint_logits = self._encode(images)
        joints, pixels, depth = self.decode(
            features.unflatten(0, (-1, frames)), intrinsics, not_padding,
            image_size=(images.shape[2], images.shape[3]), depth_offset=depth_offset,
        )  # fmt: skip
        return TherFormerOutput(
            joints=joints, pixels=pixels, depth=depth, mask_logits=mask_logits,
            spread=_spread(self.config, features), joint_logits=joint_logits,
        )  # fmt: skip

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Turn images (N, 3, H, W) into vectors (N, D) and mask logits (N, 1, h, w).

        D is ``config.token``. Frames do not influence each other.

        Raises:
            ModelError: the images have another size.
        """
        return self._encode(images)[:2]

    def lifted(self, images: Tensor) -> Tensor:
        """Return the tokens' first values (N, d, h, w) for images (N, input_channels, H, W).

        Images are in -0.5..0.5; what a third stage sees comes to the resolution of the second.
        """
        fine, *coarse = self.backbone.levels(images)[1:]
        tokens: Tensor = self.lift(fine)
        if self.lift_coarse is None:
            return tokens
        return tokens + functional.interpolate(self.lift_coarse(coarse[0]), tokens.shape[-2:])

    def _encode(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        if images.ndim != 4 or images.shape[1] != 3:
            raise ModelError(
                f'therformer takes images (N, 3, H, W), got {tuple(images.shape)}: give single '
                'channels three times'
            )
        _check_size((images.shape[2], images.shape[3]))
        if self.config.input_channels == 1:
            images = images.mean(dim=1, keepdim=True)
        x = self.lifted(images - 0.5)  # (N, d, h, w)
        mask_logits = self.mask_head(x)  # (N, 1, h, w)
        if self.spatial:
            size = (x.shape[2], x.shape[3])
            mask = mask_logits.detach().float().sigmoid().flatten(1)  # (N, L)
            tokens = x.flatten(2).transpose(1, 2)  # (N, L, d)
            position = self.position[: tokens.shape[1]]
            for layer in self.spatial:
                guide = mask if self.config.mask_guidance else None
                tokens = layer(tokens, position, guide, size)
            x = tokens.transpose(1, 2).unflatten(2, size)
        vector, levels = self.down(x)
        if not self.config.joint_maps:
            return vector, mask_logits, None
        found = self.joint_maps((x, *levels))
        token = torch.cat([vector, found.places.flatten(1), found.spread], dim=1)
        return token, mask_logits, found.logits

    def decode(
        self, features: Tensor, intrinsics: Tensor, not_padding: Tensor | None = None, *,
        image_size: tuple[int, int] | None = None, depth_offset: float | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Turn vectors of clips (B, T, D) into joints; see ``forward``.

        Returns:
            joints (B T, 42, 3) in metres, pixels (B T, 42, 2) and depth (B T, 42, 1) in metres.
        """
        vectors, answers, spread = features.split(self.config.parts, dim=2)
        if self.config.joint_maps:
            vectors = vectors + self.place(answers)
        seen = attended(features, not_padding)
        tokens = self.temporal(vectors, seen)
        with full_precision(tokens):
            # 16 bits would round pixels to halves and depths to millimetres.
            raw = self.head(tokens.to(self.head[0].weight.dtype))
            if self.config.joint_maps:
                raw = raw + answers
            # Not unflatten, with which an ONNX export would know one T alone.
            raw = raw.reshape(*features.shape[:2], JOINTS, 3)
            if self.agreement is not None:
                raw = self.agreement(raw, spread.to(raw.dtype), seen)
            raw = raw.flatten(0, 1)
            pixels, depth, joints = decode_joints(
                raw, intrinsics, image_size or self.config.image_size,
                self.config.depth_offset if depth_offset is None else depth_offset,
                legacy_focal=self.config.legacy_focal,
            )  # fmt: skip
        return joints, pixels, depth


class TherFormerStream:
    """Sees a film frame by frame; each answer is that of the last frame of a clip.

    Only the newest image is encoded; the vectors of the frames before it are kept. On a GPU the
    work is recorded at the first image and at the first full window, and launched as a whole from
    then on: the network's weights must stay where they are.
    """

    def __init__(self, network: TherFormer) -> None:
        """Start a film; ``network`` is used in evaluation mode."""
        self.network = network.eval()
        self._features: list[Tensor] = []
        self._encode = Graphed(self._plain_encode)
        self._decode = Graphed(self._plain_decode)

    def reset(self) -> None:
        """Forget all frames, as at a cut."""
        self._features.clear()

    @torch.no_grad()
    def push(self, image: Tensor, intrinsics: Tensor) -> TherFormerOutput:
        """See the next frame.

        Args:
            image: (1, 3, H, W) in 0..1.
            intrinsics: (1, 3, 3) K in pixels of this image.

        Returns:
            the output for this frame alone, as if the last ``frames`` images, or all there have
            been, had been given as one clip.

        Raises:
            ModelError: the image has another size, or K does not belong to it.
        """
        _check_intrinsics(intrinsics, (image.shape[2], image.shape[3]))
        frames = self.network.config.frames
        vector, mask_logits = self._encode(image)
        self._features = [*self._features, vector][-frames:]
        features = torch.stack(self._features, dim=1)  # (1, T, D)
        # Windows that still grow are not worth a recording each.
        decode = self._decode if features.shape[1] == frames else self._plain_decode
        joints, pixels, depth = decode(
            features, intrinsics, image_size=(image.shape[2], image.shape[3])
        )
        return TherFormerOutput(
            joints=joints, pixels=pixels, depth=depth, mask_logits=mask_logits,
            spread=_spread(self.network.config, vector),
        )  # fmt: skip

    def _plain_encode(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.network.encode(image)

    def _plain_decode(
        self, features: Tensor, intrinsics: Tensor, *, image_size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """Return joints, pixels and depth of the last frame of a window (1, T, D)."""
        every = self.network.decode(
            features, intrinsics.expand(features.shape[1], 3, 3), image_size=image_size
        )
        return tuple(part[-1:] for part in every)


def _spread(config: TherFormerConfig, features: Tensor) -> Tensor | None:
    """Return the spread (N, 42) that is kept in the vectors (N, D) of frames, if it is."""
    return features.split(config.parts, dim=1)[2].float() if config.joint_maps else None


def hand_spread(output: TherFormerOutput) -> Tensor | None:
    """Return the mean spread of the maps of each hand in pixels, (N, 2), if there are maps."""
    if output.spread is None:
        return None
    return output.spread.unflatten(1, (2, HAND_JOINTS)).mean(dim=2)


def joint_confidence(
    output: TherFormerOutput, image_size: tuple[int, int], usual_spread: float = SPREAD
) -> Tensor:
    """Return the mask's hand probability at every joint's pixel, (N, 2, 21).

    It is 0 outside the image, and less where the maps of a hand's joints do not agree on a place.
    Source: methods specification, section 4.

    Args:
        output: of the network.
        image_size: rows and columns of the images.
        usual_spread: of hands that the network sees well, pixels.
    """
    height, width = image_size
    size = output.pixels.new_tensor([width, height])
    places = 2 * (output.pixels + 0.5) / size - 1  # (N, 42, 2), -1..1 over the image
    found = functional.grid_sample(
        output.mask_logits.float().sigmoid(), places[:, None], padding_mode='border',
        align_corners=False,
    )  # (N, 1, 1, 42)  # fmt: skip
    inside = (places.abs() <= 1).all(dim=-1)
    confidence = (found[:, 0, 0] * inside).unflatten(1, (2, HAND_JOINTS))
    spread = hand_spread(output)
    if spread is None:
        return confidence
    return confidence * ((_LOST - spread[..., None] / usual_spread) / _LOST_WIDTH).sigmoid()


def hand_confidence(
    output: TherFormerOutput, image_size: tuple[int, int], usual_spread: float = SPREAD
) -> Tensor:
    """Return the confidence of both hands, (N, 2): the mean of their joints'."""
    return joint_confidence(output, image_size, usual_spread).mean(dim=2)


def hands_present(
    output: TherFormerOutput, image_size: tuple[int, int], *,
    confidence: float = 0.5, apart: float = 0.025, usual_spread: float = SPREAD,
) -> Tensor:  # fmt: skip
    """Return which hands are there, (N, 2) bool.

    The network always answers with two hands. A hand that is not in the image is not on the mask;
    if its answer lies on the other hand instead, the less certain of the two is absent. Where no
    cell is certain, there is no hand.

    Args:
        output: of the network.
        image_size: rows and columns of the images.
        confidence: least mean mask probability at a hand's joints.
        apart: least mean distance between the joints of the two hands, metres.
        usual_spread: of hands that the network sees well, pixels.
    """
    sure = hand_confidence(output, image_size, usual_spread)
    left, right = output.joints.unflatten(1, (2, HAND_JOINTS)).unbind(1)
    together = (left - right).norm(dim=-1).mean(dim=1) < apart
    better = torch.stack([sure[:, 0] >= sure[:, 1], sure[:, 0] < sure[:, 1]], dim=1)
    looking = (output.anchor_rate > 0)[:, None]
    return (sure >= confidence) & (better | ~together[:, None]) & looking


def _check_size(size: tuple[int, int]) -> None:
    if tuple(size) not in IMAGE_SIZES:
        raise ModelError(
            f'therformer takes images of 256 x 320 or 240 x 320 (rows x columns), got '
            f'{size[0]} x {size[1]}: resize them and their K'
        )


def _check_intrinsics(intrinsics: Tensor, size: tuple[int, int]) -> None:
    (fx, _, cx), (_, fy, cy), _ = intrinsics[0].tolist()
    if not (fx > 0 and fy > 0 and 0 < cx < size[1] and 0 < cy < size[0]):
        raise ModelError(
            f'K (fx {fx:.1f}, fy {fy:.1f}, cx {cx:.1f}, cy {cy:.1f}) does not match an image of '
            f'{size[0]} x {size[1]}: scale it together with the image'
        )


def _size(sensor: Sensor) -> tuple[int, int]:
    if sensor not in DEPTH_OFFSETS:
        raise ModelError(
            f'therformer knows no sensor {sensor!r}: use one of {", ".join(DEPTH_OFFSETS)}'
        )
    return IMAGE_SIZES[0] if sensor == 'thermal' else IMAGE_SIZES[1]


_FARTHEST = 1.6  # metres that a depth image shows as black


def depth_image(depth: Tensor) -> Tensor:
    """Return depth (N, 1, H, W) in metres as the image (N, 3, H, W) in 0..1 the network takes.

    Near is bright; 0 where nothing was measured, as where nothing is near.
    """
    near = (1.0 - depth / _FARTHEST).clamp(0.0, 1.0)
    return torch.where(depth > 0, near, 0.0).expand(-1, 3, -1, -1)

"""WildHands: pose, shape and camera of both hands from crops of an image and its intrinsics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.joint_maps import JointMaps, MappedJoints
from hand_pose_ros.networks.positional_encoding import (
    DENSE_CHANNELS,
    SPARSE_CHANNELS,
    dense_encoding,
    legacy_dense_encoding,
    pseudo_intrinsics,
    sparse_encoding,
)
from hand_pose_ros.networks.precision import full_precision
from hand_pose_ros.networks.resnet import IMAGE_NET_MEAN, IMAGE_NET_STD, Depth, ResNet
from hand_pose_ros.networks.rotations import IDENTITY_6D, mirrored_rotations, rotation_from_6d
from hand_pose_ros.skeleton import JOINT_COUNT

Encoding = Literal['sparse', 'dense', 'legacy_dense', 'none']

NEAREST, FARTHEST = 0.05, 3.0  # metres: what the scale of a camera may say
GRASPS = 9
_POSE, _CAMERA, _SHAPE = 96, 3, 10
# Scale of a hand at half a metre in an image of 58 degrees, where training starts.
_START_SCALE = 3.6
_MAP = 7  # cells of the feature map along a side
MAP_DEPTH = 0.1  # metres that a depth of 1 in the joint maps stands for


@dataclass(frozen=True, kw_only=True)
class WildHandsConfig:
    """Sizes and variants; see ``base`` and ``small``.

    Attributes:
        patch: pixels along a side of the full image and of a crop.
        depth: layers of both backbones, 18 or 50.
        width: channels of their stems.
        stages: of the backbones; the feature map must come out as 7 x 7.
        global_reduction: how many times smaller the full image enters its backbone.
        head_channels: after the 1x1 convolution and the two 3x3 convolutions.
        head_norm: batch normalisation in the head, for training from scratch.
        feature: width of the vector that both HMR heads read.
        hidden: width of the HMR heads' refinement.
        camera_hidden: width of the initial camera's network.
        rounds: of refinement.
        dropout: in the refinement, while training.
        mirror_left: present left hands to the network as mirrored right ones, with one HMR head.
        kpe: encoding of the intrinsics; ``legacy_dense`` is the dense one of the published code,
            whose cells do not belong to those of the features.
        pseudo_intrinsics: encode a camera of 90 degrees instead of the true one, for images
            without calibration and the ablation "no intrinsics".
        global_feature: add the full image's features to those of the crop.
        crops: False looks at the whole image in place of each crop.
        joint_maps: channels of the maps of a crop's joints, whose answer the HMR heads read beside
            the feature; 0 leaves them out, as published.
        grasp_head: predict grasp classes.
        grasp_widths: of the grasp head.
    """

    patch: int = 224
    depth: Depth = 50
    width: int = 64
    stages: int = 4
    global_reduction: int = 1
    head_channels: tuple[int, int, int] = (1024, 512, 256)
    head_norm: bool = False
    feature: int = 2048
    hidden: int = 1024
    camera_hidden: int = 512
    rounds: int = 3
    dropout: float = 0.5
    mirror_left: bool = False
    kpe: Encoding = 'sparse'
    pseudo_intrinsics: bool = False
    global_feature: bool = True
    crops: bool = True
    joint_maps: int = 0
    grasp_head: bool = False
    grasp_widths: tuple[int, int, int] = (1024, 512, 128)

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if self.depth not in (18, 50):
            raise ModelError(f'WildHands has no backbone of {self.depth} layers: use 18 or 50')
        if self.kpe not in get_args(Encoding):
            raise ModelError(f'kpe is {self.kpe!r}: use one of {", ".join(get_args(Encoding))}')
        if self.joint_maps and self.stages < 2:
            raise ModelError(f'joint_maps need two stages or more, not {self.stages}: use 0')
        if self.joint_maps and not self.crops:
            raise ModelError('joint_maps are maps of crops, and crops is False: use joint_maps 0')
        if self.patch != _MAP * 2 ** (self.stages + 1):
            raise ModelError(
                f'a patch of {self.patch} with {self.stages} stages gives no 7 x 7 map: use '
                f'{_MAP * 2 ** (self.stages + 1)}'
            )

    @classmethod
    def base(cls) -> 'WildHandsConfig':
        """Return the published network: 69,182,816 parameters, 72,030,313 with the grasp head."""
        return cls()

    @classmethod
    def small(cls) -> 'WildHandsConfig':
        """Return the network for CPUs."""
        return cls(
            patch=112,
            depth=18,
            width=32,
            stages=3,
            global_reduction=2,
            head_channels=(256, 128, 128),
            head_norm=True,
            feature=384,
            hidden=384,
            camera_hidden=128,
            dropout=0.0,
            mirror_left=True,
            joint_maps=64,
            grasp_widths=(128, 64, 32),
        )


class WildHandsOutput(NamedTuple):
    """B frames, hands (left, right).

    Attributes:
        rotations: (B, 2, 16, 3, 3) of wrist and fingers, MANO order.
        betas: (B, 2, 10).
        camera: (B, 2, 3) scale s, tx and ty, as refined; s is not yet clamped.
        initial_camera: (B, 2, 3) the same before the first round.
        translation: (B, 2, 3) metres, added after skinning.
        joints: (B, 2, 21, 3) metres in the camera's frame, internal order.
        vertices: (B, 2, V, 3), None if not asked for.
        pixels: (B, 2, 21, 2) of the joints in the full patch.
        grasp_logits: (B, 2, 9), None without a grasp head.
        maps: of the B times 2 crops, None without joint maps: x and y in halves of the crop from
            its middle, and how much farther than the wrist along the view to its middle, in
            ``MAP_DEPTH``; spread in pixels of the crop.
    """

    rotations: Tensor
    betas: Tensor
    camera: Tensor
    initial_camera: Tensor
    translation: Tensor
    joints: Tensor
    vertices: Tensor | None
    pixels: Tensor
    grasp_logits: Tensor | None
    maps: MappedJoints | None = None


def focal_length(intrinsics: Tensor) -> Tensor:
    """Return (fx + fy) / 2 of K (..., 3, 3), as the camera head takes it."""
    return (intrinsics[..., 0, 0] + intrinsics[..., 1, 1]) / 2


def distance_from_scale(scale: Tensor, focal: Tensor, patch: int) -> Tensor:
    """Return tz = 2 f / (S s) in metres, s clamped to what 0.05 m to 3 m give.

    Source: methods specification, section 2.4.
    """
    unit = 2 * focal / patch
    return unit / torch.minimum(torch.maximum(scale, unit / FARTHEST), unit / NEAREST)


def scale_from_distance(distance: Tensor, focal: Tensor, patch: int) -> Tensor:
    """Return s = 2 f / (S tz), the inverse of ``distance_from_scale``."""
    return 2 * focal / (patch * distance)


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Return pixels (B, ..., 2) of points (B, ..., 3) by K (B, 3, 3); z is kept above 1 mm."""
    flat = points.flatten(1, -2)
    image = flat @ intrinsics.transpose(1, 2)
    pixels = image[..., :2] / image[..., 2:].clamp(min=1e-3)
    return pixels.reshape(*points.shape[:-1], 2)


class WildHands(nn.Module):
    """The network of arXiv 2312.06583 with the camera, hand model and grasp head.

    Source: methods specification, sections 2.2 to 2.4.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: WildHandsConfig, hand_model: HandLayer | None = None) -> None:
        """Build it; the hand model is the shipped one when None, and no part of the weights."""
        super().__init__()
        self.config = config
        self.hand_model = hand_model or HandLayer()
        self.crop_backbone = ResNet(config.depth, width=config.width, stages=config.stages)
        channels = self.crop_backbone.out_channels
        self.global_backbone = (
            ResNet(config.depth, width=config.width, stages=config.stages)
            if config.global_feature
            else None
        )
        extra = {'sparse': SPARSE_CHANNELS, 'none': 0}.get(config.kpe, DENSE_CHANNELS)
        self.head = FeatureHead(channels + extra, config)
        if config.joint_maps:
            finest = self.crop_backbone.stride // 2
            self.joint_maps = JointMaps(
                (channels // 2, channels), config.joint_maps, JOINT_COUNT,
                stride=finest, unit=config.patch / 2,
            )  # fmt: skip
            self.place = nn.Sequential(
                nn.Linear(4 * JOINT_COUNT, config.feature),
                nn.ReLU(inplace=True),
                nn.Linear(config.feature, config.feature),
            )
            # Maps that have not learnt anything must not disturb.
            nn.init.zeros_(self.place[2].weight)
            nn.init.zeros_(self.place[2].bias)
        sides = 1 if config.mirror_left else 2
        self.pose_heads = nn.ModuleList(PoseHead(config) for _ in range(sides))
        context = channels if config.global_feature else 0
        self.grasp_head = GraspHead(context, config) if config.grasp_head else None
        self.register_buffer('mean', IMAGE_NET_MEAN[:, None, None], persistent=False)
        self.register_buffer('std', IMAGE_NET_STD[:, None, None], persistent=False)

    def forward(
        self, image: Tensor, crops: Tensor, intrinsics: Tensor, boxes: Tensor, *,
        mesh: bool = False,
    ) -> WildHandsOutput:  # fmt: skip
        """Estimate both hands; a hand that is not there gives an answer too, to be left out.

        Args:
            image: (B, 3, S, S) in 0..1, the square-padded full image, S = ``config.patch``.
            crops: (B, 2, 3, S, S) of the left and the right hand, in 0..1.
            intrinsics: (B, 3, 3) K in pixels of the full patch.
            boxes: (B, 2, 4) x0 y0 x1 y1 of the crops in the full patch, real.
            mesh: make vertices too.

        Raises:
            ModelError: the images have another size.
        """
        size = self.config.patch
        if image.shape[1:] != (3, size, size) or crops.shape[1:] != (2, 3, size, size):
            raise ModelError(
                f'WildHands wants an image (B, 3, {size}, {size}) and crops (B, 2, 3, {size}, '
                f'{size}), got {tuple(image.shape)} and {tuple(crops.shape)}: use hand_views'
            )
        if not self.config.crops:
            crops = image[:, None].expand(-1, 2, -1, -1, -1)
            boxes = boxes.new_tensor([-0.5, -0.5, size - 0.5, size - 0.5]).expand_as(boxes)
        features, context, maps = self.features(image, crops, intrinsics, boxes)
        pose, betas, camera, initial = self._states(features)
        with full_precision(image):
            rotations = rotation_from_6d(pose.unflatten(-1, (16, 6)))
            if self.config.mirror_left:
                rotations, camera, initial = _unmirrored(rotations, camera, initial)
                maps = None if maps is None else _unmirrored_maps(maps)
            decoded = self._decode(
                rotations, betas, camera, initial, context, intrinsics, mesh=mesh
            )
            return decoded._replace(maps=maps)

    def features(
        self, image: Tensor, crops: Tensor, intrinsics: Tensor, boxes: Tensor
    ) -> tuple[Tensor, Tensor | None, MappedJoints | None]:
        """Read the views.

        Returns:
            a vector per hand (B, 2, F), the full image's summed features (B, C) and what the maps
            say of the crops as the heads see them.
        """
        image, crops = (image - self.mean) / self.std, (crops - self.mean) / self.std
        sides = [(image, crops[:, 0], intrinsics, boxes[:, 0])]
        if self.config.mirror_left:
            sides = [self._mirrored(*sides[0])]
        sides.append((image, crops[:, 1], intrinsics, boxes[:, 1]))
        # The two hands as one batch: first all left ones, then all right ones.
        crop, matrix, box = (torch.cat([a[i], b[i]]) for a, b in [sides] for i in (1, 2, 3))
        # Channels last is what CPUs convolve fastest.
        levels = self.crop_backbone.levels(crop.contiguous(memory_format=torch.channels_last))
        maps = levels[-1]
        context = None
        if self.global_backbone is not None:
            views = [image] if not self.config.mirror_left else [sides[0][0], image]
            whole = self._global_map(torch.cat(views))
            context = whole.sum(dim=(2, 3))[-len(image) :]
            maps = maps + (whole if self.config.mirror_left else torch.cat([whole, whole]))
        vectors = self.head(torch.cat([maps, *self._encoding(matrix, box)], dim=1))
        mapped = None
        if self.config.joint_maps:
            mapped = self._mapped((levels[-2], maps))
            spread = mapped.spread / self.config.patch
            vectors = vectors + self.place(torch.cat([mapped.places.flatten(1), spread], dim=1))
            mapped = MappedJoints(*map(_by_hand, mapped))
        return _by_hand(vectors), context, mapped

    def _mapped(self, levels: Sequence[Tensor]) -> MappedJoints:
        """Read the maps of crops, x and y from their outer middle."""
        found = self.joint_maps(levels)
        half_pixel = 1 / self.config.patch  # in halves of the crop
        return found._replace(
            places=found.places + found.places.new_tensor([half_pixel, half_pixel, 0.0])
        )

    def _mirrored(
        self, image: Tensor, crop: Tensor, intrinsics: Tensor, box: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what a camera would see and know in a mirror: a right hand."""
        last = self.config.patch - 1
        centre = torch.stack([last - intrinsics[:, 0, 2], intrinsics[:, 1, 2]], dim=1)
        matrix = torch.cat(
            [torch.cat([intrinsics[:, :2, :2], centre[:, :, None]], dim=2), intrinsics[:, 2:]],
            dim=1,
        )
        flipped = torch.stack([last - box[:, 2], box[:, 1], last - box[:, 0], box[:, 3]], dim=1)
        return image.flip(-1), crop.flip(-1), matrix, flipped

    def _global_map(self, image: Tensor) -> Tensor:
        """Return the full image's features at the size of the crop's (N, C, 7, 7)."""
        assert self.global_backbone is not None
        if self.config.global_reduction > 1:
            image = functional.avg_pool2d(image, self.config.global_reduction)
        features = self.global_backbone(image.contiguous(memory_format=torch.channels_last))
        if features.shape[-1] != _MAP:
            features = functional.interpolate(
                features, size=(_MAP, _MAP), mode='bilinear', align_corners=False
            )
        return features

    def _encoding(self, intrinsics: Tensor, boxes: Tensor) -> list[Tensor]:
        """Return the channels (N, 80 or 16, 7, 7) of the chosen encoding, if any."""
        if self.config.kpe == 'none':
            return []
        if self.config.pseudo_intrinsics:
            intrinsics = pseudo_intrinsics(len(boxes), self.config.patch, boxes)
        if self.config.kpe == 'dense':
            return [dense_encoding(boxes, intrinsics, (_MAP, _MAP))]
        if self.config.kpe == 'legacy_dense':
            return [legacy_dense_encoding(boxes, intrinsics, self.config.patch, (_MAP, _MAP))]
        code = sparse_encoding(boxes, intrinsics)
        return [code[:, :, None, None].expand(-1, -1, _MAP, _MAP)]

    def _states(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return 6D pose, betas, camera and initial camera (B, 2, ...), as the heads see hands."""
        if self.config.mirror_left:
            head = self.pose_heads[0]
            parts = [part.unflatten(0, (-1, 2)) for part in head(features.flatten(0, 1))]
        else:
            sides = [head(features[:, side]) for side, head in enumerate(self.pose_heads)]
            parts = [torch.stack(pair, dim=1) for pair in zip(*sides, strict=True)]
        pose, betas, camera, initial = parts
        return pose, betas, camera, initial

    def _decode(
        self, rotations: Tensor, betas: Tensor, camera: Tensor, initial: Tensor,
        context: Tensor | None, intrinsics: Tensor, *, mesh: bool,
    ) -> WildHandsOutput:  # fmt: skip
        """Pose the hand model, place it by the camera and project it."""
        focal = focal_length(intrinsics)[:, None]
        distance = distance_from_scale(camera[..., 0], focal, self.config.patch)
        translation = torch.cat([camera[..., 1:], distance[..., None]], dim=-1)
        hands = self.hand_model(rotations, betas, translation, mesh=mesh)
        grasp = None
        if self.grasp_head is not None:
            grasp = self.grasp_head(rotations, betas, context)
        return WildHandsOutput(
            rotations=rotations,
            betas=betas,
            camera=camera,
            initial_camera=initial,
            translation=translation,
            joints=hands.joints,
            vertices=hands.vertices,
            pixels=project(hands.joints, intrinsics),
            grasp_logits=grasp,
        )


def _by_hand(values: Tensor) -> Tensor:
    """Return (B, 2, ...) of values (2 B, ...), first all left hands, then all right ones."""
    return values.unflatten(0, (2, -1)).transpose(0, 1)


def _unmirrored(
    rotations: Tensor, camera: Tensor, initial: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Bring left hands back from the mirror: rotations (B, 2, 16, 3, 3) and cameras (B, 2, 3)."""
    rotations = torch.stack([mirrored_rotations(rotations[:, 0]), rotations[:, 1]], dim=1)
    signs = camera.new_tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 1.0]])
    return rotations, camera * signs, initial * signs


def _unmirrored_maps(maps: MappedJoints) -> MappedJoints:
    """Bring what is said of left crops (B, 2, ...) back from the mirror."""
    signs = maps.places.new_tensor([-1.0, 1.0, 1.0])
    return MappedJoints(
        places=torch.stack([maps.places[:, 0] * signs, maps.places[:, 1]], dim=1),
        spread=maps.spread,
        logits=torch.stack([maps.logits[:, 0].flip(-1), maps.logits[:, 1]], dim=1),
    )


class FeatureHead(nn.Module):
    """A hand's feature map, encoding included, to a vector: (N, C, 7, 7) to (N, F)."""

    def __init__(self, inputs: int, config: WildHandsConfig) -> None:
        """Build three convolutions without bias and a linear layer."""
        super().__init__()
        layers: list[nn.Module] = []
        for channels, kernel in zip(config.head_channels, (1, 3, 3), strict=True):
            layers.append(nn.Conv2d(inputs, channels, kernel, bias=False))
            if config.head_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU(inplace=True))
            inputs = channels
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Linear(inputs * (_MAP - 4) ** 2, config.feature)

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors."""
        return functional.relu(self.linear(self.convolutions(x).flatten(1)))


class PoseHead(nn.Module):
    """Human mesh recovery: a state that is refined in rounds from the feature and itself."""

    start: Tensor

    def __init__(self, config: WildHandsConfig) -> None:
        """Build the refinement, its three decoders and the initial camera."""
        super().__init__()
        state = _POSE + _CAMERA + _SHAPE
        self.rounds = config.rounds
        self.refine = nn.Sequential(
            nn.Linear(config.feature + state, config.hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
        )
        self.decoders = nn.ModuleList(
            nn.Linear(config.hidden, size) for size in (_POSE, _CAMERA, _SHAPE)
        )
        for decoder in self.decoders:
            nn.init.xavier_uniform_(decoder.weight, gain=0.01)
            nn.init.zeros_(decoder.bias)
        self.initial_camera = nn.Sequential(
            nn.Linear(config.feature, config.camera_hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.camera_hidden, config.camera_hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.camera_hidden, _CAMERA),
        )
        with torch.no_grad():
            self.initial_camera[-1].bias.copy_(torch.tensor([_START_SCALE, 0.0, 0.0]))
        start = torch.tensor(IDENTITY_6D).repeat(16)
        self.register_buffer('start', start, persistent=False)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return pose (N, 96), betas (N, 10), camera (N, 3) and initial camera (N, 3)."""
        count = len(feature)
        # The state keeps 32 bits where the layers have 16.
        initial = self.initial_camera(feature).to(self.start.dtype)
        pose, camera = self.start.expand(count, _POSE), initial
        betas = self.start.new_zeros(count, _SHAPE)
        for _ in range(self.rounds):
            refined = self.refine(torch.cat([feature, pose, camera, betas], dim=1))
            steps = [decoder(refined) for decoder in self.decoders]
            pose, camera, betas = pose + steps[0], camera + steps[1], betas + steps[2]
        return pose, betas, camera, initial


class GraspHead(nn.Module):
    """Grasp classes of both hands from their shape, pose and the full image's features."""

    def __init__(self, context: int, config: WildHandsConfig) -> None:
        """Build it for ``context`` features of the full image."""
        super().__init__()
        layers: list[nn.Module] = []
        inputs = _SHAPE + 16 * 9 + context
        for width in config.grasp_widths:
            layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, GRASPS))

    def forward(self, rotations: Tensor, betas: Tensor, context: Tensor | None) -> Tensor:
        """Return logits (B, 2, 9) for rotations (B, 2, 16, 3, 3), betas and context (B, C)."""
        parts = [betas, rotations.flatten(2)]
        if context is not None:
            parts.append(context[:, None].expand(-1, 2, -1))
        return self.layers(torch.cat(parts, dim=2))

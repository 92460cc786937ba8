"""ResNet backbones in torchvision's parameter names, so that ImageNet checkpoints load."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from hand_pose_ros.errors import ModelError

Depth = Literal[18, 50]
Norm = Callable[[int], nn.Module]

_BLOCKS: dict[int, tuple[int, ...]] = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, norm: Norm) -> None:
        """Make a block from ``inputs`` to ``width`` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, width, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolutions and a shortcut (ResNet-50)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, norm: Norm) -> None:
        """Make a block from ``inputs`` to ``4 * width`` channels."""
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = norm(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, outputs, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 4 * width, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """The convolutional part of a ResNet, up to a chosen stage.

    Attributes:
        out_channels: channels of the result.
        stride: image pixels per cell of the result.
    """

    conv1: nn.Conv2d

    def __init__(
        self,
        depth: Depth = 18,
        *,
        width: int = 64,
        stages: int = 4,
        input_channels: int = 3,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        """Build the backbone with He-initialised convolutions.

        Args:
            depth: 18 or 50 layers.
            width: channels of the stem; 64 is the published network.
            stages: how many of the four stages to keep; the stride is 2 ** (stages + 1).
            input_channels: 3 for ImageNet checkpoints.
            norm: makes the normalisation of a number of channels.
        """
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, width, 7, 2, 3, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        block = BasicBlock if depth == 18 else Bottleneck
        channels = width
        self._stages = tuple(f'layer{number}' for number in range(1, stages + 1))
        for number, name in enumerate(self._stages):
            stage_width = width * 2**number
            blocks = []
            for index in range(_BLOCKS[depth][number]):
                stride = 2 if number > 0 and index == 0 else 1
                blocks.append(block(channels, stage_width, stride, norm))
                channels = stage_width * block.expansion
            self.add_module(name, nn.Sequential(*blocks))
        self.out_channels = channels
        self.stride = 2 ** (stages + 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, out_channels, H / stride, W / stride)."""
        return self.levels(x)[-1]

    def levels(self, x: Tensor) -> list[Tensor]:
        """Return what every stage makes of images (N, C, H, W), fine to coarse."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        found = []
        for name in self._stages:
            x = self.get_submodule(name)(x)
            found.append(x)
        return found

    def load_image_net(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the weights of a torchvision ResNet; its later stages and classifier are left.

        Raises:
            ModelError: the weights are those of another network.
        """
        own = self.state_dict()
        wanted = {name: weights[name] for name in own if name in weights}
        missing = [
            name for name in own if name not in wanted and not name.endswith('num_batches_tracked')
        ]
        wrong = [name for name, tensor in wanted.items() if tensor.shape != own[name].shape]
        if missing or wrong:
            raise ModelError(
                f'the checkpoint does not fit this ResNet ({len(missing)} of its tensors are '
                f'missing and {len(wrong)} have another shape, first '
                f'{(missing + wrong)[0]!r}): give the checkpoint of the same depth and width'
            )
        self.load_state_dict(wanted, strict=False)


def freeze_statistics(network: nn.Module) -> None:
    """Keep every batch normalisation of a network at its running statistics while training."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers an optimiser would train."""
    return sum(parameter.numel() for parameter in network.parameters())


# Mean and standard deviation of ImageNet's channels R, G, B for images in 0..1.
IMAGE_NET_MEAN = torch.tensor([0.485, 0.456, 0.406])
IMAGE_NET_STD = torch.tensor([0.229, 0.224, 0.225])

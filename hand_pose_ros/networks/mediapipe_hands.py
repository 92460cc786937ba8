"""MediaPipe's palm and hand landmark networks as torch modules that read the same weights."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.tflite_graph import Graph, Operator, read_graph

_SAME_PADDING = 0
_ACTIVATIONS: dict[int, type[nn.Module]] = {0: nn.Identity, 1: nn.ReLU, 3: nn.ReLU6}


class GraphNetwork(nn.Module):
    """A TFLite graph as trainable torch layers, channels first."""

    def __init__(self, graph: Graph) -> None:
        """Build the layers with the graph's weights.

        Raises:
            ModelError: if an operator or activation is not known here.
        """
        super().__init__()
        self.input, self.outputs = graph.input, graph.outputs
        self.wiring = [
            (tuple(i for i in operator.inputs if i not in graph.constants), operator.output)
            for operator in graph.operators
        ]
        self.layers = nn.ModuleList(_layer(operator, graph) for operator in graph.operators)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run on images (B, 3, H, W) in 0..1; outputs in the order of their names."""
        values = {self.input: image}
        for (inputs, output), layer in zip(self.wiring, self.layers, strict=True):
            values[output] = layer(*(values[index] for index in inputs))
        return tuple(values[index] for index in self.outputs)


class PalmNetwork(nn.Module):
    """The palm detector."""

    def __init__(self, path: Path) -> None:
        """Read the weights of ``palm_detection.tflite``."""
        super().__init__()
        self.network = GraphNetwork(read_graph(path))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, 3, 192, 192) in 0..1 to offsets (B, 2016, 18) and logits (B, 2016)."""
        offsets, logits = self.network(image)
        return offsets, logits[..., 0]


class LandmarkNetwork(nn.Module):
    """The hand landmark network."""

    def __init__(self, path: Path) -> None:
        """Read the weights of ``hand_landmark.tflite``."""
        super().__init__()
        self.network = GraphNetwork(read_graph(path))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map crops (B, 3, 224, 224) in 0..1 to what the network says about each.

        Returns:
            points (B, 21, 3) in crop pixels, presence (B,) and the probability of a physical right
            hand (B,), and the shape hint (B, 21, 3), which is never metres.
        """
        points, presence, right, world = self.network(image)
        return (
            points.unflatten(1, (-1, 3)),
            presence[:, 0],
            right[:, 0],
            world.unflatten(1, (-1, 3)),
        )


class _Convolution(nn.Module):
    """A convolution with TensorFlow's padding, which puts the odd pixel behind."""

    def __init__(
        self, weights: np.ndarray, bias: np.ndarray, options: Any, depthwise: bool
    ) -> None:
        super().__init__()
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        self.weight = nn.Parameter(torch.from_numpy(weights.transpose(order).copy()))
        self.bias = nn.Parameter(torch.from_numpy(bias))
        self.stride = (options.strideH, options.strideW)
        self.groups = self.weight.shape[0] if depthwise else 1
        self.is_padded = options.padding == _SAME_PADDING
        self.activation = _activation(options)

    def forward(self, value: Tensor) -> Tensor:
        if self.is_padded:
            value = functional.pad(value, _padding(value, self.weight.shape[2:], self.stride))
        value = functional.conv2d(value, self.weight, self.bias, self.stride, groups=self.groups)
        return self.activation(value)


class _Linear(nn.Module):
    def __init__(self, weights: np.ndarray, bias: np.ndarray, options: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weights))
        self.bias = nn.Parameter(torch.from_numpy(bias))
        self.activation = _activation(options)

    def forward(self, value: Tensor) -> Tensor:
        return self.activation(functional.linear(value, self.weight, self.bias))


class _Add(nn.Module):
    def __init__(self, options: Any) -> None:
        super().__init__()
        self.activation = _activation(options)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.activation(first + second)


class _Pool(nn.Module):
    def __init__(self, options: Any) -> None:
        super().__init__()
        self.kernel = (options.filterHeight, options.filterWidth)
        self.stride = (options.strideH, options.strideW)

    def forward(self, value: Tensor) -> Tensor:
        return functional.max_pool2d(value, self.kernel, self.stride)


class _PadChannels(nn.Module):
    def __init__(self, widths: np.ndarray) -> None:
        super().__init__()
        rows, columns, channels = (tuple(int(n) for n in widths[axis]) for axis in (1, 2, 3))
        self.widths = (*columns, *rows, *channels)

    def forward(self, value: Tensor) -> Tensor:
        return functional.pad(value, self.widths)


class _Resize(nn.Module):
    def __init__(self, size: np.ndarray, options: Any) -> None:
        super().__init__()
        self.size = (int(size[0]), int(size[1]))
        self.align_corners = bool(options.alignCorners)
        if not (options.halfPixelCenters or options.alignCorners):
            raise ModelError(
                "resizing without half-pixel centres is unknown: use the store's models"
            )

    def forward(self, value: Tensor) -> Tensor:
        return functional.interpolate(
            value, self.size, mode='bilinear', align_corners=self.align_corners
        )


class _Rows(nn.Module):
    """Flattens a feature map to (B, rows, columns) in TensorFlow's order, channels last."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.columns = shape[-1]

    def forward(self, value: Tensor) -> Tensor:
        return value.permute(0, 2, 3, 1).reshape(value.shape[0], -1, self.columns)


class _Concatenate(nn.Module):
    def forward(self, *values: Tensor) -> Tensor:
        return torch.cat(values, dim=1)


class _Mean(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return value.mean(dim=(2, 3))


def _layer(operator: Operator, graph: Graph) -> nn.Module:
    constants = [graph.constants[i] for i in operator.inputs if i in graph.constants]
    options = operator.options
    match operator.name:
        case 'CONV_2D' | 'DEPTHWISE_CONV_2D':
            depthwise = operator.name == 'DEPTHWISE_CONV_2D'
            return _Convolution(constants[0], constants[1], options, depthwise)
        case 'FULLY_CONNECTED':
            return _Linear(constants[0], constants[1], options)
        case 'PRELU':
            layer = nn.PReLU(constants[0].size)
            layer.weight.data = torch.from_numpy(constants[0].ravel())
            return layer
        case 'ADD':
            return _Add(options)
        case 'MAX_POOL_2D':
            return _Pool(options)
        case 'PAD':
            return _PadChannels(constants[0])
        case 'RESIZE_BILINEAR':
            return _Resize(constants[0], options)
        case 'RESHAPE':
            return _Rows(graph.shapes[operator.output])
        case 'CONCATENATION':
            return _Concatenate()
        case 'MEAN':
            return _Mean()
        case 'LOGISTIC':
            return nn.Sigmoid()
    raise ModelError(f'operator {operator.name} is unknown: use the models of the store')


def _activation(options: Any) -> nn.Module:
    kind = _ACTIVATIONS.get(options.fusedActivationFunction)
    if kind is None:
        raise ModelError(
            f'activation {options.fusedActivationFunction} is unknown: use the models of the store'
        )
    return kind()


def _padding(value: Tensor, kernel: torch.Size, stride: tuple[int, int]) -> tuple[int, ...]:
    widths: list[int] = []
    for axis in (1, 0):
        length = int(value.shape[2 + axis])
        steps = -(-length // stride[axis])
        total = max((steps - 1) * stride[axis] + int(kernel[axis]) - length, 0)
        widths += [total // 2, total - total // 2]
    return tuple(widths)

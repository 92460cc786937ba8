"""ONNX export: our networks as graphs that run without PyTorch."""

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import LoadedNetwork, card_path
from hand_pose_ros.whole_file import whole_file

OPSET = 18
EXTRA = 'install the extra onnx: pip install -r requirements/onnx.txt'


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One graph of a network.

    Attributes:
        name: of the part; a network with a single one leaves it empty.
        module: what is exported.
        inputs: example of each input by name.
        outputs: names of the outputs.
        free: inputs of which one axis may have any length, and which; all share that length.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    free: dict[str, int] = field(default_factory=dict)


def export_onnx(loaded: LoadedNetwork, path: Path) -> list[Path]:
    """Write a network as ONNX, with its card beside it.

    Args:
        loaded: the network, on the CPU.
        path: ``.onnx`` file; a network of several parts gets one file each, named after the part:
            ``hands.onnx`` becomes ``hands_encode.onnx`` and ``hands_decode.onnx``.

    Returns:
        the files.

    Raises:
        ModelError: the exporter is not installed, or the file cannot be written.
    """
    if path.suffix != '.onnx':
        raise ModelError(f'{path} must end in .onnx: rename it')
    made = []
    for part in parts(loaded):
        target = path.with_stem(f'{path.stem}_{part.name}') if part.name else path
        export_part(part, target)
        made.append(target)
    _write(card_path(path), json.dumps(loaded.card, indent=2).encode() + b'\n')
    return made


def parts(loaded: LoadedNetwork) -> list[Part]:
    """Return the graphs of a network.

    Raises:
        ModelError: this network has none.
    """
    if loaded.name not in _PARTS:
        raise ModelError(f'{loaded.name} cannot be exported to ONNX: only {", ".join(_PARTS)} can')
    return _PARTS[loaded.name](loaded.network, loaded.config)


def export_part(part: Part, path: Path) -> None:
    """Write one graph.

    Raises:
        ModelError: the exporter is not installed, or the file cannot be written.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError(f'ONNX export needs the package onnx: {EXTRA}') from error
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter by tracing: the newer one takes four times as long for the same graphs.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            part.module.eval(), tuple(part.inputs.values()), buffer, dynamo=False,
            opset_version=OPSET, input_names=list(part.inputs), output_names=list(part.outputs),
            dynamic_axes={name: {axis: 'length'} for name, axis in part.free.items()},
        )  # fmt: skip
    _write(path, buffer.getvalue())


class _Graph(nn.Module):
    """What of a network is exported."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class _Encode(_Graph):
    """TherFormer's blocks 1 to 5: what is done once per image."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.encode(images)


class _Decode(_Graph):
    """TherFormer's blocks 6 and 7 and the 2.5D decoding, on the features of one clip."""

    def forward(self, features: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.decode(features, intrinsics)


class _WildHands(_Graph):
    """WildHands without the mesh."""

    def forward(
        self, image: Tensor, crops: Tensor, intrinsics: Tensor, boxes: Tensor
    ) -> tuple[Tensor, ...]:
        output = self.network(image, crops, intrinsics, boxes)
        values = tuple(getattr(output, name) for name in WILDHANDS_OUTPUTS)
        return values if output.maps is None else (*values, output.maps.places, output.maps.spread)


class _DenseRegFields(_Graph):
    """The fields of DenseReg's last stack."""

    def forward(self, crop: Tensor) -> tuple[Tensor, ...]:
        fields = self.network(crop)[-1]
        maps = fields.heat_2d, fields.heat_3d, fields.direction
        return maps if fields.correction is None else (*maps, fields.correction, fields.log_error)


def _therformer(network: nn.Module, config: Any) -> list[Part]:
    rows, columns = config.image_size
    frames = max(2, config.frames - 1)
    free = {'features': 1, 'intrinsics': 0} if config.frames > 1 else {}
    return [
        Part(
            name='encode',
            module=_Encode(network),
            inputs={'images': torch.rand(1, 3, rows, columns)},
            outputs=('features', 'mask_logits'),
        ),
        Part(
            name='decode',
            module=_Decode(network),
            inputs={
                'features': torch.rand(1, frames if free else 1, config.token),
                'intrinsics': _intrinsics(frames if free else 1, columns, rows),
            },
            outputs=('joints', 'pixels', 'depth'),
            free=free,
        ),
    ]


def _wildhands(network: nn.Module, config: Any) -> list[Part]:
    size = config.patch
    boxes = torch.tensor([[[0.1, 0.3, 0.4, 0.6], [0.5, 0.3, 0.8, 0.6]]]) * size
    inputs = {
        'image': torch.rand(1, 3, size, size),
        'crops': torch.rand(1, 2, 3, size, size),
        'intrinsics': _intrinsics(1, size, size),
        'boxes': boxes,
    }
    outputs = (*WILDHANDS_OUTPUTS, *(MAP_OUTPUTS if config.joint_maps else ()))
    return [Part(name='', module=_WildHands(network), inputs=inputs, outputs=outputs)]


def _densereg(network: nn.Module, config: Any) -> list[Part]:
    outputs = ('heat_2d', 'heat_3d', 'direction', 'correction', 'log_error')
    return [
        Part(
            name='',
            module=_DenseRegFields(network),
            inputs={'crop': torch.rand(2, config.inputs, 128, 128)},
            outputs=outputs if network.refiner is not None else outputs[:3],
            free={'crop': 0},
        )
    ]


def _intrinsics(count: int, width: int, height: int) -> Tensor:
    focal = 0.9 * width
    matrix = [[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]]
    return torch.tensor(matrix).repeat(count, 1, 1)


WILDHANDS_OUTPUTS = (
    'rotations', 'betas', 'camera', 'initial_camera', 'translation', 'joints', 'pixels',
)  # fmt: skip
MAP_OUTPUTS = ('map_places', 'map_spread')
# Network -> its graphs.
_PARTS: dict[str, Callable[[nn.Module, Any], list[Part]]] = {
    'therformer': _therformer,
    'wildhands': _wildhands,
    'densereg': _densereg,
}


def _write(path: Path, content: bytes) -> None:
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise ModelError(
            f'cannot write {path} ({error.strerror}): choose another folder'
        ) from error

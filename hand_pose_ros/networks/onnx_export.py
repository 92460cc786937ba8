"""ONNX export: our networks as graphs that run without PyTorch."""

import json
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import LoadedNetwork, card_path

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
        free: inputs whose first axis may have any length.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    free: tuple[str, ...] = ()


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
    _write(
        card_path(path), lambda place: place.write_text(json.dumps(loaded.card, indent=2) + '\n')
    )
    return made


def parts(loaded: LoadedNetwork) -> list[Part]:
    """Return the graphs of a network.

    Raises:
        ModelError: this network has none.
    """
    if loaded.name not in _PARTS:
        raise ModelError(f'{loaded.name} cannot be exported to ONNX: only {", ".join(_PARTS)} can')
    return _PARTS[loaded.name](loaded.network)


def export_part(part: Part, path: Path) -> None:
    """Write one graph.

    Raises:
        ModelError: the exporter is not installed, or the file cannot be written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ModelError(f'ONNX export needs {error.name}: {EXTRA}') from error
    free = torch.export.Dim('batch', min=1, max=64)
    shapes = {name: {0: free} if name in part.free else None for name in part.inputs}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            part.module, tuple(part.inputs.values()), dynamo=True, opset_version=OPSET,
            input_names=list(part.inputs), output_names=list(part.outputs),
            dynamic_shapes=tuple(shapes.values()), verbose=False,
        )  # fmt: skip
    assert program is not None
    _write(path, lambda place: program.save(str(place), external_data=False))


class _DenseRegFields(nn.Module):
    """The fields of the last stack."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fields = self.network(crop)[-1]
        return fields.heat_2d, fields.heat_3d, fields.direction


def _densereg(network: nn.Module) -> list[Part]:
    return [
        Part(
            name='',
            module=_DenseRegFields(network).eval(),
            inputs={'crop': torch.zeros(2, 1, 128, 128)},
            outputs=('heat_2d', 'heat_3d', 'direction'),
            free=('crop',),
        )
    ]


# Network -> its graphs.
_PARTS: dict[str, Callable[[Any], list[Part]]] = {'densereg': _densereg}


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file so that a reader sees the old one or the whole new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=path.suffix)
        os.close(handle)
        write(Path(name))
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise ModelError(
            f'cannot write {path} ({error.strerror}): choose another folder'
        ) from error

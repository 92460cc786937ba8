"""ONNX network: a network's graphs run by onnxruntime, called like the PyTorch network."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.dense_votes import DenseFields
from hand_pose_ros.networks.onnx_export import EXTRA, export_part, parts


class OnnxNetwork:
    """One network on the CPU.

    Attributes:
        config: of the network.
    """

    def __init__(self, loaded: LoadedNetwork, folder: Path | None = None) -> None:
        """Export the graphs of a network, or take them from an earlier time, and load them.

        Args:
            loaded: the network, on the CPU.
            folder: where exported graphs are kept; default the user's cache.

        Raises:
            ModelError: onnxruntime or the exporter is not installed, or a graph cannot be loaded.
        """
        self.config = loaded.config
        self._graphs = {}
        self._name = loaded.name
        for part in parts(loaded):
            stem = f'{loaded.model_hash[:16]}_{part.name or loaded.name}_{torch.__version__}'
            path = (folder or cache_folder()) / f'{stem}.onnx'
            if not path.is_file():
                export_part(part, path)
            self._graphs[part.name] = Graph(path)

    def __call__(self, *inputs: Tensor) -> Any:
        """Run a network of one graph."""
        return _RESULTS[self._name](self._graphs[''](*inputs))


class Graph:
    """One ONNX graph."""

    def __init__(self, path: Path) -> None:
        """Load a file.

        Raises:
            ModelError: onnxruntime is not installed, or the file is no graph.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(f"runtime 'onnx' needs onnxruntime: {EXTRA}") from error
        options = onnxruntime.SessionOptions()
        # Waiting threads would take the cores from everything else a robot runs.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:
            raise ModelError(
                f'{path} cannot be loaded by onnxruntime ({error}): delete it'
            ) from error
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Run the graph on tensors in the order of its inputs."""
        values = {
            name: np.ascontiguousarray(tensor.numpy())
            for name, tensor in zip(self._inputs, inputs, strict=True)
        }
        return [torch.from_numpy(value) for value in self._session.run(None, values)]


def cache_folder() -> Path:
    """Return where exported graphs are kept."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'hand_pose_ros' / 'onnx'


def _densereg(outputs: list[Tensor]) -> list[DenseFields]:
    heat_2d, heat_3d, direction = outputs
    return [DenseFields(heat_2d=heat_2d, heat_3d=heat_3d, direction=direction)]


_RESULTS: dict[str, Callable[[list[Tensor]], Any]] = {'densereg': _densereg}

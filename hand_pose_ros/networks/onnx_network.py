"""ONNX network: a network's graphs run by onnxruntime, called like the PyTorch network."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.dense_votes import DenseFields
from hand_pose_ros.networks.hand_completer import HandCompleter
from hand_pose_ros.networks.joint_maps import MappedJoints
from hand_pose_ros.networks.onnx_export import EXTRA, WILDHANDS_OUTPUTS, export_part, parts
from hand_pose_ros.networks.wildhands import WildHandsOutput


class OnnxNetwork:
    """What the ONNX networks have in common: their graphs.

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
        self._network: Any = loaded.network
        self._graphs = {}
        for part in parts(loaded):
            stem = f'{loaded.model_hash[:16]}_{part.name or loaded.name}_{torch.__version__}'
            path = (folder or cache_folder()) / f'{stem}.onnx'
            if not path.is_file():
                export_part(part, path)
            self._graphs[part.name] = Graph(path)

    def eval(self) -> 'OnnxNetwork':
        """Return the network, which is always in evaluation mode."""
        return self


class OnnxTherFormer(OnnxNetwork):
    """TherFormer as ``TherFormerStream`` calls it."""

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vector (1, features) and mask logits (1, 1, h, w) of an image."""
        vector, mask_logits = self._graphs['encode'](images)
        return vector, mask_logits

    def decode(
        self, features: Tensor, intrinsics: Tensor, *, image_size: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return joints, pixels and depth of the frames of one clip (1, T, features)."""
        joints, pixels, depth = self._graphs['decode'](features, intrinsics)
        return joints, pixels, depth


class OnnxWildHands(OnnxNetwork):
    """WildHands; the mesh is made by the hand model in PyTorch."""

    def __call__(
        self, image: Tensor, crops: Tensor, intrinsics: Tensor, boxes: Tensor, *,
        mesh: bool = False,
    ) -> WildHandsOutput:  # fmt: skip
        """Estimate both hands in one frame."""
        values = self._graphs[''](image, crops, intrinsics, boxes)
        pose, maps = values[: len(WILDHANDS_OUTPUTS)], values[len(WILDHANDS_OUTPUTS) :]
        found = dict(zip(WILDHANDS_OUTPUTS, pose, strict=True))
        vertices = None
        if mesh:
            posed = self._network.hand_model(
                found['rotations'], found['betas'], found['translation'], mesh=True
            )
            vertices = posed.vertices
        mapped = MappedJoints(maps[0], maps[1], torch.empty(0)) if maps else None
        return WildHandsOutput(**found, vertices=vertices, grasp_logits=None, maps=mapped)


class OnnxDenseReg(OnnxNetwork):
    """DenseReg's last stack; hands are completed in PyTorch, which takes no time.

    Attributes:
        completer: the network's.
    """

    @property
    def completer(self) -> HandCompleter | None:
        """What completes hands, if the network has it."""
        completer: HandCompleter | None = self._network.completer
        return completer

    def __call__(self, crop: Tensor) -> list[DenseFields]:
        """Return the fields of crops, as the network takes them."""
        heat_2d, heat_3d, direction, *refined = self._graphs[''](crop)
        correction, log_error = refined or (None, None)
        return [
            DenseFields(
                heat_2d=heat_2d, heat_3d=heat_3d, direction=direction,
                correction=correction, log_error=log_error,
            )
        ]  # fmt: skip


def onnx_network(loaded: LoadedNetwork, folder: Path | None = None) -> OnnxNetwork:
    """Return a loaded network for onnxruntime, called like the PyTorch one.

    Raises:
        ModelError: see ``OnnxNetwork``.
    """
    kinds = {'therformer': OnnxTherFormer, 'wildhands': OnnxWildHands, 'densereg': OnnxDenseReg}
    return kinds[loaded.name](loaded, folder)


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
            name: np.ascontiguousarray(tensor.detach().numpy())
            for name, tensor in zip(self._inputs, inputs, strict=True)
        }
        return [torch.from_numpy(value) for value in self._session.run(None, values)]


def cache_folder() -> Path:
    """Return where exported graphs are kept."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'hand_pose_ros' / 'onnx'

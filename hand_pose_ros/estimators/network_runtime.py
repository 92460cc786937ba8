"""Network runtime: loads a trained model onto a device, in PyTorch or onnxruntime."""

import importlib.util
from typing import Any

import torch

from hand_pose_ros.errors import HandPoseError, ModelError
from hand_pose_ros.estimators import trained_models
from hand_pose_ros.estimators.network_config import ModelConfig
from hand_pose_ros.networks.checkpoint import LoadedNetwork, load_checkpoint
from hand_pose_ros.networks.onnx_network import onnx_network

RUNTIMES = ('auto', 'torch', 'onnx')
# Networks that onnxruntime runs faster than PyTorch on a CPU (benchmarks/fusion.py --runtimes).
# TherFormer is not one: in PyTorch its attention skips all tokens that look nowhere.
FASTER_WITH_ONNX = ('wildhands', 'densereg')


def device_of(name: str) -> torch.device:
    """Return the device an option names.

    Raises:
        ModelError: it does not exist or is not there.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f'device {name!r} does not exist: use auto, cpu, cuda or cuda:1') from None
    if device.type not in ('cpu', 'cuda'):
        raise ModelError(f'device {name!r} is not supported: use auto, cpu or cuda')
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f'device {name!r} is not there ({torch.cuda.device_count()} GPUs): use auto or cpu'
        )
    return device


def load_model(network: str, config: ModelConfig, modality: str = '') -> LoadedNetwork:
    """Load a trained model.

    Args:
        network: registered name of the network.
        config: which model, device and runtime.
        modality: what its images must show; models that do not say fit anything.

    Returns:
        the network in evaluation mode; with onnxruntime it has the same methods.

    Raises:
        ModelError: there is no such model, or it cannot be used.
    """
    device = device_of(config.device)
    in_onnx = _uses_onnx(network, config.runtime, device)
    path = trained_models.find(network, config.model, modality)
    loaded = load_checkpoint(path, device, expected=network)
    if in_onnx:
        fast: Any = onnx_network(loaded)
        return LoadedNetwork(network=fast, name=loaded.name, config=loaded.config, card=loaded.card)
    return loaded


def _uses_onnx(network: str, runtime: str, device: torch.device) -> bool:
    if runtime not in RUNTIMES:
        raise HandPoseError(f'runtime {runtime!r} does not exist: use {", ".join(RUNTIMES)}')
    if runtime == 'onnx' and device.type != 'cpu':
        raise ModelError(
            f"runtime 'onnx' runs on the CPU but device is {device.type!r}: use runtime 'torch'"
        )
    if runtime == 'auto':
        installed = importlib.util.find_spec('onnxruntime') and importlib.util.find_spec('onnx')
        return network in FASTER_WITH_ONNX and device.type == 'cpu' and bool(installed)
    return runtime == 'onnx'

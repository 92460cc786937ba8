"""Checkpoints: weights as safetensors and a JSON card beside them; nothing is ever unpickled."""

import dataclasses
import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.registry import NETWORKS, create_network, network_config
from hand_pose_ros.whole_file import whole_file

FORMAT = 1
SHIPPED = Path(__file__).parents[1] / 'assets' / 'networks'
# What the writer of a card says itself, and what is measured of the weights afterwards.
_WRITTEN = {'format', 'network', 'config', 'parameters', 'git_revision', 'sha256', 'noise'}
_MAXIMUM_CARD = 4 << 20
_MAXIMUM_WEIGHTS = 4 << 30


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedNetwork:
    """A network read from a checkpoint.

    Attributes:
        network: in evaluation mode, float32.
        name: registered name.
        config: its frozen configuration.
        card: everything the card says.
    """

    network: nn.Module
    name: str
    config: Any
    card: dict[str, Any]

    @property
    def model_hash(self) -> str:
        """SHA-256 (hex) of the weights file."""
        return str(self.card['sha256'])


def shipped_weights(network: str, stream: str = '') -> Path:
    """Return the weights that ship with the package for a network, for example ``wildhands``.

    Args:
        network: registered name.
        stream: what its images show; where no weights of the network's were trained on that, such
            as ``wildhands_thermal``, those called like the network alone.

    Raises:
        ModelError: there are none.
    """
    shipped = {file.stem: file for file in sorted(SHIPPED.glob('*.safetensors'))}
    path = shipped.get(f'{network}_{stream}') or shipped.get(network)
    if path is None:
        known = ', '.join(shipped)
        raise ModelError(f'no weights ship for {network!r}: use {known}, or the path of a file')
    return path


def card_path(path: Path) -> Path:
    """Return where the card of a weights file lies."""
    return path.with_suffix('.json')


def save_checkpoint(
    path: Path, network: nn.Module, name: str, config: Any, card: Mapping[str, Any], *,
    half: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write ``path`` (safetensors) and its card; a reader sees the old pair or the new one.

    Args:
        path: ends in ``.safetensors``.
        network: its state is stored.
        name: registered name of the network.
        config: its frozen configuration.
        card: what else to record: data, metrics, seed, hardware, time.
        half: store floating-point numbers with 16 bits, for shipping.

    Returns:
        The card as written: ``card`` and network, config, git revision, parameters and hash.

    Raises:
        ModelError: the files cannot be written.
    """
    if path.suffix != '.safetensors':
        raise ModelError(f'checkpoint {path} must end in .safetensors: rename it')
    tensors = {
        key: _stored(tensor, half) for key, tensor in network.state_dict().items()
    }  # contiguous copies on the CPU
    content = save(tensors)
    full = {
        'format': FORMAT,
        'network': name,
        'config': dataclasses.asdict(config),
        'parameters': sum(parameter.numel() for parameter in network.parameters()),
        'git_revision': git_revision(),
        **card,
        'sha256': hashlib.sha256(content).hexdigest(),
    }
    text = json.dumps(full, indent=2, allow_nan=False).encode() + b'\n'
    try:
        for place, data in ((path, content), (card_path(path), text)):
            with whole_file(place) as file:
                file.write(data)
    except OSError as error:
        raise ModelError(
            f'cannot write {path} ({error.strerror}): choose another folder'
        ) from error
    return full


def read_card(path: Path) -> dict[str, Any]:
    """Return the card of a checkpoint.

    Raises:
        ModelError: there is none, or it is not a card of ours.
    """
    place = card_path(path)
    try:
        if place.stat().st_size > _MAXIMUM_CARD:
            raise ModelError(f'{place} is too large to be a card: copy the checkpoint again')
        card = json.loads(place.read_text())
    except OSError as error:
        raise ModelError(
            f'the card {place} cannot be read ({error.strerror}): keep the .json beside the '
            '.safetensors'
        ) from error
    except ValueError as error:
        raise ModelError(f'{place} is not JSON ({error}): copy the checkpoint again') from error
    if not isinstance(card, dict) or card.get('format') != FORMAT:
        raise ModelError(f'{place} is not a card of format {FORMAT}: export the checkpoint again')
    if card.get('network') not in NETWORKS or not isinstance(card.get('config'), dict):
        raise ModelError(
            f'{place} names the network {card.get("network")!r}: known are {", ".join(NETWORKS)}'
        )
    return card


def carried_over(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a card still holds once the weights have changed."""
    return {key: value for key, value in card.items() if key not in _WRITTEN}


def card_modality(card: Mapping[str, Any]) -> str:
    """Return what a checkpoint's training images showed, or empty when its card does not say."""
    data = card.get('data')
    nested = data.get('modality') or data.get('stream') if isinstance(data, dict) else None
    return str(card.get('modality') or nested or '')


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a safetensors file and the file's SHA-256 (hex).

    Raises:
        ModelError: the file is missing, truncated, or of another format, such as a pickle.
    """
    try:
        if path.stat().st_size > _MAXIMUM_WEIGHTS:
            raise ModelError(f'{path} is larger than 4 GiB: this is no checkpoint of ours')
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f'cannot read {path} ({error.strerror}): check the path') from error
    try:
        return load(content), hashlib.sha256(content).hexdigest()
    except SafetensorError as error:
        # The length a safetensors file begins with may look like a pickle's first byte.
        if content[:2] == b'PK' or content[:1] == b'\x80':
            raise ModelError(
                f'{path} is a pickled PyTorch file, which could run code: convert it to '
                'safetensors where it comes from'
            ) from error
        raise ModelError(
            f'{path} is truncated or not a safetensors file ({error}): copy it again'
        ) from error


def load_checkpoint(
    path: Path, device: str | torch.device = 'cpu', expected: str | None = None
) -> LoadedNetwork:
    """Build the network of a checkpoint and load its weights.

    Args:
        path: the ``.safetensors`` file; its card lies beside it.
        device: where the network goes.
        expected: registered name that it must have.

    Raises:
        ModelError: the files are missing, damaged, do not belong together, or hold another network.
    """
    card = read_card(path)
    name = card['network']
    if expected is not None and name != expected:
        raise ModelError(f'{path} holds a {name} network, not {expected}: give a {expected} one')
    weights, digest = read_weights(path)
    if digest != card.get('sha256'):
        raise ModelError(
            f'{path} does not belong to its card (SHA-256 {digest[:12]}... instead of '
            f'{str(card.get("sha256"))[:12]}...): copy both files again'
        )
    try:
        config = network_config(name, card['config'])
        network = create_network(name, config)
    except ModelError as error:
        raise ModelError(
            f'the card of {path} does not describe a {name} network: {error}'
        ) from error
    load_weights(network, weights, path)
    return LoadedNetwork(network=network.to(device).eval(), name=name, config=config, card=card)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Copy weights into a network of exactly this structure.

    Raises:
        ModelError: a tensor is missing, left over or of another shape.
    """
    own = network.state_dict()
    problems = sorted(set(own) ^ set(weights)) or [
        key for key in own if own[key].shape != weights[key].shape
    ]
    if problems:
        raise ModelError(
            f'{path} does not fit its configuration ({len(problems)} tensors differ, first '
            f'{problems[0]!r}): it is a checkpoint of another network'
        )
    network.load_state_dict(dict(weights))


def git_revision() -> str:
    """Return the commit of this checkout, with ``+`` where it has changes, or ``unknown``."""
    folder = Path(__file__).resolve().parents[2]
    try:
        if not (folder / '.git').exists():
            return 'unknown'
        result = subprocess.run(
            ['git', 'describe', '--always', '--abbrev=12', '--dirty=+'],  # noqa: S607
            cwd=folder, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return 'unknown'
    return result.stdout.strip()


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    if half and tensor.is_floating_point():
        tensor = tensor.half()
    return tensor.clone(memory_format=torch.contiguous_format)

"""The networks by name: what a checkpoint's card may ask for."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from torch import nn

from hand_pose_ros.errors import ModelError

# Name -> module, configuration class, network class; imported only when asked for.
NETWORKS: dict[str, tuple[str, str, str]] = {
    'therformer': ('hand_pose_ros.networks.therformer', 'TherFormerConfig', 'TherFormer'),
    'wildhands': ('hand_pose_ros.networks.wildhands', 'WildHandsConfig', 'WildHands'),
    'densereg': ('hand_pose_ros.networks.densereg', 'DenseRegConfig', 'DenseReg'),
}


def network_config(name: str, values: Mapping[str, Any]) -> Any:
    """Return the frozen configuration of a network from plain values, as a card stores them.

    Raises:
        ModelError: the network or one of the options does not exist.
    """
    module, config_name, _ = _entry(name)
    config_class = getattr(importlib.import_module(module), config_name)
    known = {field.name for field in dataclasses.fields(config_class)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ModelError(
            f'{name} has no option {unknown[0]!r}: use one of {", ".join(sorted(known))}'
        )
    try:
        return config_class(**{key: _tuples(value) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ModelError(f'the options of {name} cannot be used: {error}') from error


def create_network(name: str, config: Any) -> nn.Module:
    """Return a newly initialised network.

    Args:
        name: one of ``NETWORKS``.
        config: its configuration, typed or as a mapping.

    Raises:
        ModelError: the network or an option does not exist.
    """
    module, _, class_name = _entry(name)
    if isinstance(config, Mapping):
        config = network_config(name, config)
    network: nn.Module = getattr(importlib.import_module(module), class_name)(config)
    return network


def _entry(name: str) -> tuple[str, str, str]:
    if name not in NETWORKS:
        raise ModelError(f'network {name!r} does not exist: use one of {", ".join(NETWORKS)}')
    return NETWORKS[name]


def _tuples(value: Any) -> Any:
    """Return JSON lists as the tuples that frozen configurations hold."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value

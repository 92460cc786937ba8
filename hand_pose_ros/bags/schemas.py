"""The full text and hash of a message type, collected from installed interface files."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from hand_pose_ros.errors import BagError

_SEPARATOR = '=' * 80
_PRIMITIVE = re.compile(r'^(bool|byte|char|float(32|64)|u?int(8|16|32|64)|w?string)$')
_FIELD = re.compile(r'^([A-Za-z]\w*(?:/\w+)*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*')
_NAME = re.compile(r'^[a-z]\w*/msg/[A-Z]\w*$')


def message_text(type_name: str) -> str:
    """Return the .msg text of a type followed by that of every type it is made of.

    Each dependency follows a line of 80 ``=`` and one ``MSG: package/Type``, as bags store it.

    Args:
        type_name: for example ``sensor_msgs/msg/Image``.

    Raises:
        BagError: if the interface file of the type or of a dependency is not installed.
    """
    parts = [_interface_file(type_name, '.msg').read_text(encoding='utf-8')]
    for dependency in _dependencies(type_name):
        package, _, name = dependency.split('/')
        text = _interface_file(dependency, '.msg').read_text(encoding='utf-8')
        parts.append(f'{_SEPARATOR}\nMSG: {package}/{name}\n{text}')
    return '\n'.join(part.rstrip('\n') for part in parts) + '\n'


def type_hash(type_name: str) -> str:
    """Return the RIHS01 hash of a type, or an empty string where the installation has none."""
    try:
        described = json.loads(_interface_file(type_name, '.json').read_text(encoding='utf-8'))
    except BagError:
        return ''
    hashes = {entry['type_name']: entry['hash_string'] for entry in described['type_hashes']}
    return hashes.get(type_name, '')


def _interface_file(type_name: str, suffix: str) -> Path:
    """Find ``share/<package>/msg/<Type><suffix>`` in the ament prefixes or the environment."""
    if not _NAME.match(type_name):
        raise BagError(f'message type {type_name!r} is not of the form package/msg/Type.')
    package, _, name = type_name.split('/')
    prefixes = [
        entry for entry in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if entry
    ]
    for prefix in (*prefixes, sys.prefix):
        path = Path(prefix) / 'share' / package / 'msg' / f'{name}{suffix}'
        if path.is_file():
            return path
    searched = ', '.join([*prefixes, sys.prefix])
    raise BagError(
        f'the interface of {type_name} is not installed in {searched}: install the ROS package '
        f'{package} or run this where ROS is set up.'
    )


def _dependencies(type_name: str) -> list[str]:
    """All types a type is made of, each once, in the order they are met."""
    found: list[str] = []
    pending = [type_name]
    while pending:
        for dependency in _field_types(pending.pop(0)):
            if dependency not in found and dependency != type_name:
                found.append(dependency)
                pending.append(dependency)
    return found


def _field_types(type_name: str) -> Iterator[str]:
    """The message types of a type's own fields, as ``package/msg/Type``."""
    package = type_name.split('/')[0]
    for line in _interface_file(type_name, '.msg').read_text(encoding='utf-8').splitlines():
        match = _FIELD.match(line.split('#')[0].strip())
        if match is None or _PRIMITIVE.match(match[1]):
            continue
        parts = match[1].split('/')
        yield f'{parts[0]}/msg/{parts[-1]}' if len(parts) > 1 else f'{package}/msg/{parts[0]}'

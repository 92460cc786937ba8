"""Frozen dataclasses out of YAML mappings: typed, and complaints name the key and its nearest."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from hand_pose_ros.errors import RigError, TrainingError
from hand_pose_ros.rig.parsing import read_yaml, shown, suggestion

Config = TypeVar('Config')


def read_mapping(path: Path) -> Any:
    """Parse a YAML file; raises TrainingError with the file and line."""
    try:
        return read_yaml(path)
    except RigError as error:
        raise TrainingError(str(error).replace('a rig file', 'a training file')) from None


def typed(
    kind: type[Config], content: Any, source: str, path: str = '', base: Config | None = None
) -> Config:
    """Make a frozen dataclass from a mapping whose keys are its fields.

    Nested dataclasses, tuples of them, ``Literal`` choices, ``Path``, optional values, numbers,
    texts and flags are checked against the annotations.

    Args:
        kind: the dataclass.
        content: the parsed mapping; None stands for an empty one.
        source: file name for messages.
        path: dotted key path of this mapping in the file.
        base: takes the place of the defaults.

    Raises:
        TrainingError: a key is unknown or missing, or a value has the wrong type.
    """
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        _fail(source, path or 'the file', f'must be a mapping of keys, got {shown(content)}')
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in content:
        if key not in fields:
            name = _join(path, str(key))
            _fail(source, name, f'is unknown{suggestion(str(key), list(fields))}')
    hints = typing.get_type_hints(kind)
    values = {
        key: _value(hints[key], value, source, _join(path, key)) for key, value in content.items()
    }
    if base is None:
        for name, field in fields.items():
            required = (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            )
            if required and name not in values:
                _fail(source, _join(path, name), 'is missing, add it')
    try:
        return kind(**values) if base is None else dataclasses.replace(base, **values)  # type: ignore[type-var]
    except (ValueError, TypeError) as error:
        return _fail(source, path or 'the file', f'cannot be used: {error}')


def plain(value: Any) -> Any:
    """Return a configuration as JSON can store it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _value(kind: Any, value: Any, source: str, path: str) -> Any:
    """Return a value checked against an annotation."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _union(arguments, value, source, path)
    if origin is Literal:
        if value not in arguments:
            _fail(source, path, f'is {value!r}{suggestion(str(value), list(map(str, arguments)))}')
        return value
    if origin is tuple:
        return _tuple(arguments, value, source, path)
    if origin in (dict, Mapping) or getattr(origin, '__name__', '') == 'Mapping':
        if not isinstance(value, Mapping):
            _fail(source, path, f'must be a mapping of keys, got {shown(value)}')
        return dict(value)
    if dataclasses.is_dataclass(kind):
        return typed(typing.cast(type[Any], kind), value, source, path)
    return _scalar(kind, value, source, path)


def _union(arguments: tuple[Any, ...], value: Any, source: str, path: str) -> Any:
    kinds = [kind for kind in arguments if kind is not type(None)]
    for kind in kinds[:-1]:
        try:
            return _value(kind, value, source, path)
        except TrainingError:
            continue
    return _value(kinds[-1], value, source, path)


def _tuple(arguments: tuple[Any, ...], value: Any, source: str, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        _fail(source, path, f'must be a list, got {shown(value)}')
    kinds = list(arguments)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = [kinds[0]] * len(value)
    if len(kinds) != len(value):
        _fail(source, path, f'must be a list of {len(kinds)} values, got {shown(value)}')
    return tuple(
        _value(kind, item, source, f'{path}[{index}]')
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _scalar(kind: Any, value: Any, source: str, path: str) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            _fail(source, path, f'must be true or false, got {shown(value)}')
        return value
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            _fail(source, path, f'must be a whole number, got {shown(value)}')
        return value
    if kind is float:
        # YAML 1.1 reads 1e-3 (no dot) as text; people write it all the same.
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            _fail(source, path, f'must be a finite number, got {shown(value)}')
        return number
    if kind in (str, Path):
        if not isinstance(value, str | Path) or not str(value):
            _fail(source, path, f'must be text, got {shown(value)}')
        return kind(value)
    return value


def _join(path: str, key: str) -> str:
    return f'{path}.{key}' if path else key


def _fail(source: str, path: str, problem: str) -> typing.NoReturn:
    raise TrainingError(f'{source}: {path} {problem}') from None

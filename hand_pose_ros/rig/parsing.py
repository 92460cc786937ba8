"""Reading configuration mappings: every complaint names the file, the key path and the fix."""

import difflib
import math
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import yaml
from numpy.typing import NDArray

from hand_pose_ros.errors import RigError

_MISSING = object()


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    line = key_node.start_mark.line + 1
                    raise RigError(f'line {line}: {key!r} is given twice, remove one')
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Parse a YAML (or JSON) file with the safe loader; raises RigError with file and line."""
    try:
        text = path.read_text(encoding='utf-8')
    except OSError as error:
        raise RigError(f'{path}: cannot be read ({error.strerror}), check the path') from error
    except UnicodeDecodeError as error:
        raise RigError(f'{path}: is not UTF-8 text, is it really a rig file?') from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML with the safe loader; raises RigError with source and line."""
    try:
        # A SafeLoader that only refuses more.
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506
    except RigError as error:
        raise RigError(f'{source}: {error}') from None
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        where = f'line {mark.line + 1}: ' if mark else ''
        problem = getattr(error, 'problem', None) or 'not valid'
        raise RigError(f'{source}: {where}not valid YAML ({problem}), correct that line') from error


def suggestion(key: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return ", did you mean ...?" for the nearest known key, or the list of known keys."""
    names = [str(name) for name in known]
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    if near:
        return f', did you mean {near[0]!r}?'
    return f', use one of {", ".join(names)}' if names else ', remove it'


def shown(value: Any) -> str:
    """Return a value as complaints quote it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'


class Section:
    """One mapping of a configuration file, read key by key.

    Each ``take`` marks its key as known; ``finish`` refuses the keys nobody took.

    Args:
        content: the parsed mapping.
        source: file name for messages.
        path: dotted key path of this mapping inside the file.
    """

    def __init__(self, content: Any, source: str, path: str = '') -> None:
        """Wrap ``content``; raises RigError when it is not a mapping with text keys."""
        self.source = source
        self.path = path
        if content is None:
            content = {}
        if not isinstance(content, Mapping):
            self._raise(self.path or 'the file', f'must be a mapping of keys, got {shown(content)}')
        for key in content:
            if not isinstance(key, str):
                self._raise(self._path(str(key)), 'is not text, put the key in quotes')
        self.content: Mapping[str, Any] = content
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        """Say whether the key is present and not null."""
        self._note(key)
        return self.content.get(key) is not None

    def take(self, key: str, default: Any = _MISSING) -> Any:
        """Return the raw value of a key; a missing key without default raises RigError."""
        self._note(key)
        value = self.content.get(key)
        if value is not None:
            return value
        if default is _MISSING:
            # A near miss among the keys is the likelier story than a forgotten key.
            for other in self.content:
                if other not in self._known and difflib.get_close_matches(key, [other], 1, 0.75):
                    self._raise(self._path(other), f'is unknown, did you mean {key!r}?')
            self._raise(self._path(key), 'is missing, add it')
        return default

    def text(self, key: str, default: Any = _MISSING, *, choices: tuple[str, ...] = ()) -> str:
        """Return a text value, optionally one of ``choices``."""
        value = self.take(key, default)
        if value is default:
            return value
        if not isinstance(value, str) or not value:
            self.error(key, f'must be text, got {shown(value)}')
        if choices and value not in choices:
            self.error(key, f'is {value!r}{suggestion(value, list(choices))}')
        return value

    def flag(self, key: str, default: Any = _MISSING) -> bool:
        """Return true or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            self.error(key, f'must be true or false, got {shown(value)}')
        return value

    def number(
        self,
        key: str,
        default: Any = _MISSING,
        *,
        minimum: float = -math.inf,
        maximum: float = math.inf,
        above: float = -math.inf,
        finite: bool = True,
    ) -> float:
        """Return a float within [minimum, maximum] and greater than ``above``."""
        value = self.take(key, default)
        if value is default:
            return value
        number = self._number(key, value)
        if finite and not math.isfinite(number):
            self.error(key, f'must be a finite number, got {shown(value)}')
        if number < minimum or number <= above or number > maximum or math.isnan(number):
            limits = f'above {above:g}' if above > -math.inf else f'at least {minimum:g}'
            if maximum < math.inf:
                limits += f' and at most {maximum:g}'
            self.error(key, f'must be {limits}, got {shown(value)}')
        return number

    def integer(self, key: str, default: Any = _MISSING, *, minimum: int) -> int:
        """Return an integer of at least ``minimum``."""
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            self.error(key, f'must be a whole number of at least {minimum}, got {shown(value)}')
        return value

    def nanoseconds(self, key: str, default: int, *, minimum: int | None = None) -> int:
        """Return a time given in seconds as integer nanoseconds."""
        value = self.take(key, None)
        if value is None:
            return default
        seconds = self._number(key, value)
        if not math.isfinite(seconds) or abs(seconds) > 1e5:
            self.error(key, f'must be a time in seconds, got {shown(value)}')
        stamp = round(seconds * 1e9)
        if minimum is not None and stamp < minimum:
            self.error(key, f'must be at least {minimum / 1e9:g} seconds, got {shown(value)}')
        return stamp

    def array(
        self, key: str, shapes: tuple[tuple[int, ...], ...], default: Any = _MISSING
    ) -> NDArray[np.float64]:
        """Return finite numbers of one of the given shapes as a float64 array."""
        value = self.take(key, default)
        if value is default:
            return value
        try:
            array = np.array(value, dtype=np.float64)
        except (ValueError, TypeError):
            array = np.full((), np.nan)
        if shapes and array.shape not in shapes:
            wanted = ' or '.join('x'.join(map(str, shape)) for shape in shapes)
            self.error(key, f'must be {wanted} numbers, got {shown(value)}')
        if not np.isfinite(array).all():
            self.error(key, f'must hold finite numbers only, got {shown(value)}')
        return array

    def names(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of distinct texts as a tuple."""
        value = self.take(key, None)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.error(key, f'must be a list of names, got {shown(value)}')
        if len(set(value)) != len(value):
            self.error(key, f'names something twice: {shown(value)}')
        return tuple(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """Return a free-form mapping (empty when absent) with text keys."""
        return dict(self.section(key).content)

    def section(self, key: str) -> 'Section':
        """Return the nested mapping under ``key`` (empty when absent)."""
        return Section(self.take(key, {}), self.source, self._path(key))

    def finish(self) -> None:
        """Refuse every key that nobody asked for, naming the nearest known one."""
        for key in self.content:
            if key not in self._known:
                self._raise(self._path(key), f'is unknown{suggestion(key, self._known)}')

    def error(self, key: str, problem: str) -> NoReturn:
        """Raise RigError about ``key``."""
        self._raise(self._path(key), problem)

    def wrap(self, key: str, make: Callable[[], Any]) -> Any:
        """Call ``make`` and put the key path before the text of a RigError it raises."""
        try:
            return make()
        except RigError as error:
            self._raise(self._path(key) if key else self.path, str(error), glue=': ')

    def _number(self, key: str, value: Any) -> float:
        # YAML 1.1 reads 1e-3 (no dot) as text; people write it all the same.
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except (ValueError, OverflowError):
                pass
        return self.error(key, f'must be a number, got {shown(value)}')

    def _note(self, key: str) -> None:
        if key not in self._known:
            self._known.append(key)

    def _path(self, key: str) -> str:
        return f'{self.path}.{key}' if self.path else key

    def _raise(self, path: str, problem: str, glue: str = ' ') -> NoReturn:
        raise RigError(f'{self.source}: {path}{glue}{problem}') from None

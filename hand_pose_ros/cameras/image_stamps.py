"""Acquisition stamps of recorded images: from a list beside them, from their names, or by rate."""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hand_pose_ros.errors import CameraError

STAMP_FILES = ('stamps.csv', 'timestamps.csv', 'timestamps.txt', 'stamps.txt')

# Unix times of this century have so many digits, by unit.
_UNITS = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}

_NAME_STAMP = re.compile(r'(?<![0-9.])(\d{10}\.\d{1,9}|\d{19}|\d{16}|\d{13})(?![0-9])')


def stamp_of_name(name: str) -> int | None:
    """Return the stamp in nanoseconds that a file name holds, or None.

    Taken are Unix times in ns (19 digits), us (16), ms (13), or seconds with a decimal point.
    """
    found = _NAME_STAMP.search(Path(name).stem)
    return _nanoseconds(found.group(1)) if found else None


def stamps_from_names(paths: list[Path]) -> list[int] | None:
    """Return the stamps of all files, or None unless every name holds one."""
    stamps = [stamp_of_name(path.name) for path in paths]
    found = [stamp for stamp in stamps if stamp is not None]
    return found if len(found) == len(paths) else None


def stamps_from_rate(count: int, rate: float) -> list[int]:
    """Return evenly spaced stamps; the first is one period, since 0 means "no stamp" in ROS."""
    return [round((index + 1) * 1e9 / rate) for index in range(count)]


def stamps_from_file(folder: Path, paths: list[Path]) -> list[int] | None:
    """Return the stamps that a ``stamps.csv`` or ``timestamps.txt`` in the folder gives.

    Lines are ``name, stamp`` or, for all images in order, just ``stamp``. Integers of 10, 13 or 16
    digits are Unix times in s, ms or us, other integers nanoseconds; numbers with a point seconds.

    Returns:
        Nanoseconds in the order of ``paths``, or None when there is no such file.

    Raises:
        CameraError: naming the file and line that does not fit.
    """
    for name in STAMP_FILES:
        if (folder / name).is_file():
            return _read(folder / name, paths)
    return None


def _read(file: Path, paths: list[Path]) -> list[int]:
    try:
        lines = file.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f'{file}: cannot be read ({error}), check the file') from error
    rows = list(_rows(file, lines))
    if rows and rows[0][0] is None:
        if len(rows) != len(paths):
            raise CameraError(
                f'{file}: has {len(rows)} stamps for {len(paths)} images, give one per image'
            )
        return [stamp for _, stamp in rows]
    by_name = {name: stamp for name, stamp in rows if name}
    stamps = []
    for path in paths:
        stamp = by_name.get(path.name, by_name.get(path.stem))
        if stamp is None:
            raise CameraError(f'{file}: has no stamp for {path.name}, add one')
        stamps.append(stamp)
    return stamps


def _rows(file: Path, lines: list[str]) -> Iterable[tuple[str | None, int]]:
    for number, line in enumerate(lines, start=1):
        fields = [field for field in re.split(r'[,;\s]+', line.strip()) if field]
        if not fields or fields[0].startswith('#'):
            continue
        try:
            stamp = _nanoseconds(fields[-1])
        except (InvalidOperation, ValueError, OverflowError):
            if number == 1:  # a header
                continue
            raise CameraError(
                f'{file}: line {number} ({line.strip()!r}) does not end in a stamp, correct it'
            ) from None
        yield (fields[0] if len(fields) > 1 else None), stamp


def _nanoseconds(text: str) -> int:
    if text.isdecimal():
        return int(text) * _UNITS.get(len(text), 1)
    return int(Decimal(text).scaleb(9).to_integral_value())

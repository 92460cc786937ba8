"""Tables: named arrays in a npz file that is replaced whole and read without pickles."""

import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.whole_file import whole_file


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole: a reader, or a kill at any moment, finds the old or the new content.

    Raises:
        DataError: if it cannot be written.
    """
    try:
        with whole_file(path) as stream:
            stream.write(data)
    except OSError as error:
        raise DataError(f'{path} cannot be written ({error.strerror}): free or name it.') from None


def write_table(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a npz file, whole or not at all.

    Raises:
        DataError: if it cannot be written.
    """
    content = BytesIO()
    np.savez_compressed(content, allow_pickle=False, **dict(arrays))
    replace_file(path, content.getvalue())


def read_table(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read all arrays of a npz file.

    Args:
        path: the file.
        names: arrays it must hold.

    Raises:
        DataError: if it is missing, damaged or lacks one of the names.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f'{path} does not exist: run the step that writes it.') from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f'{path} is damaged ({error}): write it again.') from None
    for name in names:
        if name not in arrays:
            raise DataError(f'{path} holds no {name}: it was written by something else.')
    return arrays

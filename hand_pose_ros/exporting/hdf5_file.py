"""HDF5 files on disks that may be full: an error ends the export, not the program.

The HDF5 library cannot close a file that it could not write: it raises again, and crashes when the
program ends. So it writes through an object that keeps the first error to itself until HDF5 is out
of the way.
"""

import io
from pathlib import Path
from types import TracebackType
from typing import Any

from hand_pose_ros.errors import DataError


class Hdf5File:
    """An HDF5 file open for writing; use as a context manager.

    Attributes:
        content: the open ``h5py.File``.
    """

    def __init__(self, path: Path) -> None:
        """Create a file, or open one to add to it.

        Raises:
            DataError: naming the extra, if h5py is not installed.
        """
        try:
            import h5py
        except ImportError:
            raise DataError(
                'this export needs the package h5py: pip install -r requirements/export.txt'
            ) from None
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._storage = _Storage(path, 'x+b' if is_new else 'r+b')
        self.content: Any = h5py.File(self._storage, 'w' if is_new else 'r+')

    def check(self) -> None:
        """Raise the OSError that writing met, if any."""
        if self._storage.failure is not None:
            raise self._storage.failure

    def __enter__(self) -> 'Hdf5File':
        """Return the open file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; raises OSError if it is not whole."""
        self.content.close()
        self._storage.close()
        if error is None:
            self.check()


class _Storage(io.FileIO):
    """A file whose writes always seem to succeed."""

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(str(path), mode)
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of the data, unless an earlier write has failed."""
        rest = memoryview(data).cast('B')
        size = len(rest)
        try:
            while self.failure is None and len(rest):
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the file's length, unless something has failed."""
        try:
            if self.failure is None:
                return super().truncate(size)
        except OSError as error:
            self.failure = error
        return size or 0

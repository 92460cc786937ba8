"""FolderLock: keeps two processes from writing into one bag."""

import fcntl
import os
from pathlib import Path

from hand_pose_ros.errors import BagError

LOCK = '.lock'


class FolderLock:
    """Holds a bag's folder; given back by the system when the process ends in any way."""

    def __init__(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            BagError: if another writer holds it, or no file can be made in it.
        """
        self._path = folder / LOCK
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BagError(
                f'bag folder {folder} cannot be written to ({error.strerror}): name another.'
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(self._descriptor, 20).decode('ascii', 'replace').strip()
            os.close(self._descriptor)
            raise BagError(
                f'bag {folder} is being written by process {owner or "?"}: wait for its end or '
                'name another folder.'
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f'{os.getpid()}\n'.encode())

    def release(self) -> None:
        """Give the folder back; may be called more than once."""
        if self._descriptor < 0:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


def refuse_busy(folder: Path) -> None:
    """Make sure that nobody is writing into a bag.

    Raises:
        BagError: if somebody is.
    """
    if (folder / LOCK).is_file():
        FolderLock(folder).release()

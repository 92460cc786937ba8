"""Work folder: what is done of a session, so that a killed run goes on, and one process owns it."""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.labels import SessionLabels

_FOLDER = 'work'


class WorkFolder:
    """Chunks of evidence and of labels under the key of what they depend on.

    Attributes:
        folder: of this key.
        others: folders of other keys, left by runs with other settings.
    """

    def __init__(self, labels: Path, key: str) -> None:
        """Use ``work/KEY`` in a session's folder of labels."""
        self.folder = labels / _FOLDER / key
        parent = self.folder.parent
        self.others = sorted(
            path for path in (parent.iterdir() if parent.is_dir() else ())
            if path.is_dir() and path.name != key
        )  # fmt: skip

    def evidence(self, chunk: int) -> Evidence | None:
        """Return a chunk's evidence, or None when it is not there or damaged: it is made again."""
        try:
            return Evidence.load(self._evidence_file(chunk))
        except DataError:
            return None

    def has_evidence(self, chunk: int) -> bool:
        """Whether a chunk's evidence is there."""
        return self._evidence_file(chunk).is_file()

    def save_evidence(self, chunk: int, evidence: Evidence) -> None:
        """Keep a chunk's evidence, whole or not at all."""
        evidence.save(self._evidence_file(chunk))

    def labels(self, chunk: int) -> SessionLabels | None:
        """Return a chunk's labels, or None when they are not there or damaged."""
        try:
            return SessionLabels.load(self._labels_folder(chunk))
        except DataError:
            return None

    def save_labels(self, chunk: int, labels: SessionLabels) -> None:
        """Keep a chunk's labels, whole or not at all."""
        labels.save(self._labels_folder(chunk))

    def remove_others(self) -> None:
        """Remove what runs with other settings left, after this one has succeeded."""
        for path in self.others:
            shutil.rmtree(path, ignore_errors=True)

    def _evidence_file(self, chunk: int) -> Path:
        return self.folder / f'evidence_{chunk:05d}.npz'

    def _labels_folder(self, chunk: int) -> Path:
        return self.folder / f'labels_{chunk:05d}'


@contextmanager
def owned(labels: Path, doing: str = 'annotated') -> Iterator[None]:
    """Own a session's folder of labels: no second process can; a killed one lets go by itself.

    Args:
        labels: the folder.
        doing: what is done to the session meanwhile, ``annotated`` or ``reviewed``: others are
            told so.

    Raises:
        DataError: naming the process that owns it, or if the folder cannot be made.
    """
    path = labels / _FOLDER / 'lock'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open('a+')
    except OSError as error:
        raise DataError(f'{path} cannot be made ({error.strerror}): free or name it.') from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            holder = stream.read().strip() or 'used by another process'
            raise DataError(f'{labels} is being {holder}: wait for it, or end it first.') from None
        stream.truncate(0)
        stream.write(f'{doing} by process {os.getpid()} on {socket.gethostname()}')
        stream.flush()
        yield

"""Merging: what people said of earlier labels of a session is kept when it is annotated again."""

from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.labels import ABSENT, CORRECTED, UNSEEN, SessionLabels

# A verdict holds as long as the hand stays where it was, metres on average over the joints.
_SAME = 0.003


def refuse_to_lose(folder: Path, stamps: NDArray[np.int64], frame_id: str) -> None:
    """Make sure that new labels at some stamps can take over what people said of the old ones.

    Raises:
        DataError: if the folder's labels are damaged, or reviewed at other stamps or in another
            frame.
    """
    before = _reviewed(folder)
    if before is None:
        return
    if before.frame_id != frame_id:
        raise DataError(
            f'{folder} holds reviewed labels in {before.frame_id}, not in {frame_id}: use the '
            'same rig, or move that folder away.'
        )
    lost = int((~np.isin(before.stamps, stamps)).sum())
    if lost:
        raise DataError(
            f'{folder} holds {lost} reviewed frames at stamps that this rig or these cameras do '
            'not give: use the same ones, or move that folder away.'
        )


def keep_what_people_said(labels: SessionLabels, folder: Path) -> SessionLabels:
    """Return new labels with the corrected hands and the verdicts of the folder's labels.

    A verdict is kept where the new hand is the old one, or both are absent.
    """
    before = _reviewed(folder)
    if before is None:
        return labels
    known = {int(stamp): row for row, stamp in enumerate(before.stamps)}
    for row, stamp in enumerate(labels.stamps.tolist()):
        old = known.get(stamp)
        if old is None:
            continue
        for side in range(2):
            if before.origin[old, side] == CORRECTED:
                _copy(before, old, labels, row, side)
            if _is_same(before, old, labels, row, side):
                labels.verdict[row, side] = before.verdict[old, side]
    return labels


def _reviewed(folder: Path) -> SessionLabels | None:
    """Return the rows of a folder's labels that people said something of, if there are any."""
    if not (folder / 'labels.npz').is_file():
        return None
    labels = SessionLabels.load(folder)
    said = ((labels.verdict != UNSEEN) | (labels.origin == CORRECTED)).any(axis=1)
    return labels.take(said) if said.any() else None


def _copy(source: SessionLabels, old: int, target: SessionLabels, row: int, side: int) -> None:
    for entry in fields(SessionLabels):
        if entry.name not in ('stamps', 'numbers', 'frame_id', 'residuals', 'verdict'):
            getattr(target, entry.name)[row, side] = getattr(source, entry.name)[old, side]


def _is_same(before: SessionLabels, old: int, labels: SessionLabels, row: int, side: int) -> bool:
    if ABSENT in (before.origin[old, side], labels.origin[row, side]):
        return bool(before.origin[old, side] == labels.origin[row, side])
    away = np.linalg.norm(before.joints[old, side] - labels.joints[row, side], axis=1)
    return bool(away.mean() < _SAME)

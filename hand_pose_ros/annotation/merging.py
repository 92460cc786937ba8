"""Merging: what people said of earlier labels of a session is kept when it is annotated again."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.labels import ABSENT, CORRECTED, UNSEEN, SessionLabels

# A verdict holds as long as the hand stays where it was, metres on average over the joints.
_SAME = 0.003


def keep_what_people_said(labels: SessionLabels, folder: Path) -> SessionLabels:
    """Return new labels with the corrected hands and the verdicts of the folder's labels.

    A verdict is kept where the new hand is the old one, or both are absent.

    Raises:
        DataError: if the folder's labels are damaged or belong to other frames, so that nobody's
            work is lost.
    """
    if not (folder / 'labels.npz').is_file():
        return labels
    before = SessionLabels.load(folder)
    said = ((before.verdict != UNSEEN) | (before.origin == CORRECTED)).any(axis=1)
    if not said.any():
        return labels
    if before.frame_id != labels.frame_id:
        raise DataError(
            f'{folder} holds reviewed labels in {before.frame_id}, not in {labels.frame_id}: '
            'use the same rig, or move that folder away.'
        )
    lost = int((said & ~np.isin(before.stamps, labels.stamps)).sum())
    if lost:
        raise DataError(
            f'{folder} holds {lost} reviewed frames at stamps that this rig or these cameras do '
            'not give: use the same ones, or move that folder away.'
        )
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


def _copy(source: SessionLabels, old: int, target: SessionLabels, row: int, side: int) -> None:
    for entry in fields(SessionLabels):
        if entry.name not in ('stamps', 'numbers', 'frame_id', 'residuals', 'verdict'):
            getattr(target, entry.name)[row, side] = getattr(source, entry.name)[old, side]


def _is_same(before: SessionLabels, old: int, labels: SessionLabels, row: int, side: int) -> bool:
    if ABSENT in (before.origin[old, side], labels.origin[row, side]):
        return bool(before.origin[old, side] == labels.origin[row, side])
    away = np.linalg.norm(before.joints[old, side] - labels.joints[row, side], axis=1)
    return bool(away.mean() < _SAME)

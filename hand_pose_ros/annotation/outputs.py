"""Outputs: what an annotation writes for others, beside the table of labels."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hand_pose_ros import __version__
from hand_pose_ros.annotation.label_bag import write_label_bag
from hand_pose_ros.annotation.report import summary
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.annotation.thermohands_tree import write_thermohands
from hand_pose_ros.errors import RigError
from hand_pose_ros.sessions.labels import LABEL_BAG, SessionLabels
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.sessions.tables import replace_file

OUTPUTS = ('bag', 'thermohands')

Progress = Callable[[str, int, int], None]


def write_outputs(
    folder: Path,
    session: Session,
    labels: SessionLabels,
    settings: Settings,
    *,
    outputs: tuple[str, ...] = OUTPUTS,
    subject: int = 3,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Write the outputs and ``report.json`` into a session's folder of labels.

    Args:
        folder: of the labels.
        session: open.
        labels: of the session.
        settings: they were made with.
        outputs: some of ``OUTPUTS``.
        subject: number of the person in the ThermoHands tree.
        progress: told a stage, the rows done of it, and all of them.

    Returns:
        the report; ``notes`` says what could not be written and why.
    """
    total, notes = len(labels.stamps), []
    if 'bag' in outputs:
        write_label_bag(folder / LABEL_BAG, session, labels, lambda n: progress('masks', n, total))
    if 'thermohands' in outputs:
        try:
            frames = write_thermohands(
                folder / 'thermohands', session, labels, subject=subject,
                progress=lambda n: progress('ThermoHands tree', n, total),
            )  # fmt: skip
            if frames < total:
                notes.append(f'thermohands: {total - frames} frames lack an image of the four')
        except RigError as error:
            notes.append(f'thermohands: {error}')
    report = {
        'session': str(session.path),
        'version': __version__,
        'settings': asdict(settings),
        **summary(labels, session.truth()),
        'notes': notes,
    }
    replace_file(folder / 'report.json', (json.dumps(report, indent=2) + '\n').encode())
    return report

"""Session task: one session annotated and its outputs written, on this machine or another."""

import time
from pathlib import Path
from typing import Any

from hand_pose_ros.annotation.outputs import OUTPUTS, write_outputs
from hand_pose_ros.annotation.pipeline import Progress, annotate, quiet
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.sessions.labels import SessionLabels
from hand_pose_ros.sessions.session import Session


def annotate_session(
    path: Path,
    settings: Settings,
    *,
    rig: Path | None = None,
    outputs: tuple[str, ...] = OUTPUTS,
    subject: int = 3,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Annotate a session and return its report, in plain values.

    Args:
        path: the session's bag.
        settings: what to use.
        rig: file to use instead of the recorded rig.
        outputs: what to write beside the labels.
        subject: number of the person in the ThermoHands tree.
        progress: told how far the work is.

    Raises:
        HandPoseError: if the session cannot be annotated.
    """
    report: dict[str, Any] = {}

    def finish(session: Session, labels: SessionLabels, folder: Path) -> None:
        report.update(
            write_outputs(
                folder, session, labels, settings, outputs=outputs, subject=subject,
                progress=progress,
            )
        )  # fmt: skip

    started = time.monotonic()
    result = annotate(path, settings, rig, progress, finish)
    report |= {
        'folder': str(result.folder),
        'seconds': round(time.monotonic() - started, 2),
        'chunks': result.chunks,
        'resumed_chunks': result.resumed,
    }
    if result.left_over:
        report['notes'].append('an unfinished run with other settings or another rig was dropped')
    return report

"""Pipeline: a recorded session in, labels of both hands in every frame and their outputs out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from hand_pose_ros.annotation.evidence import Evidence, joined
from hand_pose_ros.annotation.gathering import Gatherer
from hand_pose_ros.annotation.merging import keep_what_people_said, refuse_to_lose
from hand_pose_ros.annotation.posing import checked_device
from hand_pose_ros.annotation.session_fit import fit_session, session_shape
from hand_pose_ros.annotation.settings import Settings, work_key
from hand_pose_ros.annotation.work import WorkFolder, owned
from hand_pose_ros.annotation.workers import gather_chunks
from hand_pose_ros.errors import BagError
from hand_pose_ros.rig.description import save_rig
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.labels import RIG_FILE, SessionLabels, labels_folder
from hand_pose_ros.sessions.session import Session

# Told a stage, the frames done of it, and all of them.
Progress = Callable[[str, int, int], None]

# Frames of the neighbouring chunks that a chunk is fitted with, so that motion goes on evenly.
_CONTEXT = 30
# Frames the shape of the hands is estimated from.
_SHAPE_FRAMES = 300


def quiet(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Annotation:
    """What came of a session.

    Attributes:
        labels: as saved.
        folder: where they are.
        resumed: chunks that an earlier run had finished.
        chunks: of the session.
        left_over: folders of runs with other settings that were removed.
    """

    labels: SessionLabels
    folder: Path
    resumed: int
    chunks: int
    left_over: int


def annotate(
    path: Path,
    settings: Settings,
    rig: RigDescription | Path | None = None,
    progress: Progress = quiet,
    finish: Callable[[Session, SessionLabels, Path], None] = lambda *_: None,
) -> Annotation:
    """Annotate a session; go on where an earlier run with the same settings ended.

    Args:
        path: the session's bag.
        settings: what to use.
        rig: to use instead of the recorded one.
        progress: told how far the work is.
        finish: writes further outputs while the session is open and owned.

    Raises:
        HandPoseError: if the session cannot be read, cannot be annotated or is being annotated.
    """
    checked_device(settings.device)  # before the images are looked at, which takes longest
    with Session.open(path, rig) as session:
        if not session.sets:
            raise BagError(f'bag {path} has no set of images that belong together by stamp.')
        folder = labels_folder(session.path)
        gatherer = Gatherer(session=session, settings=settings)
        # Many small products: more threads than one wait for each other, tenfold on a busy machine.
        with owned(folder), threadpool_limits(1, user_api='blas'):
            refuse_to_lose(folder, gatherer.stamps, session.rig.reference_camera.frame_id)
            work = WorkFolder(folder, work_key(settings, session))
            resumed = _gather(gatherer, work, progress)
            labels = _fitted(gatherer, work, progress)
            labels = keep_what_people_said(labels, folder)
            if rig is not None:
                # Whoever reads the labels has to see the images with the same calibration.
                save_rig(session.rig, folder / RIG_FILE)
            labels.save(folder)
            finish(session, labels, folder)
            work.remove_others()
        return Annotation(
            labels=labels, folder=folder, resumed=resumed, chunks=len(gatherer.chunks),
            left_over=len(work.others),
        )  # fmt: skip


def _gather(gatherer: Gatherer, work: WorkFolder, progress: Progress) -> int:
    """Make the evidence of the chunks that have none; return how many had."""
    chunks, total = gatherer.chunks, len(gatherer.session.sets)
    missing = [place for place in range(len(chunks)) if work.evidence(place) is None]
    done = total - sum(len(chunks[place]) for place in missing)
    progress('looking', done, total)
    for place in gather_chunks(gatherer, work, missing):
        done += len(chunks[place])
        progress('looking', done, total)
    return len(chunks) - len(missing)


def _fitted(gatherer: Gatherer, work: WorkFolder, progress: Progress) -> SessionLabels:
    chunks, total = gatherer.chunks, len(gatherer.session.sets)
    frame_id = gatherer.session.rig.reference_camera.frame_id
    device = gatherer.settings.device
    shape = None
    parts = []
    for place, chunk in enumerate(chunks):
        labels = work.labels(place)
        if labels is None:
            if shape is None:
                shape = session_shape(_sample(work, len(chunks)), device)
            around = _with_context(work, place, len(chunks))
            labels = fit_session(around, shape, frame_id, device)
            inside = (labels.numbers >= chunk.start) & (labels.numbers < chunk.stop)
            labels = labels.take(inside)
            work.save_labels(place, labels)
        parts.append(labels)
        progress('fitting', chunk.stop, total)
    return _concatenated(parts, frame_id)


def _sample(work: WorkFolder, chunks: int) -> Evidence:
    """Return evidence spread over the session, for the shape."""
    share = max(1, _SHAPE_FRAMES // chunks)
    parts = []
    for place in range(chunks):
        evidence = work.evidence(place)
        assert evidence is not None
        rows = np.flatnonzero(evidence.started.any(axis=1))
        # A run of frames: the chain needs neighbours.
        first = max(0, (len(rows) - share) // 2)
        parts.append(evidence.take(rows[first : first + share]))
    return joined(parts)


def _with_context(work: WorkFolder, place: int, chunks: int) -> Evidence:
    parts = []
    for near in (place - 1, place, place + 1):
        evidence = work.evidence(near) if 0 <= near < chunks else None
        if evidence is not None:
            rows = {-1: slice(-_CONTEXT, None), 0: slice(None), 1: slice(0, _CONTEXT)}
            parts.append(evidence.take(rows[near - place]))
    return joined(parts)


def _concatenated(parts: list[SessionLabels], frame_id: str) -> SessionLabels:
    """Join the labels of chunks in their order."""
    names = (
        'stamps', 'numbers', 'joints', 'global_orient', 'hand_pose', 'betas', 'translation',
        'quality', 'origin',
    )  # fmt: skip
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    residuals = {
        name: np.concatenate([part.residuals[name] for part in parts])
        for name in parts[0].residuals
    }
    return SessionLabels(frame_id=frame_id, residuals=residuals, **arrays)

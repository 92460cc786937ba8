"""SessionLabels: what is known of both hands in every frame of a session."""

import json
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS, HandModelParameters
from hand_pose_ros.sessions.tables import read_table, replace_file, write_table

Array = NDArray[np.float64]
Flags = NDArray[np.uint8]

# Where a hand's label comes from.
ABSENT, FITTED, INTERPOLATED, CORRECTED = range(4)
# What a person said of it.
UNSEEN, ACCEPTED, REJECTED = range(3)

# What a correction changes of a hand.
CORRECTABLE = ('joints', *MODEL_PARAMETERS, 'quality', 'origin')

# In the labels' folder: the rig they were made with, and hands and masks as messages.
RIG_FILE = 'rig.yaml'
LABEL_BAG = 'bag'
_TABLE = 'labels.npz'
_VERDICTS = 'verdicts.json'
# Hands corrected since the table was written, one JSON object a line.
_CORRECTIONS = 'corrections.jsonl'
_RESIDUAL = 'residual_'
# A hand is moved to an image's stamp along its way to a neighbouring frame this near, nanoseconds.
_NEAR = 150_000_000
_SHAPES = {
    'joints': (2, 21, 3), 'global_orient': (2, 3), 'hand_pose': (2, 15, 3), 'betas': (2, 10),
    'translation': (2, 3), 'quality': (2,), 'origin': (2,),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionLabels:
    """Labels of N frames; axis 1 of the arrays is left, right. What is absent is NaN.

    Attributes:
        stamps: (N,) int64 reference stamps, nanoseconds, rising.
        numbers: (N,) int64 numbers of the session's sets.
        frame_id: optical frame of the rig's reference camera, in which everything is.
        joints: (N, 2, 21, 3) metres, internal order.
        global_orient: (N, 2, 3) axis-angle, rad.
        hand_pose: (N, 2, 15, 3) axis-angle in MANO finger order, rad, zero = flat hand.
        betas: (N, 2, 10) shape, one for each side and session.
        translation: (N, 2, 3) metres, added last: wrist = rest wrist + translation.
        quality: (N, 2) in 0..1, higher is better; 0 for an absent hand.
        residuals: per name (N, 2): what is left over of the evidence, for example ``pixels``.
        origin: (N, 2) ``ABSENT``, ``FITTED``, ``INTERPOLATED`` or ``CORRECTED`` (by a person).
        verdict: (N, 2) ``UNSEEN``, ``ACCEPTED`` or ``REJECTED`` in a review.
    """

    stamps: NDArray[np.int64]
    numbers: NDArray[np.int64]
    frame_id: str
    joints: Array
    global_orient: Array
    hand_pose: Array
    betas: Array
    translation: Array
    quality: Array
    origin: Flags
    residuals: dict[str, Array] = field(default_factory=dict)
    verdict: Flags = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Fill in the verdicts and refuse arrays that do not belong together."""
        count = len(self.stamps)
        if self.verdict is None:
            object.__setattr__(self, 'verdict', np.zeros((count, 2), np.uint8))
        shapes = {'numbers': (), 'verdict': (2,)} | _SHAPES
        arrays = {name: getattr(self, name) for name in shapes}
        arrays |= {f'residuals {name}': values for name, values in self.residuals.items()}
        for name, values in arrays.items():
            wanted = (count, *shapes.get(name, (2,)))
            if values.shape != wanted:
                raise DataError(f'labels: {name} has shape {values.shape}, not {wanted}.')

    @classmethod
    def empty(
        cls, stamps: NDArray[np.int64], numbers: NDArray[np.int64], frame_id: str
    ) -> 'SessionLabels':
        """Return labels of frames in which no hand is known yet; their arrays may be filled."""
        count = len(stamps)
        arrays: dict[str, Any] = {
            name: np.full((count, *shape), np.nan) for name, shape in _SHAPES.items()
        }
        arrays['quality'] = np.zeros((count, 2))
        arrays['origin'] = np.zeros((count, 2), np.uint8)
        return cls(stamps=stamps, numbers=numbers, frame_id=frame_id, **arrays)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which hands (N, 2) are labelled and not rejected."""
        return (self.origin != ABSENT) & (self.verdict != REJECTED)

    def parameters(self, row: int, side: int) -> HandModelParameters:
        """Return a copy of the hand-model parameters of a hand."""
        return HandModelParameters(
            **{name: getattr(self, name)[row, side].copy() for name in MODEL_PARAMETERS}
        )

    def neighbour(self, row: int, stamp: int) -> tuple[int, float]:
        """Return the row on whose side of a row's own stamp a stamp lies, and how far on the way.

        The way is not gone (the row itself, 0.0) where that row does not exist or is too far in
        time.

        Args:
            row: whose hands are to be moved.
            stamp: of an image, nanoseconds: cameras of a set do not expose at the same time.
        """
        away = stamp - int(self.stamps[row])
        other = row + int(np.sign(away))
        if other == row or not 0 <= other < len(self.stamps):
            return row, 0.0
        span = int(self.stamps[other]) - int(self.stamps[row])
        share = away / span if span else 0.0
        return (row, 0.0) if abs(span) > _NEAR or share > 1.0 else (other, share)

    def take(self, rows: NDArray[Any]) -> 'SessionLabels':
        """Return the labels of some rows (indices or a mask (N,))."""
        arrays = {
            entry.name: getattr(self, entry.name)[rows]
            for entry in fields(self)
            if entry.name not in ('frame_id', 'residuals')
        }
        residuals = {name: values[rows] for name, values in self.residuals.items()}
        return SessionLabels(frame_id=self.frame_id, residuals=residuals, **arrays)

    def with_verdict(self, row: int, side: int, verdict: int) -> 'SessionLabels':
        """Return the labels with one hand's verdict changed."""
        verdicts = self.verdict.copy()
        verdicts[row, side] = verdict
        return replace(self, verdict=verdicts)

    def save(self, folder: Path) -> None:
        """Write table and verdicts into a folder, each whole or not at all.

        Raises:
            DataError: if they cannot be written.
        """
        arrays = {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if entry.name not in ('frame_id', 'residuals', 'verdict')
        }
        arrays |= {_RESIDUAL + name: values for name, values in self.residuals.items()}
        write_table(folder / _TABLE, arrays | {'frame_id': np.array(self.frame_id)})
        self.save_verdicts(folder)
        # They are in the table now.
        (folder / _CORRECTIONS).unlink(missing_ok=True)

    def save_verdicts(self, folder: Path) -> None:
        """Write the verdicts alone: stamp -> [left, right], only where a person said something."""
        said = np.flatnonzero(self.verdict.any(axis=1))
        # A line a frame, for people; json's own indentation takes five times as long.
        stamps, verdicts = self.stamps[said].tolist(), self.verdict[said].tolist()
        lines = ',\n'.join(
            f' "{stamp}": {pair}' for stamp, pair in zip(stamps, verdicts, strict=True)
        )
        replace_file(folder / _VERDICTS, f'{{\n{lines}\n}}\n'.encode())

    def save_correction(self, folder: Path, row: int, side: int) -> None:
        """Append one hand as it is now to a journal: quicker than writing the whole table again.

        Raises:
            DataError: if it cannot be written.
        """
        values = {name: getattr(self, name)[row, side].tolist() for name in CORRECTABLE}
        line = json.dumps({'stamp': int(self.stamps[row]), 'side': side, **values}) + '\n'
        path = folder / _CORRECTIONS
        try:
            with path.open('a+b') as stream:
                _cut_torn_line(stream)
                stream.write(line.encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise DataError(f'{path} cannot be written ({error.strerror}): free it.') from None

    @classmethod
    def load(cls, folder: Path) -> 'SessionLabels':
        """Read what ``save`` wrote.

        Raises:
            DataError: if there are no labels in the folder or they are damaged.
        """
        path = folder / _TABLE
        if not path.is_file():
            raise DataError(f'{folder} holds no {_TABLE}: run `hand-pose annotate` first.')
        table = read_table(path, ('stamps', 'numbers', 'frame_id', *_SHAPES))
        residuals = {
            name.removeprefix(_RESIDUAL): values
            for name, values in table.items()
            if name.startswith(_RESIDUAL)
        }
        arrays = {name: table[name] for name in ('stamps', 'numbers', *_SHAPES)}
        verdict = _read_verdicts(folder / _VERDICTS, table['stamps'])
        labels = cls(
            frame_id=str(table['frame_id']), residuals=residuals, verdict=verdict, **arrays
        )
        _apply_corrections(labels, folder / _CORRECTIONS)
        return labels


def labels_folder(session: Path) -> Path:
    """Return the folder beside a session's bag in which its labels are."""
    return session.parent / f'{session.name}_labels'


def mask_topic(camera: str) -> str:
    """Return the topic of a camera's label masks in the label bag."""
    return f'/labels/{camera}/mask'


def labelled_rig(session: Path) -> Path | None:
    """Return the file of the rig that a session was annotated with instead of the recorded one."""
    path = labels_folder(session) / RIG_FILE
    return path if path.is_file() else None


def _cut_torn_line(stream: BinaryIO) -> None:
    """Remove the part of a line that a kill, or a full disk, has left at a journal's end."""
    if not stream.seek(0, os.SEEK_END):
        return
    stream.seek(-1, os.SEEK_END)
    if stream.read() != b'\n':
        stream.seek(0)
        stream.truncate(stream.read().rfind(b'\n') + 1)


def _apply_corrections(labels: SessionLabels, path: Path) -> None:
    """Enter the journal of corrections; a last line that a kill has cut is left out."""
    if not path.is_file():
        return
    rows = {int(stamp): row for row, stamp in enumerate(labels.stamps)}
    lines = path.read_bytes().split(b'\n')
    for number, line in enumerate(lines[:-1]):
        try:
            entry = json.loads(line)
            row, side = rows.get(int(entry['stamp'])), int(entry['side'])
            values = {name: np.array(entry[name], np.float64) for name in CORRECTABLE}
            good = side in (0, 1) and all(
                value.shape == getattr(labels, name).shape[2:] for name, value in values.items()
            )
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise DataError(f'{path} line {number + 1} is damaged ({error}): remove it.') from None
        if not good or values['origin'] not in range(CORRECTED + 1):
            raise DataError(f'{path} line {number + 1} is no corrected hand: remove it.')
        if row is not None:
            for name, value in values.items():
                getattr(labels, name)[row, side] = value


def _read_verdicts(path: Path, stamps: NDArray[np.int64]) -> Flags:
    verdicts = np.zeros((len(stamps), 2), np.uint8)
    if not path.is_file():
        return verdicts
    try:
        content = {int(stamp): pair for stamp, pair in json.loads(path.read_text()).items()}
        known = {int(stamp): row for row, stamp in enumerate(stamps)}
        for stamp, (left, right) in content.items():
            if stamp in known:
                verdicts[known[stamp]] = left, right
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f'{path} is no list of verdicts ({error}): mend or remove it.') from None
    if verdicts.max(initial=0) > REJECTED:
        raise DataError(f'{path} has a verdict above {REJECTED}: use 0, 1 or 2.')
    return verdicts

"""The record of a run: one JSON line per entry, and TensorBoard logs of the same numbers."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hand_pose_ros.errors import TrainingError

FILE = 'metrics.jsonl'


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of a run's record, oldest first; a line cut off by a kill is left out."""
    path = folder / FILE
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get('step'), int):
            entries.append(entry)
    return entries


class Journal:
    """Appends entries; a resumed run first forgets what came after its checkpoint."""

    def __init__(self, folder: Path, *, step: int, tensorboard: bool) -> None:
        """Open the record of ``folder`` at ``step``.

        Raises:
            TrainingError: TensorBoard was asked for and is not installed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        kept = [entry for entry in read_journal(folder) if entry['step'] <= step] if step else []
        path = folder / FILE
        path.write_text(''.join(json.dumps(entry) + '\n' for entry in kept), encoding='utf-8')
        self._file = path.open('a', encoding='utf-8')
        self._board = _board(folder / 'tensorboard', step) if tensorboard else None

    def add(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of one step; NaN and infinity become null."""
        numbers = {
            name: float(value) if math.isfinite(value) else None for name, value in values.items()
        }
        self._file.write(json.dumps({'kind': kind, 'step': step, **numbers}) + '\n')
        self._file.flush()
        if self._board is not None:
            for name, value in numbers.items():
                if value is not None:
                    self._board.add_scalar(f'{kind}/{name}', value, step)

    def close(self) -> None:
        """Finish both records."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TrainingError(
            'TensorBoard is not installed: `pip install tensorboard`, or set tensorboard: false'
        ) from None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)

"""The state of a run on disk: written whole or not at all, read without running any code."""

from pathlib import Path
from typing import Any

import torch

from hand_pose_ros.errors import TrainingError
from hand_pose_ros.whole_file import whole_file

FORMAT = 1


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state so that a reader, or a run killed now, finds the old one or the new one.

    Raises:
        TrainingError: the file cannot be written.
    """
    try:
        with whole_file(path) as file:
            torch.save({'format': FORMAT, **state}, file)
    except OSError as error:
        raise TrainingError(
            f'cannot write {path} ({error.strerror}): free space or choose another folder'
        ) from error


def read_state(path: Path) -> dict[str, Any]:
    """Read a state written by ``write_state``.

    Raises:
        TrainingError: there is none, it is damaged, or it is no state of ours.
    """
    if not path.is_file():
        raise TrainingError(f'{path} does not exist: start without --resume')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:
        raise TrainingError(
            f'{path} is damaged or no training state ({type(error).__name__}): remove it and '
            'start again'
        ) from None
    if not isinstance(state, dict) or state.get('format') != FORMAT:
        raise TrainingError(f'{path} is no training state of format {FORMAT}: start again')
    return state

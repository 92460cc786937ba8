"""Trained models: finds, checks and installs the checkpoints of our own networks."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store
from hand_pose_ros.networks.checkpoint import (
    SHIPPED,
    card_modality,
    card_path,
    load_checkpoint,
    read_card,
    read_weights,
)
from hand_pose_ros.whole_file import whole_file

State = Literal['present', 'corrupt']

_SUFFIX = '.safetensors'


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """One checkpoint on this machine.

    Attributes:
        name: of the file without its ending.
        path: of the weights; the card lies beside them.
        size: of the weights in bytes.
        shipped: whether it came with the package.
        card: what its card says; empty when that cannot be read.
        problem: one sentence about what is wrong with it, or empty.
    """

    name: str
    path: Path
    size: int
    shipped: bool
    card: dict[str, Any]
    problem: str = ''

    @property
    def network(self) -> str:
        """Registered name of the network, or ``?``."""
        return str(self.card.get('network', '?'))

    @property
    def state(self) -> State:
        """Whether it can be used, as far as was looked."""
        return 'corrupt' if self.problem else 'present'

    @property
    def modality(self) -> str:
        """What its training images showed, or empty when the card does not say."""
        return card_modality(self.card)


def folders() -> list[Path]:
    """Return where checkpoints are looked for: the user's model folders, then the shipped ones."""
    return [*model_store.search_folders(), SHIPPED]


def available(network: str = '') -> list[TrainedModel]:
    """Return the checkpoints there are, an installed one before a shipped one of its name.

    Only cards are read.

    Args:
        network: registered name they must have; empty for all.
    """
    found: dict[str, TrainedModel] = {}
    for folder in folders():
        for path in sorted(folder.glob(f'*{_SUFFIX}')):
            if path.stem not in found:
                found[path.stem] = _described(path)
    return [model for model in found.values() if network in ('', model.network)]


def checked(model: TrainedModel) -> TrainedModel:
    """Return the model with what is wrong with its weights, which are read and hashed."""
    if model.problem:
        return model
    try:
        _, digest = read_weights(model.path)
    except ModelError as error:
        return _described(model.path, str(error))
    if digest != model.card.get('sha256'):
        return _described(model.path, f'{model.path} does not belong to its card: copy both again')
    return model


def find(network: str, name: str = '', modality: str = '') -> Path:
    """Return the weights of a trained model.

    Args:
        network: registered name of the network.
        name: name of a model, or path of a ``.safetensors`` file; empty for the first that fits,
            the one called like the network before the others.
        modality: what its training images must show; models that do not say fit anything.

    Raises:
        ModelError: there is none.
    """
    if name.endswith(_SUFFIX) or '/' in name:
        return _given(Path(name).expanduser())
    models = [model for model in available(network) if not model.problem]
    if name:
        models = [model for model in models if model.name == name]
    elif modality:
        models = [model for model in models if model.modality in ('', modality)]
    if not models:
        raise ModelError(_missing(network, name, modality))
    return min(models, key=lambda model: model.name != network).path


def install(file: Path, folder: Path | None = None) -> Path:
    """Copy a checkpoint and its card into a model folder after loading it once.

    Args:
        file: the ``.safetensors``; its card lies beside it.
        folder: target; default as for the landmark networks.

    Returns:
        the path of the installed weights.

    Raises:
        ModelError: the checkpoint cannot be used or the folder not be written.
    """
    if file.suffix != _SUFFIX:
        raise ModelError(
            f'{file} is no checkpoint: give the {_SUFFIX} file, with its card (.json) beside it'
        )
    load_checkpoint(file)
    in_environment = sys.prefix != sys.base_prefix
    target = folder or (
        model_store.environment_folder() if in_environment else model_store.user_folder()
    )
    path = target / file.name
    try:
        # The card comes last: until then the new weights do not belong to a card and are refused.
        for source, copy in ((file, path), (card_path(file), card_path(path))):
            if source.resolve() != copy.resolve():
                with source.open('rb') as content, whole_file(copy) as place:
                    shutil.copyfileobj(content, place)
    except OSError as error:
        raise ModelError(
            f'cannot write {path} ({error.strerror}): choose a writable folder with --folder and '
            'name it in HAND_POSE_MODELS'
        ) from error
    return path


def _given(path: Path) -> Path:
    if path.suffix != _SUFFIX or not path.is_file():
        raise ModelError(f'there is no checkpoint {path}: give the path of a {_SUFFIX} file')
    return path


def _described(path: Path, problem: str = '') -> TrainedModel:
    card: dict[str, Any] = {}
    size = 0
    try:
        size = path.stat().st_size
        card = read_card(path)
    except (ModelError, OSError) as error:
        problem = problem or str(error)
    return TrainedModel(
        name=path.stem,
        path=path,
        size=size,
        shipped=path.parent == SHIPPED,
        card=card,
        problem=problem,
    )


def _missing(network: str, name: str, modality: str) -> str:
    wanted = f'no trained model of {network}' if network else 'no trained model'
    if name:
        wanted += f' is called {name!r}'
    elif modality:
        wanted += f' for {modality} images is installed'
    else:
        wanted += ' is installed'
    known = ', '.join(model.name for model in available(network)) or 'none'
    return (
        f'{wanted} (there is {known}): train one with `hand-pose train` or install one with '
        '`hand-pose models install FILE.safetensors`'
    )

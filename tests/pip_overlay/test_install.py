"""The overlay installs a package only where nobody else's is."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROGRAM = 'pip_overlay/install.py'


@pytest.fixture
def environment(tmp_path):
    """A new virtual environment without any package."""
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'v'], check=True)
    return tmp_path / 'v'


def run(environment: Path, repository: Path, **variables: str) -> list[str]:
    python = environment / 'bin' / 'python'
    result = subprocess.run(
        [python, repository / PROGRAM],
        env={'PATH': '/usr/bin:/bin', **variables},
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout.split()


def installed(environment: Path) -> set[str]:
    folder = environment / sysconfig.get_path('purelib', vars={'base': '.', 'platbase': '.'})
    return {path.name for path in folder.iterdir()}


def test_everything_is_installed_where_nothing_is(environment, repository):
    assert run(environment, repository) == ['tf2_msgs']
    assert installed(environment) == {'message_filters', 'sensor_msgs_py', 'tf2_ros'}
    assert run(environment, repository) == ['tf2_msgs']  # and again, without harm


def test_a_package_of_a_ros_installation_is_left_alone(environment, repository, tmp_path):
    other = tmp_path / 'opt' / 'ros'
    for name in ('message_filters', 'tf2_msgs', 'tf2_ros'):
        (other / name).mkdir(parents=True)
        (other / name / '__init__.py').write_text('"""Somebody else\'s."""\n')
    assert run(environment, repository, PYTHONPATH=str(other)) == []
    assert installed(environment) == {'sensor_msgs_py'}


def test_a_package_installed_into_the_same_environment_is_left_alone(environment, repository):
    run(environment, repository)
    folder = environment / sysconfig.get_path('purelib', vars={'base': '.', 'platbase': '.'})
    theirs = folder / 'tf2_ros' / '__init__.py'
    theirs.write_text('"""Somebody else\'s."""\n')
    run(environment, repository)
    assert theirs.read_text() == '"""Somebody else\'s."""\n'


def test_an_older_copy_of_our_own_is_replaced(environment, repository):
    run(environment, repository)
    folder = environment / sysconfig.get_path('purelib', vars={'base': '.', 'platbase': '.'})
    stale = folder / 'tf2_ros' / 'gone.py'
    stale.write_text('')
    run(environment, repository)
    assert not stale.exists()


def test_messages_of_an_interrupted_installation_are_built_again(environment, repository):
    folder = environment / sysconfig.get_path('purelib', vars={'base': '.', 'platbase': '.'})
    (folder / 'tf2_msgs').mkdir(parents=True)
    (folder / 'tf2_msgs' / '__init__.py').touch()
    assert run(environment, repository) == [
        'tf2_msgs'
    ]  # its package.xml, installed last, is missing
    share = environment / 'share' / 'tf2_msgs'
    share.mkdir(parents=True)
    (share / 'package.xml').write_text('<package/>')
    assert run(environment, repository) == []  # complete, and not from here
    shutil.copy(repository / 'pip_overlay' / 'tf2_msgs' / 'package.xml', share)
    assert run(environment, repository) == ['tf2_msgs']

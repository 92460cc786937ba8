"""Shared files are found in an installation, in a virtual environment and in the checkout."""

import subprocess
import sys
from pathlib import Path

import pytest

from hand_pose_ros import resources
from hand_pose_ros.errors import HandPoseError


@pytest.fixture
def share(tmp_path, monkeypatch):
    """An ament prefix with one shared file."""
    folder = tmp_path / 'share' / 'hand_pose_ros' / 'config'
    folder.mkdir(parents=True)
    (folder / 'only_here.yaml').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    return folder


def test_an_ament_prefix_comes_first(share):
    assert resources.share_file('config/only_here.yaml') == share / 'only_here.yaml'


def test_without_ament_the_environment_and_the_checkout_are_searched(monkeypatch, repository):
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    monkeypatch.setattr(sys, 'prefix', '/nowhere')
    assert resources.share_file('package.xml') == repository / 'package.xml'
    assert resources.share_folders()[0] == Path('/nowhere/share/hand_pose_ros')


def test_a_missing_file_is_named_with_where_it_was_looked_for(share):
    with pytest.raises(HandPoseError, match='no_such_rig.yaml') as error:
        resources.share_file('config/no_such_rig.yaml')
    assert str(share.parent) in str(error.value)


@pytest.mark.parametrize('path', ['../secret', '/etc/passwd', 'config/../../secret'])
def test_paths_do_not_leave_the_shared_folders(path):
    with pytest.raises(HandPoseError, match='relative'):
        resources.share_file(path)


def test_assets():
    assert resources.asset('hand_right.npz').is_file()
    for name in ('no_such.npz', '../skeleton.py', ''):
        with pytest.raises(HandPoseError):
            resources.asset(name)


def test_shared_files_are_found_without_an_activated_environment(tmp_path):
    if not (Path(sys.prefix) / 'share' / 'hand_pose_ros' / 'package.xml').exists():
        pytest.skip('the package is not installed into the environment of these tests')
    program = 'from hand_pose_ros.resources import share_file; print(share_file("package.xml"))'
    result = subprocess.run(
        [sys.executable, '-c', program],
        env={'PATH': '/usr/bin:/bin'},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(result.stdout.strip()).is_file()

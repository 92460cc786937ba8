"""docs/cameras.md and its rig: examples are rigs, options are those there are."""

import re

import pytest

from hand_pose_ros.cameras import registry
from hand_pose_ros.cameras.bag import BagOptions
from hand_pose_ros.cameras.v4l2 import V4l2Options
from hand_pose_ros.rig.description import find_rig, load_rig


@pytest.fixture()
def page(repository):
    return (repository / 'docs' / 'cameras.md').read_text()


def test_examples_are_rigs_whose_drivers_exist(page, tmp_path):
    blocks = re.findall(r'^```yaml\n(.*?)^```', page, re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        (tmp_path / 'rig.yaml').write_text(block)
        rig = load_rig(tmp_path / 'rig.yaml')
        for camera in rig.cameras.values():
            assert registry.create(camera, rig).camera is camera.camera


def test_the_rig_that_comes_with_it_is_made_of_real_cameras(repository):
    rig = find_rig(repository / 'config' / 'boson_realsense_rig.yaml')
    drivers = [registry.create(camera, rig) for camera in rig.cameras.values()]
    assert all(driver.live for driver in drivers)
    assert {camera.driver for camera in rig.cameras.values()} == {'v4l2', 'realsense'}


def test_every_driver_and_option_is_explained(page):
    explained = set(re.findall(r'^\| \[?`(\w+)`', page, re.M))
    options = [*V4l2Options.__dataclass_fields__, *BagOptions.__dataclass_fields__]
    options += ['serial', 'stream', 'playback']
    assert {*registry.DRIVERS, *options} <= explained
    assert f'| `pause` | {BagOptions.pause / 1e9:g} |' in page

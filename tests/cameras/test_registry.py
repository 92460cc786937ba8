"""Camera drivers by name."""

from dataclasses import replace

import pytest

from hand_pose_ros.cameras.image_folder import ImageFolderCamera
from hand_pose_ros.cameras.registry import create
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.description import find_rig


@pytest.fixture(scope='module')
def rig():
    return find_rig('simulated_head_rig')


def described(rig, driver, **options):
    return replace(rig.cameras['thermal'], driver=driver, driver_options=options)


def test_drivers_are_made_by_name(rig):
    camera = create(described(rig, 'image_folder', path='somewhere'), rig)
    assert isinstance(camera, ImageFolderCamera)
    assert camera.camera is rig.cameras['thermal'].camera
    simulated = create(rig.cameras['nir'], rig)
    assert simulated.live


def test_an_unknown_driver_lists_those_that_exist(rig):
    with pytest.raises(CameraError, match="'seek' does not exist, use one of bag, image_f"):
        create(described(rig, 'seek'), rig)


def test_an_external_camera_has_no_driver_here(rig):
    with pytest.raises(CameraError, match='another ROS node publishes'):
        create(described(rig, 'external'), rig)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({}, 'driver_options.path is missing'),
        ({'path': 'x', 'lop': True}, "driver_options.lop is unknown, did you mean 'loop'"),
        ({'path': 'x', 'pace': 'slow'}, "driver_options.pace is 'slow'"),
        ({'path': 'x', 'live': 'yes'}, 'driver_options.live must be true or false'),
    ],
)
def test_options_are_checked(rig, options, message):
    with pytest.raises(CameraError, match=f'cameras.thermal: {message}'):
        create(described(rig, 'image_folder', **options), rig)

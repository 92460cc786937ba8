"""Finding video devices."""

import os

import pytest

from hand_pose_ros.errors import CameraError
from tests.cameras.video_devices import Machine


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_a_thermal_camera_is_found_by_its_ids(machine):
    machine.plug('video0', '046d:0825')
    boson = machine.plug('video1', '09cb:4007')
    machine.plug('video2', '09cb:4007', index=1)
    assert machine.devices.find('') == boson
    assert machine.devices.find('09CB:4007') == boson
    assert machine.devices.find('046d:0825') == machine.dev / 'video0'
    assert machine.devices.usb_ids(boson) == '09cb:4007'


def test_a_link_by_id_leads_to_its_device(machine):
    camera = machine.plug('video3')
    link = machine.dev / 'v4l' / 'by-id' / 'usb-GroupGets_PureThermal'
    link.parent.mkdir(parents=True)
    link.symlink_to(camera)
    assert machine.devices.find(str(link)) == link
    assert machine.devices.usb_ids(link) == '1e4e:0100'


def test_what_is_not_there_is_a_sentence(machine):
    with pytest.raises(CameraError, match=r'USB ids 1e4e:0100 \(Lepton .* or 09cb:4007 \(Boson\)'):
        machine.devices.find('')
    machine.plug('video0', '046d:0825')
    with pytest.raises(CameraError, match='USB ids 1234:abcd is plugged in'):
        machine.devices.find('1234:abcd')
    with pytest.raises(CameraError, match=r'video7 does not exist.*\(there is .*video0\)'):
        machine.devices.find(str(machine.dev / 'video7'))
    with pytest.raises(CameraError, match="'boson' is neither a path nor USB ids"):
        machine.devices.find('boson')


def test_two_alike_are_not_guessed(machine):
    machine.plug('video0')
    machine.plug('video2')
    with pytest.raises(CameraError, match=r'2 devices fit .*video0, .*video2.*by-id'):
        machine.devices.find('')


def test_a_device_of_others_names_the_group(machine, monkeypatch):
    machine.plug('video0')
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    with pytest.raises(CameraError, match='video0 may not be opened: add your user to the group'):
        machine.devices.find('')


def test_a_device_that_is_not_on_usb_has_no_ids(machine):
    entry = machine.sys / 'class' / 'video4linux' / 'video9'
    entry.mkdir()
    (machine.dev / 'video9').touch()
    assert machine.devices.usb_ids(machine.dev / 'video9') == ''
    assert machine.devices.find(str(machine.dev / 'video9')) == machine.dev / 'video9'

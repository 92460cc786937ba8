"""Settings of the middleware."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.ros.environment import PROFILE, prepare


def test_traffic_stays_on_this_machine():
    environment = {}
    prepare(environment=environment)
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert Path(environment['FASTDDS_DEFAULT_PROFILES_FILE']).name == 'fastdds.xml'


def test_what_is_set_already_stays():
    environment = {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET',
        'FASTDDS_DEFAULT_PROFILES_FILE': '/etc/mine.xml',
    }
    before = dict(environment)
    prepare(environment=environment)
    assert environment == before


def test_a_wider_range_is_taken_when_asked_for():
    environment = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    prepare('SUBNET', environment)
    assert environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'SUBNET'


def test_an_unknown_range_is_refused():
    with pytest.raises(HandPoseError, match=r"'EVERYWHERE'.*LOCALHOST, SUBNET"):
        prepare('EVERYWHERE', {})


def test_the_profile_has_a_large_segment_and_udp(repository):
    root = ElementTree.parse(repository / PROFILE).getroot()
    space = {'p': 'http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles'}
    sizes = [int(e.text) for e in root.findall('.//p:segment_size', space)]
    assert sizes == [32 * 1024 * 1024]
    assert {e.text for e in root.findall('.//p:type', space)} == {'SHM', 'UDPv4'}
    participant = root.find('p:participant', space)
    assert participant.get('is_default_profile') == 'true'

"""docs/interfaces.md says what the code does."""

import re

import pytest

from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.ros.camera_node import PARAMETERS as CAMERA_PARAMETERS
from hand_pose_ros.ros.camera_node import CameraNode
from hand_pose_ros.ros.images import RAW_ENCODINGS
from hand_pose_ros.ros.inference_node import InferenceNode
from hand_pose_ros.ros.inference_parameters import PARAMETERS as INFERENCE_PARAMETERS
from hand_pose_ros.ros.lifecycle import AUTOSTART
from hand_pose_ros.ros.parameters import parameter_table
from tests.ros.fakes import FakeEstimator

# Made by rclpy or for every lifecycle node.
NOT_OURS = {'/rosout', '/parameter_events', '/clock'}


@pytest.fixture(scope='module')
def page(repository):
    return (repository / 'docs' / 'interfaces.md').read_text()


@pytest.mark.parametrize(
    ('node', 'table'), [('camera', CAMERA_PARAMETERS), ('inference', INFERENCE_PARAMETERS)]
)
def test_parameter_tables_are_those_of_the_code(page, node, table):
    found = re.search(rf'<!-- parameters of the {node} node -->\n(.*?)<!-- end -->', page, re.S)
    assert found[1] == parameter_table((AUTOSTART, *table))


def test_every_topic_is_listed(page, ros, recorded_rig):
    ros.add(CameraNode('camera', rig=recorded_rig))
    inference = ros.add(InferenceNode(rig=recorded_rig, estimator=FakeEstimator()))
    ros.until(lambda: inference.is_active)
    listed = set(re.findall(r'`([^`]+)`', page.partition('## Topics')[2].partition('###')[0]))
    for name, _ in inference.get_topic_names_and_types():
        relative = re.sub(r'^(thermal|rgb)/', '<camera>/', name.lstrip('/'))
        if name not in NOT_OURS and 'transition_event' not in name:
            assert {relative, f'/{relative}'} & listed, f'{name} is not in the table of topics'


def test_every_encoding_is_listed(page):
    section = page.partition('### Encodings')[2].partition('###')[0]
    assert set(RAW_ENCODINGS) <= set(re.findall(r'`(\w+)`', section))
    assert 'rgb8' in CameraSample.__doc__

"""Parameters declared from a table."""

import pytest
from rclpy.parameter import Parameter

from hand_pose_ros.ros.camera_node import PARAMETERS as CAMERA_PARAMETERS
from hand_pose_ros.ros.inference_parameters import PARAMETERS as INFERENCE_PARAMETERS
from hand_pose_ros.ros.lifecycle import AUTOSTART
from hand_pose_ros.ros.parameters import (
    NodeParameter,
    ParameterError,
    declare,
    parameter_table,
    value_of,
)

TABLE = (
    NodeParameter(name='mode', default='a', choices=('a', 'b'), description='Which.',
                  read_only=False),
    NodeParameter(name='limit', default=1.5, minimum=0.0, maximum=2.0, description='In s.',
                  read_only=False),
    NodeParameter(name='count', default=3, minimum=1, maximum=9, description='How many.',
                  read_only=False),
    NodeParameter(name='file', default='', description='A path.'),
)  # fmt: skip


def node_with(ros, parameters, **values):
    node = ros.node('p', parameter_overrides=parameters(**values))
    declare(node, TABLE)
    return node


def test_defaults_and_overrides(ros, parameters):
    node = node_with(ros, parameters, mode='b', limit=0.5)
    assert value_of(node, 'mode') == 'b'
    assert value_of(node, 'limit') == 0.5
    assert value_of(node, 'count') == 3


def test_descriptors_are_complete(ros, parameters):
    node = node_with(ros, parameters)
    for parameter in TABLE:
        descriptor = node.describe_parameter(parameter.name)
        assert descriptor.description == parameter.description
        assert descriptor.read_only == parameter.read_only
        assert descriptor.additional_constraints == parameter.limits
    assert node.describe_parameter('count').integer_range[0].to_value == 9
    assert node.describe_parameter('limit').floating_point_range[0].to_value == 2.0


@pytest.mark.parametrize(
    ('name', 'value'), [('mode', 'c'), ('limit', 2.5), ('count', 0), ('mode', 4)]
)
def test_bad_values_at_the_start_are_refused(ros, parameters, name, value):
    with pytest.raises(ParameterError, match=name):
        node_with(ros, parameters, **{name: value})


def test_bad_values_later_are_refused_with_a_reason(ros, parameters):
    node = node_with(ros, parameters)
    for name, value in (('mode', 'c'), ('limit', 9.0), ('count', 99), ('file', 'x')):
        result = node.set_parameters([Parameter(name, value=value)])[0]
        assert not result.successful
        assert result.reason
    assert node.set_parameters([Parameter('mode', value='b')])[0].successful
    assert value_of(node, 'mode') == 'b'


def test_a_name_that_does_not_exist_is_refused_with_those_that_do(ros, parameters):
    with pytest.raises(ParameterError, match=r"'mood', use one of mode, limit, count, file"):
        node_with(ros, parameters, mood='b')


def test_rclpy_s_own_parameters_are_left_alone(ros):
    qos = Parameter('qos_overrides./x.publisher.depth', value=3)
    node = ros.node('p', parameter_overrides=[Parameter('use_sim_time', value=True), qos])
    declare(node, TABLE)


@pytest.mark.parametrize('parameter', [AUTOSTART, *CAMERA_PARAMETERS, *INFERENCE_PARAMETERS],
                         ids=lambda p: p.name)  # fmt: skip
def test_every_parameter_of_the_nodes_is_described(parameter):
    assert parameter.description.endswith('.')
    assert (parameter.minimum is None) == (parameter.maximum is None)
    if parameter.choices:
        assert parameter.default in parameter.choices


def test_table_in_markdown():
    lines = parameter_table(TABLE).splitlines()
    assert len(lines) == 2 + len(TABLE)
    assert lines[2] == "| `mode` | `'a'` | one of `a`, `b` | yes | Which. |"
    assert lines[3] == '| `limit` | `1.5` | 0 to 2 | yes | In s. |'

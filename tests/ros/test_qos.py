"""Quality of service."""

import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from hand_pose_ros.ros import qos


def policies(node, topic):
    return node.get_publishers_info_by_topic(topic)[0].qos_profile


def test_large_messages_need_the_profile(monkeypatch):
    for name in qos._CURES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(qos, 'get_rmw_implementation_identifier', lambda: 'rmw_fastrtps_cpp')
    assert qos.loses_large_messages(600_000)
    assert not qos.loses_large_messages(500_000)
    assert 'config/fastdds.xml' in qos.large_message_advice('/thermal/image_raw', 600_000)
    monkeypatch.setattr(qos, 'get_rmw_implementation_identifier', lambda: 'rmw_cyclonedds_cpp')
    assert not qos.loses_large_messages(600_000)
    monkeypatch.setattr(qos, 'get_rmw_implementation_identifier', lambda: 'rmw_fastrtps_cpp')
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', 'x.xml')
    assert not qos.loses_large_messages(600_000)


@pytest.mark.parametrize('profile', [qos.DRIVER, qos.RESULT, qos.LATCHED])
def test_sensor_subscribers_connect_to_every_publisher(ros, profile):
    node = ros.node()
    publisher = qos.publisher(node, String, 'x', profile)
    options = qos.subscription_options(node, 'x', qos.SENSOR)
    received = []
    node.create_subscription(String, 'x', received.append, **options)
    ros.until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(String(data='hello'))
    ros.until(lambda: received)


def test_parameters_override_qos_and_the_shared_profile_stays(ros):
    overrides = [Parameter('qos_overrides./x.publisher.reliability', value='best_effort'),
                 Parameter('qos_overrides./x.publisher.depth', value=3)]  # fmt: skip
    node = ros.node('n', parameter_overrides=overrides)
    qos.publisher(node, String, 'x', qos.RESULT)
    qos.publisher(node, String, 'y', qos.RESULT)
    assert policies(node, '/x').reliability == ReliabilityPolicy.BEST_EFFORT
    assert policies(node, '/y').reliability == ReliabilityPolicy.RELIABLE
    assert qos.RESULT.depth == 10


def test_incompatible_qos_is_logged_on_both_sides(ros, monkeypatch):
    logged = []

    def log(node, topic, what, event):
        logged.append((topic, what))

    monkeypatch.setattr(qos, '_log_incompatible', log)
    node = ros.node()
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    qos.publisher(node, String, 'x', best_effort)
    options = qos.subscription_options(node, 'x', QoSProfile(depth=1))
    node.create_subscription(String, 'x', lambda message: None, **options)
    ros.until(lambda: len(logged) >= 2)
    assert ('x', 'a publisher offers') in logged
    assert ('x', 'a subscriber asks for') in logged


def test_the_sentence_about_incompatible_qos(capfd, ros):
    node = ros.node()
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    qos.publisher(node, String, 'x', best_effort)
    node.create_subscription(
        String,
        'x',
        lambda message: None,
        **qos.subscription_options(node, 'x', QoSProfile(depth=1)),
    )
    text = ''

    def logged():
        nonlocal text
        text += capfd.readouterr().err
        return '/x: a publisher offers an incompatible QoS (RELIABILITY' in text

    ros.until(logged)

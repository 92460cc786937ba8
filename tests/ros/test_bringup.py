"""Whole graphs: recorded cameras to results, in one process and in several."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
from hand_pose_ros.msg import HandPose3DArray
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from hand_pose_ros.estimators import registry as estimators
from hand_pose_ros.rig.description import save_rig
from hand_pose_ros.ros import bringup
from hand_pose_ros.ros.bringup import BringupOptions, running
from hand_pose_ros.ros.inference_node import InferenceNode
from hand_pose_ros.ros.stamps import nanoseconds
from tests.ros.fakes import FakeEstimator

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def fake_estimator(monkeypatch):
    """Makes the default estimator of this process one that invents hands."""
    monkeypatch.setitem(estimators.ESTIMATORS, 'landmarks', lambda config, rig: FakeEstimator())


def listen(graph, message, topic, qos=10):
    received = []
    name = f'listener_{len(graph.nodes)}'
    node = rclpy.create_node(name)
    node.create_subscription(message, topic, received.append, qos)
    graph.add(node)
    return received


def spin_until(graph, condition, timeout=30):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, 'condition not met in time'
        graph.spin(0.1)


def stamps(messages):
    return [nanoseconds(m.header.stamp) for m in messages]


def test_everything_in_one_process(recorded_rig):
    with running(recorded_rig) as graph:
        assert set(graph.nodes) == {'thermal_camera', 'rgb_camera', 'inference'}
        hands = listen(graph, HandPose3DArray, 'hand_pose/hands')
        images = listen(graph, Image, 'thermal/image_raw', qos_profile_sensor_data)
        spin_until(graph, lambda: ['thermal', 'rgb'] in [list(m.streams) for m in hands])
        assert set(stamps(hands)) & set(stamps(images))
    assert not rclpy.ok()


def test_no_image_is_lost_in_one_process(recorded_rig):
    with running(recorded_rig) as graph:
        node = graph.nodes['inference']
        infos = listen(graph, CameraInfo, 'rgb/camera_info', 1000)
        spin_until(graph, lambda: node.is_active)
        arrived = []
        node.health.arrivals['rgb'].registerCallback(arrived.append)
        spin_until(graph, lambda: len(arrived) >= 5 and len(infos) >= 5)
        first = max(stamps(arrived)[0], stamps(infos)[0])
        graph.spin(2.0)
        sent = [stamp for stamp in stamps(infos) if stamp >= first][:-2]
        assert len(sent) > 30
        assert set(sent) <= set(stamps(arrived))


def test_namespace_and_remaps(recorded_rig):
    options = BringupOptions(namespace='head', remaps=('hand_pose/hands:=found',))
    with running(recorded_rig, options) as graph:
        hands = listen(graph, HandPose3DArray, '/head/found')
        spin_until(graph, lambda: hands)
        topics = {name for name, _ in graph.nodes['inference'].get_topic_names_and_types()}
        assert '/head/thermal/image_raw' in topics
        assert '/head/hand_pose/hands' not in topics


def test_a_parameter_file(recorded_rig, tmp_path):
    file = tmp_path / 'parameters.yaml'
    file.write_text('/**:\n  ros__parameters:\n    autostart: false\n')
    with running(recorded_rig, BringupOptions(parameter_file=str(file))) as graph:
        graph.spin(0.5)
        assert not graph.nodes['inference'].is_active


def test_cameras_in_processes_of_their_own(recorded_rig):
    """Images cross process borders, none is lost, and all processes end cleanly."""
    options = BringupOptions(processes=True, inference=False)
    with running(recorded_rig, options) as graph:
        node = InferenceNode(rig=recorded_rig, estimator=FakeEstimator())
        graph.add(node)
        hands = listen(graph, HandPose3DArray, 'hand_pose/hands')
        infos = listen(graph, CameraInfo, 'rgb/camera_info', 1000)
        spin_until(graph, lambda: node.is_active)
        arrived = []
        node.health.arrivals['rgb'].registerCallback(arrived.append)
        spin_until(graph, lambda: len(arrived) >= 5 and len(infos) >= 5)
        spin_until(graph, lambda: ['thermal', 'rgb'] in [list(m.streams) for m in hands])
        first = max(stamps(arrived)[0], stamps(infos)[0])
        graph.spin(1.5)
        sent = [stamp for stamp in stamps(infos) if stamp >= first][:-2]
        assert len(sent) > 20
        assert set(sent) <= set(stamps(arrived))
        assert set(graph.children.ids) == {'thermal_camera', 'rgb_camera'}
        assert graph.children.stop() == {'thermal_camera': 0, 'rgb_camera': 0}


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_up_ends_cleanly_when_interrupted(recorded_rig, tmp_path, number):
    path = tmp_path / 'rig.yaml'
    save_rig(recorded_rig, path)
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, '-m', 'hand_pose_ros.ros.bringup', str(path), '--namespace', 'rig'],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    rclpy.init()
    node = rclpy.create_node('waiting')
    infos = []
    node.create_subscription(CameraInfo, '/rig/thermal/camera_info', infos.append, 10)
    try:
        end = time.monotonic() + 40
        while not infos and time.monotonic() < end:
            rclpy.spin_once(node, timeout_sec=0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        node.destroy_node()
        rclpy.try_shutdown()
    assert infos, err
    assert process.returncode == 0, err
    assert 'Traceback' not in err


@pytest.mark.parametrize('moment', ['starting', 'running'])
def test_ctrl_c_ends_several_processes_with_one_line(recorded_rig, tmp_path, moment):
    """As a terminal does it: every process of the group is interrupted at once."""
    path = tmp_path / 'rig.yaml'
    save_rig(recorded_rig, path)
    process = subprocess.Popen(
        [sys.executable, '-m', 'hand_pose_ros.cli.main', 'up', str(path), '--processes'],
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    rclpy.init()
    node = rclpy.create_node('waiting')
    infos = []
    node.create_subscription(CameraInfo, '/thermal/camera_info', infos.append, 10)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and not infos:
            rclpy.spin_once(node, timeout_sec=0.1)
            if moment == 'starting' and _children(process.pid):
                break
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        node.destroy_node()
        rclpy.try_shutdown()
    assert process.returncode == 0, err
    assert bool(infos) == (moment == 'running'), err
    assert 'Traceback' not in err and 'ERROR' not in err, err
    ours = [line for line in err.splitlines() if line.startswith('small: ')]
    assert ours == ['small: thermal, rgb; Ctrl-C ends', 'small: ended']


def _children(process):
    return Path(f'/proc/{process}/task/{process}/children').read_text().split()


def test_a_rig_that_does_not_exist_is_one_sentence(capsys):
    assert bringup.main(['no_such_rig']) == 1
    err = capsys.readouterr().err
    assert 'no_such_rig' in err
    assert err.count('\n') == 1


def test_recordings_in_processes_start_together(recorded_rig, tmp_path):
    from dataclasses import replace

    cameras = {
        name: replace(camera, driver_options={**camera.driver_options, 'live': False})
        for name, camera in recorded_rig.cameras.items()
    }
    before = time.time_ns()
    found = bringup._replay_parameters(replace(recorded_rig, cameras=cameras))
    assert found['replay_start'] > before
    assert found['replay_origin'] == pytest.approx(1e9 / 30, abs=1)
    assert bringup._replay_parameters(recorded_rig) == {}

"""The inference node with each of our networks, untrained: parameters in, messages out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_pose_ros.msg import HandPose3DArray
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import Image

from hand_pose_ros.estimators import trained_models
from hand_pose_ros.networks.checkpoint import save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.networks.therformer import TherFormer, TherFormerConfig
from hand_pose_ros.networks.wildhands import WildHands, WildHandsConfig
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.ros import qos
from hand_pose_ros.ros.images import image_message
from hand_pose_ros.ros.inference_node import InferenceNode
from hand_pose_ros.ros.inference_parameters import make_estimator
from hand_pose_ros.simulation.rig import SimulatedRig

FRAME = 33_333_333
RIG = find_rig('simulated_head_rig')
NETWORKS = {
    'therformer': (
        TherFormer,
        replace(
            TherFormerConfig.small(), backbone_width=8, width=16, mask_width=8, spatial_hidden=16,
            down_channels=(8, 8, 8), features=32, temporal_hidden=32, head_width=32,
        ),
    ),
    'wildhands': (
        WildHands,
        replace(
            WildHandsConfig.small(), width=4, head_channels=(16, 16, 16), feature=16, hidden=16,
            camera_hidden=8,
        ),
    ),
    'densereg': (
        DenseReg,
        DenseRegConfig(stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8),
    ),
}  # fmt: skip


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    for name, (kind, config) in NETWORKS.items():
        torch.manual_seed(0)
        save_checkpoint(folder / f'{name}.safetensors', kind(config), name, config, {})
    return folder


@pytest.mark.parametrize('name', ['therformer', 'wildhands', 'densereg', 'fusion'])
def test_the_node_runs_the_estimator_its_parameter_names(
    name, models, monkeypatch, ros, parameters
):
    monkeypatch.setattr(trained_models, 'folders', lambda: [models])
    options = {'confidence': 0.0, 'runtime': 'torch'}
    if name == 'fusion':
        options = {'runtime': 'torch', 'stages': ['therformer', 'densereg', 'wildhands']}
    rig = replace(RIG, estimator=name, estimator_options=options)
    results = ros.listen(HandPose3DArray, '/hand_pose/hands')
    node = ros.add(
        InferenceNode(rig=rig, parameter_overrides=parameters(autostart=False, device='cpu'))
    )
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    sender = ros.node('cameras')
    publishers = {
        stream: sender.create_publisher(Image, f'{stream}/image_raw', qos.DRIVER)
        for stream in RIG.cameras
    }
    ros.until(lambda: all(p.get_subscription_count() for p in publishers.values()))
    simulated = SimulatedRig(RIG, seed=51, scenario='static')
    images = {stream: simulated.render(stream, 0) for stream in publishers}
    start = node.get_clock().now().nanoseconds - 10_000_000_000
    for number in range(40):
        for stream, publisher in publishers.items():
            camera = RIG.cameras[stream]
            stamp = start + number * FRAME + camera.time_offset
            message = image_message(images[stream], camera.encoding, stamp, camera.frame_id)
            publisher.publish(message)
        ros.for_seconds(0.05)
        if len(results) >= 3:
            break
    assert len(results) >= 3
    assert node.health.faults == 0
    for message in results:
        assert message.estimator == name and len(message.model_hash) == 16
        for hand in message.hands:
            joints = np.array([[p.x, p.y, p.z] for p in hand.joints])
            assert np.isfinite(joints).all()


def test_the_device_goes_to_the_network(models, monkeypatch):
    monkeypatch.setattr(trained_models, 'folders', lambda: [models])
    rig = replace(RIG, estimator='densereg', estimator_options={'runtime': 'torch'})
    assert make_estimator(rig, '', 'cpu').config.device == 'cpu'
    assert make_estimator(rig, '', 'auto').config.device == 'auto'
    fixed = replace(rig, estimator_options={'device': 'cpu', 'runtime': 'torch'})
    assert make_estimator(fixed, '', 'auto').config.device == 'cpu'

"""Torch networks: equal to the interpreter, differentiable, and safe against damaged files."""

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store
from hand_pose_ros.estimators.networks import load_networks
from hand_pose_ros.networks.mediapipe_hands import LandmarkNetwork, PalmNetwork
from hand_pose_ros.networks.tflite_graph import read_graph


@pytest.fixture(scope='module')
def paths():
    try:
        return {name: model_store.find(name) for name in model_store.MODELS}
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def images():
    rng = np.random.default_rng(0)
    smooth = np.repeat(np.repeat(rng.random((8, 8, 3), np.float32), 28, 0), 28, 1)
    return [smooth, rng.random((224, 224, 3), np.float32), np.zeros((224, 224, 3), np.float32)]


def as_tensor(images):
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def test_the_landmark_network_equals_the_interpreter(paths, images):
    network = LandmarkNetwork(paths['hand_landmark.tflite'])
    with torch.no_grad():
        points, presence, right, world = network(as_tensor(images))
    for index, expected in enumerate(load_networks(threads=1).landmarks(images)):
        np.testing.assert_allclose(points[index], expected.points, atol=1e-3)
        np.testing.assert_allclose(world[index], expected.world, atol=1e-4)
        assert float(presence[index]) == pytest.approx(expected.presence, abs=1e-4)
        assert float(right[index]) == pytest.approx(expected.handedness, abs=1e-4)


def test_the_palm_network_equals_the_interpreter(paths, images):
    cut = [np.ascontiguousarray(image[:192, :192]) for image in images]
    with torch.no_grad():
        offsets, logits = PalmNetwork(paths['palm_detection.tflite'])(as_tensor(cut))
    reference = load_networks(threads=1)
    for index, image in enumerate(cut):
        expected_offsets, expected_logits = reference.palms(image)
        # Offsets are pixels, up to some hundreds.
        np.testing.assert_allclose(offsets[index], expected_offsets, rtol=2e-5, atol=1e-3)
        np.testing.assert_allclose(logits[index], expected_logits, atol=1e-3)


def test_gradients_reach_the_image_and_every_weight(paths, images):
    network = LandmarkNetwork(paths['hand_landmark.tflite'])
    image = as_tensor(images[:1]).requires_grad_()
    points, presence, right, world = network(image)
    (points.sum() + presence.sum() + right.sum() + world.sum()).backward()
    assert image.grad is not None
    assert float(image.grad.abs().max()) > 0
    assert all(weight.grad is not None for weight in network.parameters())
    assert sum(weight.numel() for weight in network.parameters()) > 2_500_000


@pytest.mark.parametrize('content', [b'', b'nothing', b'\x20\x00\x00\x00TFL3' + b'\xff' * 100])
def test_a_damaged_file_is_one_clear_error(tmp_path, content):
    path = tmp_path / 'model.tflite'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'model\.tflite'):
        read_graph(path)


def test_a_truncated_model_is_one_clear_error(paths, tmp_path):
    path = tmp_path / 'model.tflite'
    path.write_bytes(paths['palm_detection.tflite'].read_bytes()[:200_000])
    with pytest.raises(ModelError, match=r'model\.tflite'):
        read_graph(path)

"""Networks: order of results, refused files, and sane outputs."""

import numpy as np
import pytest

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store
from hand_pose_ros.estimators.networks import HandNetworks, load_networks


@pytest.fixture(scope='module')
def crops():
    rng = np.random.default_rng(3)
    return [rng.random((224, 224, 3), dtype=np.float32) for _ in range(5)]


@pytest.mark.parametrize('count', [0, 1, 2, 5])
def test_results_come_in_the_order_of_the_crops_for_any_number(networks, crops, count):
    parallel = load_networks(threads=2)
    try:
        results = parallel.landmarks(crops[:count])
    finally:
        parallel.close()
    assert len(results) == count
    for crop, result in zip(crops, results, strict=False):
        (alone,) = networks.landmarks([crop])
        np.testing.assert_allclose(result.points, alone.points, atol=1e-2)


def test_outputs_have_their_shapes_and_ranges(networks, crops):
    (result,) = networks.landmarks(crops[:1])
    assert result.points.shape == result.world.shape == (21, 3)
    assert 0.0 <= result.presence <= 1.0
    assert 0.0 <= result.handedness <= 1.0
    offsets, logits = networks.palms(np.zeros((192, 192, 3), np.float32))
    assert offsets.shape == (2016, 18)
    assert logits.shape == (2016,)


@pytest.mark.parametrize('content', [b'', b'not a model', b'\x1c\x00\x00\x00TFL3' + b'\xff' * 64])
def test_a_file_that_is_no_model_is_refused(networks, tmp_path, content):
    path = tmp_path / 'palm.tflite'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'palm\.tflite'):
        HandNetworks(path, model_store.find('hand_landmark.tflite'))


def test_another_network_is_refused(networks):
    landmark = model_store.find('hand_landmark.tflite')
    with pytest.raises(ModelError, match='outputs'):
        HandNetworks(landmark, landmark)

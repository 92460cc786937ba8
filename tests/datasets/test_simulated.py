"""What hand-pose simulate writes, the ThermoHands reader reads."""

import numpy as np
import pytest

from hand_pose_ros.datasets.collate import collate
from hand_pose_ros.datasets.thermohands import ThermoHands
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.thermohands_writer import ThermoHandsWriter

FRAMES = 2


@pytest.fixture(scope='module', params=['training', 'released'])
def written(request, tmp_path_factory):
    """One simulated clip on the disk, and the writer that made it."""
    root = tmp_path_factory.mktemp('simulated') / 'hands'
    config = SimulationConfig(setting='office', rectified=False, seed=5)
    writer = ThermoHandsWriter(root, config, layout=request.param)
    writer.write_clip(0, FRAMES)
    writer.finish()
    return root, writer


@pytest.mark.parametrize('stream', ['thermal', 'nir', 'depth', 'rgb'])
def test_labels_and_cameras_come_back(written, stream):
    root, writer = written
    truth = BatchSimulator(writer.config).clips([0], (stream,), FRAMES)[stream]
    dataset = ThermoHands(root, split='train', stream=stream)
    assert len(dataset) == FRAMES
    batch = collate([dataset.clips(FRAMES)[0]], rectify=False)
    np.testing.assert_allclose(batch.intrinsics, truth.intrinsics, rtol=1e-5)
    known = truth.valid['joints_3d'].numpy()
    for name, tolerance in (('joints', 1e-5), ('pixels', 0.05), ('translation', 1e-5),
                            ('global_orient', 1e-3), ('hand_pose', 1e-5)):  # fmt: skip
        ours, theirs = getattr(batch, name).numpy(), getattr(truth, name).numpy()
        both = known & batch.valid['joints_3d'].numpy()
        assert both.any()
        np.testing.assert_allclose(ours[both], theirs[both], atol=tolerance, err_msg=name)
    if stream == 'depth':
        ours, theirs = batch.image.numpy(), truth.image.numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize('stream', ['thermal', 'nir'])
def test_masks_come_back(written, stream):
    root, writer = written
    batch = collate([ThermoHands(root, stream=stream).clips(FRAMES)[0]], rectify=False)
    if writer.layout == 'released':  # that tree has no masks
        assert batch.hand_mask is None and not batch.valid['mask'].any()
        return
    truth = BatchSimulator(writer.config).clips([0], (stream,), FRAMES)[stream]
    np.testing.assert_array_equal(batch.hand_mask.numpy() > 0, truth.hand_mask.numpy() > 0)
    assert batch.hand_mask.any()

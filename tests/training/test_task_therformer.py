"""TherFormer as a task: windows, sensors, what is learnt and what is measured."""

import dataclasses

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import TrainingError
from hand_pose_ros.training.config import DataConfig, SourceConfig
from hand_pose_ros.training.tasks.registry import make_task
from tests.training import fakes

TINY = {
    'backbone_width': 8, 'width': 16, 'mask_width': 8, 'heads': 2, 'points': 2,
    'spatial_hidden': 16, 'down_channels': [8, 8, 8], 'features': 16, 'temporal_heads': 2,
    'temporal_hidden': 16, 'head_width': 16,
}  # fmt: skip


def task(*, frames=2, stream='thermal', **network):
    source = SourceConfig(clips=4)
    data = DataConfig(train=(source,), validation=source, stream=stream, frames=frames)
    if 'frames_of_network' in network:
        network['frames'] = network.pop('frames_of_network')
    return make_task(fakes.make_config(data=data, network={**TINY, **network}))


def hands(clips=1, frames=2, modality='thermal'):
    size = (256, 320) if modality == 'thermal' else (240, 320)
    return fakes.make_batch(clips, frames=frames, modality=modality, size=size)


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize('stream', ['thermal', 'nir', 'rgb', 'depth'])
def test_every_sensor_has_its_network(stream):
    own = task(stream=stream)
    batch = hands(modality=stream)
    single = dataclasses.replace(batch, image=batch.image[:, :1]) if stream != 'rgb' else batch
    torch.manual_seed(0)
    network = own.build_network().eval()
    total, terms = own.loss(network, single, seeded())
    total.backward()
    assert torch.isfinite(total)
    assert {'pixels', 'depth', 'points', 'mask', 'cells', 'anchor_rate'} == set(terms)
    found = own.predict(network, single)
    assert found['joints'].shape == (2, 2, 21, 3)
    assert found['mask'].shape == (2, 256 // 8 if stream == 'thermal' else 30, 40)
    torch.testing.assert_close(own.predict(network, batch)['joints'], found['joints'])


def test_long_clips_are_several_windows():
    batch = hands(frames=4)
    torch.manual_seed(0)
    whole, half = task(frames=4), task(frames=4, frames_of_network=2)
    network = whole.build_network().eval()
    apart = dataclasses.replace(batch, frames=2).select(slice(0, 2))
    expected = task(frames=2).predict(network, apart)['joints']
    torch.testing.assert_close(half.predict(network, batch)['joints'][:2], expected)
    assert not torch.allclose(whole.predict(network, batch)['joints'][:2], expected, atol=1e-6)
    with pytest.raises(TrainingError, match=r'windows of network\.frames = 3'):
        task(frames=4, frames_of_network=3)


def test_missing_hands_and_padding_do_not_count():
    own, batch = task(), hands()
    network = own.build_network().eval()
    batch.joints[1, 0] = torch.nan
    batch.pixels[1, 0] = torch.nan
    for flags in batch.valid.values():
        flags[1, 0] = False
    batch.not_padding[0] = 0.0
    total, _ = own.loss(network, batch, seeded())
    total.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters()
               if weight.grad is not None)  # fmt: skip
    batch.joints[0] += 1.0
    assert torch.equal(own.loss(network, batch, seeded())[0], total)


def test_mixed_precision_decodes_and_compares_in_full_precision():
    own, batch = task(), hands()
    torch.manual_seed(0)
    network = own.build_network().eval()
    expected = own.loss(network, batch, seeded())
    with torch.autocast('cpu', torch.bfloat16):
        found = own.loss(network, batch, seeded())
        output = own._output(network, batch)
    projected = output.joints @ batch.intrinsics.mT
    projected = projected[..., :2] / projected[..., 2:]
    torch.testing.assert_close(projected, output.pixels, atol=1e-3, rtol=0)
    for value in (found[0], *found[1].values()):
        assert value.dtype == torch.float32
    torch.testing.assert_close(found[0], expected[0], rtol=0.02, atol=0)


def test_the_loss_of_one_batch_falls():
    own, batch = task(), hands()
    torch.manual_seed(0)
    network = own.build_network()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        total, _ = own.loss(network, batch, seeded())
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.75 * losses[0]


def test_measures_of_perfect_and_of_shifted_hands():
    own, batch = task(), hands(clips=3)
    joints = batch.joints.numpy().astype(np.float64)
    truth = {'joints': joints}
    perfect = own.measure({'joints': joints, 'overlap': np.ones(6)}, truth)
    assert perfect == {'MEPE': 0.0, 'MEPE-RA': 0.0, 'mask IoU': 100.0}
    shifted = own.measure(
        {'joints': joints + np.array([0.0, 0.0, 0.03]), 'overlap': np.full(6, np.nan)}, truth
    )
    assert shifted['MEPE'] == pytest.approx(30.0)
    assert shifted['MEPE-RA'] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(shifted['mask IoU'])

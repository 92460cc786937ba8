"""WildHands as a task: consistent augmentation, masked losses and measures."""

import dataclasses

import numpy as np
import pytest
import torch

from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.training.tasks import wildhands
from hand_pose_ros.training.tasks.registry import make_task
from tests.training import fakes

TINY = {
    'width': 8, 'head_channels': [8, 8, 8], 'feature': 16, 'hidden': 16, 'camera_hidden': 8,
}  # fmt: skip


def task(**options):
    return make_task(
        fakes.make_config(task='wildhands', network=TINY, options={'loss': {'mask': 0}, **options})
    )


def posed(batch):
    """Joints (N, 2, 21, 3) of the hand model for the pose labels of a batch."""
    pose = torch.cat([batch.global_orient[:, :, None], batch.hand_pose], dim=2)
    layer = HandLayer()
    return layer(rotation_from_axis_angle(pose), batch.betas, batch.translation, mesh=False).joints


def hands(clips=2, frames=1):
    """A batch whose joints are those of the hand model for its pose labels."""
    batch = fakes.make_batch(clips, frames=frames, modality='rgb', size=(240, 320))
    count = clips * frames
    generator = torch.Generator().manual_seed(5)
    turns = torch.rand(count, 2, 3, generator=generator) - 0.5
    places = torch.tensor([[-0.08, 0.02, 0.45], [0.08, 0.02, 0.45]]).expand(count, 2, 3)
    batch = dataclasses.replace(batch, global_orient=turns, translation=places.clone())
    joints = posed(batch)
    pixels = (joints / joints[..., 2:] @ batch.intrinsics[:, None].mT)[..., :2]
    return dataclasses.replace(batch, joints=joints, pixels=pixels)


def draws(count, seed=0):
    return [torch.Generator().manual_seed(seed + number) for number in range(count)]


def test_turned_views_keep_joints_pixels_and_pose_together():
    own, batch = task(turn_probability=1.0, gain=0.0), hands(4, frames=2)
    turned = own.augment(batch, draws(4))
    points = turned.joints @ turned.intrinsics[:, None].mT
    assert (points[..., :2] / points[..., 2:] - turned.pixels).abs().max() < 1e-2
    torch.testing.assert_close(posed(turned), turned.joints, atol=1e-5, rtol=1e-4)
    assert torch.equal(turned.intrinsics, batch.intrinsics)
    angles = torch.atan2(
        *(turned.joints[:, 0, 0] - turned.joints[:, 1, 0])[:, :2].flip(1).unbind(1)
    )
    torch.testing.assert_close(angles[0::2], angles[1::2], atol=0.2, rtol=0)
    assert angles[0::2].std() > 0.05


def test_only_drawn_clips_are_turned_and_gains_are_per_clip():
    own, batch = task(turn_probability=0.4), hands(8, frames=2)
    batch.image[:] = 0.5
    changed = own.augment(batch, draws(8))
    same = (changed.joints == batch.joints).flatten(1).all(dim=1)
    assert 0 < int(same.sum()) < 16
    assert torch.equal(same[0::2], same[1::2])
    middle = changed.image[:, :, 120, 160]
    assert torch.equal(middle[0::2], middle[1::2])
    assert (middle[0] - middle[2]).abs().max() > 0.01
    assert (middle.amax() <= 0.7) & (middle.amin() >= 0.3)


def test_absent_hands_and_those_outside_do_not_count():
    own, batch = task(), hands(3)
    torch.manual_seed(0)
    network = own.build_network().eval()
    batch.pixels[0, 0] += 5000.0
    for name in ('joints', 'pixels', 'global_orient', 'betas', 'translation'):
        getattr(batch, name)[1, 1] = torch.nan
    for flags in batch.valid.values():
        flags[1, 1] = False
    total, terms = own.loss(network, batch, torch.Generator().manual_seed(0))
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(w.grad).all() for w in network.parameters() if w.grad is not None)
    assert 'mask' not in terms
    changed = dataclasses.replace(batch, translation=batch.translation.clone())
    changed.translation[0, 0] += 0.1
    assert torch.equal(own.loss(network, changed, torch.Generator().manual_seed(0))[0], total)
    found = own.predict(network, batch)
    assert torch.isnan(found['joints'][0, 0]).all()
    assert torch.isnan(found['joints'][1, 1]).all()
    assert torch.isfinite(found['joints'][2]).all()


def test_dark_images_teach_nothing_unless_there_are_no_others():
    own, batch = task(), hands(3)
    batch.image[:] = 0.5
    network = own.build_network().eval()
    kept = batch.select(torch.tensor([0, 2]))
    expected = own.loss(network, kept, torch.Generator().manual_seed(0))[0]
    batch.image[1] = 0.05
    found = own.loss(network, batch, torch.Generator().manual_seed(0))[0]
    torch.testing.assert_close(found, expected)
    batch.image[:] = 0.05
    assert torch.isfinite(own.loss(network, batch, torch.Generator().manual_seed(0))[0])


def test_mixed_precision_leaves_views_and_targets_in_full_precision(monkeypatch):
    own, batch = task(loss={'mask_size': 28}), hands(2)
    torch.manual_seed(0)
    network = own.build_network().eval()
    seen, kept = [], wildhands.wildhands_loss
    monkeypatch.setattr(
        wildhands, 'wildhands_loss', lambda *a: (seen.append(a[1:3]), kept(*a))[1]
    )  # fmt: skip
    totals = []
    for mixed in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=mixed):
            totals.append(own.loss(network, batch, torch.Generator().manual_seed(0))[0])
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one._asdict(), other._asdict(), atol=0, rtol=0)
    assert totals[1].dtype == torch.float32
    torch.testing.assert_close(totals[1], totals[0], rtol=0.02, atol=0)


def test_masks_count_when_they_are_asked_for():
    own, batch = task(loss={'mask_size': 28}), hands(1)
    network = own.build_network()
    total, terms = own.loss(network, batch, torch.Generator().manual_seed(0))
    total.backward()
    assert terms['mask'] > 0


def test_predicted_pixels_are_those_of_the_native_image():
    own, batch = task(), hands(2)
    found = own.predict(own.build_network().eval(), batch)
    points = found['joints'] @ batch.intrinsics[:, None].mT
    pixels = points[..., :2] / points[..., 2:]
    torch.testing.assert_close(found['pixels'], pixels, atol=0.05, rtol=1e-3)


def test_measures_are_those_of_arctic():
    own, batch = task(), hands(3)
    truth = batch.joints.numpy().astype(np.float64)
    predicted = truth.copy()
    predicted[:, 0] += [0.03, 0.0, 0.0]
    measured = own.measure({'joints': predicted}, {'joints': truth})
    assert measured['MRRPE'] == pytest.approx(30.0)
    assert measured['MPJPE'] == pytest.approx(0.0, abs=1e-6)
    assert measured['PA-MPJPE'] == pytest.approx(0.0, abs=1e-6)

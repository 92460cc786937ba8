"""DenseReg as a task: which hands it learns, crops that stay consistent, and its measures."""

import dataclasses

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import TrainingError
from hand_pose_ros.networks.dense_votes import DenseFields, dense_targets
from hand_pose_ros.training.tasks.registry import make_task
from tests.training import fakes

TINY = {'stem_channels': 4, 'channels': 8, 'branch_channels': 8, 'vote_channels': 8, 'dropout': 0.0}


def task(**options):
    return make_task(fakes.make_config(task='densereg', network=TINY, options=options))


def hands(clips=2):
    """A batch of depth images that show a slanted plane where the hands are."""
    batch = fakes.make_batch(clips, modality='depth', size=(240, 320))
    ramp = torch.linspace(0.45, 0.55, 320).expand(2 * clips, 1, 240, 320).clone()
    return dataclasses.replace(batch, image=ramp)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Oracle(torch.nn.Module):
    """Knows the fields of the crops it will see, in order."""

    completer = None

    def __init__(self, fields):
        super().__init__()
        self.fields = fields

    def forward(self, crops):
        fields = self.fields.pop(0)
        assert len(fields.heat_2d) == len(crops)
        return [fields]


def oracle(own, batch, generator):
    frames, sides = torch.ones(len(batch.image), 2).nonzero(as_tuple=True)
    # What is predicted is looked at twice, what is learnt once.
    turns = own.network_config.turns if generator is None else (0.0,)
    crop = own._crops(batch, frames, sides, generator, turns)
    joints = batch.joints[frames, sides].repeat(len(turns), 1, 1)
    return Oracle([dense_targets(crop, joints).fields])


@pytest.mark.parametrize('crop', ['cube', 'box'])
def test_perfect_fields_give_no_loss_and_the_true_joints(crop):
    own, batch = task(crop=crop, reduction='mean', side=0.36, padding=30), hands(1)
    total, terms = own.loss(oracle(own, batch, seeded(3)), batch, seeded(3))
    assert float(total.detach()) == 0.0
    assert set(terms) == {'heat_2d', 'heat_3d', 'direction'}
    # Joints of both sides come back through mirrored crops; those near the surface are certain.
    batch.joints[..., :2] *= 0.4
    batch.joints[..., 2] = 0.5 + 0.1 * batch.joints[..., 0]
    found = own.predict(oracle(own, batch, None), batch)['joints']
    assert (found - batch.joints).norm(dim=-1).median() < 0.002


@pytest.mark.parametrize('crop', ['cube', 'box'])
def test_mixed_precision_leaves_crops_targets_and_votes_in_full_precision(crop):
    own, batch = task(crop=crop, reduction='mean', side=0.36, padding=30), hands(1)
    expected = own.predict(oracle(own, batch, None), batch)
    fields, live = oracle(own, batch, seeded(3)), oracle(own, batch, None)
    with torch.autocast('cpu', torch.bfloat16):
        total, _ = own.loss(fields, batch, seeded(3))
        found = own.predict(live, batch)
    assert float(total.detach()) == 0.0
    for name, values in expected.items():
        assert torch.equal(found[name], values), name


@pytest.mark.parametrize('head', ['dense', 'masked_offset', 'detection_depth', 'coordinates'])
def test_the_loss_of_a_network_of_16_bits_is_that_of_32(head):
    own = make_task(
        fakes.make_config(
            task='densereg', network={**TINY, 'head': head}, options={'reduction': 'mean'}
        )
    )
    batch = hands(2)
    torch.manual_seed(0)
    network = own.build_network()
    expected = own.loss(network, batch, seeded())[0]
    with torch.autocast('cpu', torch.bfloat16):
        total, terms = own.loss(network, batch, seeded())
    total.backward()
    assert all(value.dtype == torch.float32 for value in (total, *terms.values()))
    torch.testing.assert_close(total, expected, rtol=0.02, atol=0)


def test_every_draw_of_the_generator_changes_the_crop():
    own, batch = task(), hands(1)
    frames, sides = torch.tensor([0]), torch.tensor([1])
    one, other, same = (own._crops(batch, frames, sides, seeded(s)).image for s in (1, 2, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_absent_hands_and_padded_frames_change_nothing():
    own, batch = task(reduction='mean'), hands(2)
    network = own.build_network().eval()
    batch.joints[1, 0] = torch.nan
    batch.valid['joints_3d'][1, 0] = False
    batch.not_padding[3] = 0.0
    kept = own.loss(network, batch, seeded())[0]
    changed = dataclasses.replace(batch, joints=batch.joints.clone())
    changed.joints[3] += 0.05
    changed.joints[1, 0] = 0.3
    assert torch.equal(own.loss(network, changed, seeded())[0], kept)
    changed.joints[0, 1] += 0.02
    assert not torch.equal(own.loss(network, changed, seeded())[0], kept)
    found = own.predict(network, batch)['joints']
    assert torch.isnan(found[1, 0]).all()
    assert torch.isfinite(found[2]).all()


def test_a_batch_without_hands_trains_nothing():
    own, batch = task(reduction='mean'), hands(1)
    batch.joints[:] = torch.nan
    batch.valid['joints_3d'][:] = False
    total, _ = own.loss(own.build_network(), batch, seeded())
    total.backward()
    assert float(total.detach()) == 0.0


def test_votes_cannot_reach_less_far_than_published():
    assert task(reach=2.0, reduction='mean').name == 'densereg'
    with pytest.raises(TrainingError, match='reach is 0.5: use 1'):
        task(reach=0.5)


def test_joints_that_votes_lead_to_count_where_they_have_a_weight():
    batch = hands(1)
    plain, weighted = task(reduction='mean'), task(reduction='mean', joint_weight=3.0)
    torch.manual_seed(0)
    network = plain.build_network()
    total, terms = plain.loss(network, batch, seeded(1))
    more, with_joints = weighted.loss(network, batch, seeded(1))
    assert set(with_joints) == {*terms, 'joints', 'expected'}
    joints, expected = (float(with_joints[name].detach()) for name in ('joints', 'expected'))
    assert joints > 0.01
    added = 3.0 * joints + 0.1 * expected
    assert float((more - total).detach()) == pytest.approx(added, rel=1e-3)


def test_the_loss_of_one_batch_falls():
    own, batch = task(reduction='mean'), hands(1)
    torch.manual_seed(0)
    network = own.build_network()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        total, _ = own.loss(network, batch, seeded())
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.85 * losses[0]


def test_measures_are_those_of_the_protocol():
    own = task()
    truth = np.zeros((10, 2, 21, 3))
    truth[9, 1] = np.nan
    predicted = truth.copy()
    predicted[..., 0] += 0.010
    predicted[0, 0, 3, 0] = 0.030
    predicted[1, 0] = np.nan
    measured = own.measure({'joints': predicted}, {'joints': truth})
    assert measured['mean joint error'] == pytest.approx(10 + 20 / (18 * 21))
    assert measured['worst joint < 20 mm'] == pytest.approx(100 * 17 / 19)
    assert measured['worst joint < 40 mm'] == pytest.approx(100 * 18 / 19)


def test_the_fields_are_those_of_the_network():
    own = task()
    output = own.build_network()(torch.zeros(1, 2, 128, 128))
    assert all(isinstance(fields, DenseFields) for fields in output)


@pytest.mark.parametrize('weight', [0, 6])
def test_what_teaches_the_refiner_is_the_distance_of_the_joints(weight):
    options = {'reduction': 'mean', 'joint_weight': weight}
    own = make_task(
        fakes.make_config(task='densereg', network={**TINY, 'refiner': 8}, options=options)
    )
    network = own.build_network()
    total, _ = own.loss(network, hands(1), seeded())
    total.backward()
    taught = [name for name, value in network.refiner.named_parameters() if value.grad is not None]
    assert bool(taught) == bool(weight)
    assert all(value.requires_grad == bool(weight) for value in network.refiner.parameters())


def test_only_hands_with_all_joints_are_found_as_the_task_cuts_them():
    own, batch = (
        make_task(fakes.make_config(task='densereg', network={**TINY, 'refiner': 4})),
        hands(),
    )
    network = own.build_network().eval()
    everything = own.find(network, batch, seeded())
    assert everything.joints.shape == everything.true.shape == (8, 21, 3)
    assert torch.isfinite(everything.log_error).all()
    assert everything.visible.all()
    # The true joints lie about the middle of the crop, moved by what training moves it by.
    assert everything.true.mean(dim=1)[:, :2].abs().max() < 1.0
    batch.joints[1, 0, 3] = torch.nan
    batch.visible[2, 1, 5] = False
    some = own.find(network, batch, seeded())
    assert len(some.true) == 7
    assert int((~some.visible).sum()) == 1


@pytest.mark.parametrize('crop', ['cube', 'box'])
def test_hands_that_are_looked_at_twice_are_found_where_they_are(crop):
    """Both crops are turned beside what augmentation turns, and lead to the same joints."""
    own, batch = task(crop=crop, side=0.36, padding=30), hands(1)
    assert own.network_config.turns == (-0.3, 0.3)
    batch.joints[..., :2] *= 0.4
    batch.joints[..., 2] = 0.5 + 0.1 * batch.joints[..., 0]
    frames, sides = torch.ones(len(batch.image), 2).nonzero(as_tuple=True)
    for generator in (None, seeded(3)):
        once = own._crops(batch, frames, sides, None if generator is None else seeded(3))
        twice = own._crops(batch, frames, sides, generator, (0.0, 0.3))
        assert len(twice.image) == 2 * len(once.image)
        assert torch.equal(twice.rows(slice(len(frames))).image, once.image)
        assert not torch.equal(twice.rows(slice(len(frames), None)).image, once.image)
    found = own.predict(oracle(own, batch, None), batch)['joints']
    assert (found - batch.joints).norm(dim=-1).median() < 0.002


def test_training_leaves_a_completer_as_it_is():
    own = make_task(
        fakes.make_config(task='densereg', network={**TINY, 'refiner': 4, 'completer': 8})
    )
    network = own.build_network()
    assert not any(weight.requires_grad for weight in network.completer.parameters())
    assert all(weight.requires_grad for weight in network.stem.parameters())

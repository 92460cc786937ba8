"""The crop's ambiguity in small: signs of benchmarks/box_ambiguity.py and benchmarks/metamer.py."""

import dataclasses
import json

import pytest
import torch

from benchmarks import box_ambiguity, metamer
from hand_pose_ros.networks.wildhands import WildHands, WildHandsConfig
from tests.training.test_losses_wildhands import labelled


def test_true_positions_beat_mean_centred_ones_in_absolute_and_relative_3d(tmp_path, capsys):
    file = tmp_path / 'figures.json'
    status = box_ambiguity.main(['--steps', '800', '--seeds', '0', '--json', str(file)])
    errors = json.loads(file.read_text())['mean corner error, mm']
    assert status == 0, capsys.readouterr().out
    for target in ('absolute', 'relative'):
        assert errors[target]['positions'] < 0.9 * errors[target]['mean-centred']


def test_boxes_are_drawn_as_stated():
    corners = box_ambiguity.draw_boxes(4000, torch.Generator().manual_seed(1))
    centre = corners.mean(dim=1)
    assert torch.allclose(centre[:, 2], torch.ones(4000), atol=1e-5)
    assert float(centre[:, 0].abs().max()) == pytest.approx(0.700, abs=0.01)
    # Edges along the box's own axes: 0.2, 0.2 and up to 1.2.
    edges = torch.stack([corners[:, 4] - corners[:, 0], corners[:, 2] - corners[:, 0],
                         corners[:, 1] - corners[:, 0]], dim=1).norm(dim=2)  # fmt: skip
    assert torch.allclose(edges[:, :2], torch.full((4000, 2), 0.2), atol=1e-5)
    assert float(edges[:, 2].max()) == pytest.approx(1.2, abs=0.01)
    assert float(edges[:, 2].min()) < 0.01


def test_mean_centred_boxes_hide_their_place():
    corners = box_ambiguity.draw_boxes(8, torch.Generator().manual_seed(2))
    seen = box_ambiguity.observed(corners, 'mean-centred').unflatten(1, (8, 2))
    assert seen.mean(dim=1).abs().max() < 1e-5


def test_a_swapped_table_does_not_hold():
    good = {'absolute': {'positions': 1.0, 'mean-centred': 2.0}}
    assert box_ambiguity.holds(good)
    assert not box_ambiguity.holds({**good, 'relative': {'positions': 2.0, 'mean-centred': 1.0}})


def test_metamers_match_in_2d_and_differ_in_3d_more_at_the_border_and_in_wide_views(tmp_path):
    file = tmp_path / 'figures.json'
    assert metamer.main(['--hands', '3', '--steps', '150', '--json', str(file)]) == 0
    found = json.loads(file.read_text())['metamers']
    assert found['90']['0']['millimetres'] < 1.0
    assert found['90']['0.9']['millimetres'] > 50.0
    assert found['40']['0.9']['millimetres'] < 40.0
    flat = {view: dict.fromkeys(row, row['0']) for view, row in found.items()}
    assert not metamer.holds(flat)


def test_wrong_intrinsics_are_measured_on_the_same_frames():
    torch.manual_seed(0)
    network = WildHands(dataclasses.replace(WildHandsConfig.small(), width=8)).eval()
    batch, _ = labelled()
    table = metamer.wrong_intrinsics(network, [batch])
    assert list(table) == ['f x 0.8', 'f x 1', 'f x 1.25', 'pseudo']
    assert len({row['mrrpe_mm'] for row in table.values()}) == 4

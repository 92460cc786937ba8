"""WildHands: published sizes, small sizes, camera, refinement, encodings, mirrored left hands."""

import dataclasses
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.registry import create_network
from hand_pose_ros.networks.resnet import count_parameters
from hand_pose_ros.networks.wildhands import (
    FARTHEST,
    NEAREST,
    FeatureHead,
    PoseHead,
    WildHands,
    WildHandsConfig,
    distance_from_scale,
    focal_length,
    project,
    scale_from_distance,
)
from tests.networks.one_cell import OneCell

SMALL = WildHandsConfig.small()
# Fast and still of the published structure: two heads, no batch normalisation, both backbones.
TINY = dataclasses.replace(
    SMALL, width=8, head_channels=(16, 16, 16), head_norm=False, feature=32, hidden=32,
    camera_hidden=16, mirror_left=False, joint_maps=0, grasp_widths=(16, 16, 16),
    global_reduction=1,
)  # fmt: skip
LAYER = HandLayer()


def network(**changes):
    torch.manual_seed(0)
    return WildHands(dataclasses.replace(TINY, **changes), LAYER).eval()


def views(count=2, size=112, seed=1):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.tensor([[100.0, 0.0, 53.0], [0.0, 98.0, 57.0], [0.0, 0.0, 1.0]])
    boxes = torch.tensor([[10.5, 20.0, 50.5, 60.0], [60.0, 30.25, 120.0, 90.25]])
    return (
        torch.rand(count, 3, size, size, generator=generator),
        torch.rand(count, 2, 3, size, size, generator=generator),
        matrix.expand(count, 3, 3),
        boxes.expand(count, 2, 4),
    )


def test_base_has_the_published_number_of_parameters():
    config = dataclasses.replace(WildHandsConfig.base(), grasp_head=True)
    full = create_network('wildhands', config)
    grasp = count_parameters(full.grasp_head)
    assert count_parameters(full) == 72_030_313
    assert count_parameters(full) - grasp == 69_182_816
    assert count_parameters(full.crop_backbone) == 23_508_032
    assert count_parameters(full.global_backbone) == 23_508_032
    assert count_parameters(full.head) == 12_797_952
    assert [count_parameters(head) for head in full.pose_heads] == [4_684_400] * 2
    assert full.grasp_head.layers[0].in_features == 2202


def test_base_maps_become_vectors_of_2048():
    with torch.device('meta'):  # shapes need no numbers
        head = FeatureHead(2048 + 80, WildHandsConfig.base())
        maps = torch.empty(3, 2048 + 80, 7, 7)
        assert head.convolutions(maps).shape == (3, 256, 3, 3)
        assert head(maps).shape == (3, 2048)


def test_small_fits_a_cpu():
    small = WildHands(SMALL, LAYER).eval()
    assert count_parameters(small) <= 4_500_000
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        small(*views(1))
    assert counter.get_total_flops() / 2 <= 0.3e9


@pytest.mark.parametrize('config', [TINY, SMALL, dataclasses.replace(TINY, grasp_head=True)])
def test_shapes_of_the_output(config):
    output = WildHands(config, LAYER).eval()(*views(2), mesh=True)
    shapes = {
        'rotations': (2, 2, 16, 3, 3), 'betas': (2, 2, 10), 'camera': (2, 2, 3),
        'initial_camera': (2, 2, 3), 'translation': (2, 2, 3), 'joints': (2, 2, 21, 3),
        'vertices': (2, 2, 1609, 3), 'pixels': (2, 2, 21, 2),
    }  # fmt: skip
    for name, shape in shapes.items():
        assert getattr(output, name).shape == shape, name
    assert (output.grasp_logits is not None) == config.grasp_head
    if config.grasp_head:
        assert output.grasp_logits.shape == (2, 2, 9)
    eye = torch.eye(3).expand_as(output.rotations)
    assert torch.allclose(output.rotations @ output.rotations.transpose(3, 4), eye, atol=1e-4)
    assert torch.allclose(torch.linalg.det(output.rotations), torch.ones(2, 2, 16), atol=1e-4)


def test_the_mesh_is_made_only_when_asked_for():
    net = network()
    with torch.inference_mode():
        with_mesh, without = net(*views(), mesh=True), net(*views())
    assert without.vertices is None
    assert torch.allclose(with_mesh.joints, without.joints, atol=1e-6)


def test_refinement_starts_at_no_rotation_and_no_shape_and_takes_three_rounds():
    head = PoseHead(SMALL).eval()
    feature = torch.randn(4, SMALL.feature)
    calls = []
    head.refine.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0]))
    head(feature)
    assert len(calls) == 3
    state = calls[0][:, SMALL.feature :]
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(16)
    assert torch.equal(state[:, :96], identity.expand(4, 96))
    assert torch.equal(state[:, 96:99], head.initial_camera(feature))
    assert torch.equal(state[:, 99:], torch.zeros(4, 10))
    # Untrained decoders change little (Xavier, gain 0.01).
    pose, betas, camera, initial = head(feature)
    assert (pose - identity).abs().max() < 0.1
    assert betas.abs().max() < 0.1
    assert (camera - initial).abs().max() < 0.1


def test_each_round_adds_the_decoders_of_the_state_before():
    head = PoseHead(dataclasses.replace(SMALL, rounds=1)).eval()
    again = PoseHead(SMALL).eval()
    again.load_state_dict(head.state_dict())
    feature = torch.randn(2, SMALL.feature)
    pose, betas, camera, _ = head(feature)
    for _ in range(2):
        step = head.refine(torch.cat([feature, pose, camera, betas], dim=1))
        pose, camera, betas = (
            value + decoder(step)
            for value, decoder in zip((pose, camera, betas), head.decoders, strict=True)
        )
    assert torch.allclose(again(feature)[0], pose, atol=1e-6)
    assert torch.allclose(again(feature)[2], camera, atol=1e-6)


def test_scale_and_distance_have_the_stated_value():
    scale = scale_from_distance(torch.tensor(0.5), torch.tensor(200.0), 224)
    assert float(scale) == pytest.approx(3.571429, abs=1e-6)


@given(st.floats(0.051, 2.9), st.floats(50, 900), st.sampled_from([112, 224]))
def test_scale_and_distance_are_inverse(distance, focal, patch):
    distance, focal = torch.tensor(distance).double(), torch.tensor(focal).double()
    scale = scale_from_distance(distance, focal, patch)
    assert float(distance_from_scale(scale, focal, patch)) == pytest.approx(
        float(distance), abs=1e-6
    )


@given(st.floats(-1e6, 1e6), st.floats(50, 900))
def test_the_scale_is_kept_to_5_cm_to_3_m(scale, focal):
    found = distance_from_scale(torch.tensor(scale), torch.tensor(focal), 224)
    assert NEAREST - 1e-6 <= float(found) <= FARTHEST + 1e-5


def test_joints_and_translation_project_onto_the_pixels():
    image, crops, matrix, boxes = views()
    net = network()
    output = net(image, crops, matrix, boxes)
    unplaced = LAYER(output.rotations, output.betas, torch.zeros_like(output.translation)).joints
    placed = unplaced + output.translation[:, :, None]
    assert torch.allclose(placed, output.joints, atol=1e-6)
    x, y, z = placed.unbind(dim=-1)
    assert torch.allclose(output.pixels[..., 0], 100.0 * x / z + 53.0, atol=1e-3)
    assert torch.allclose(output.pixels[..., 1], 98.0 * y / z + 57.0, atol=1e-3)
    assert torch.allclose(output.translation[..., :2], output.camera[..., 1:])
    expected = distance_from_scale(output.camera[..., 0], focal_length(matrix)[:, None], 112)
    assert torch.allclose(output.translation[..., 2], expected)


def test_true_camera_parameters_reproduce_the_true_pixels():
    matrix = views(1)[2]
    rotations, betas = torch.eye(3).repeat(1, 2, 16, 1, 1), torch.zeros(1, 2, 10)
    true = torch.tensor([[[0.05, -0.02, 0.4], [-0.1, 0.03, 0.7]]])
    wanted = project(LAYER(rotations, betas, true).joints, matrix)
    focal = focal_length(matrix)[:, None]
    camera = torch.cat(
        [scale_from_distance(true[..., 2:], focal[..., None], 112), true[..., :2]], 2
    )
    decoded = network()._decode(rotations, betas, camera, camera, None, matrix, mesh=False)
    assert torch.allclose(decoded.pixels, wanted, atol=1e-3)
    assert torch.allclose(decoded.translation, true, atol=1e-6)


@pytest.mark.parametrize('kpe', ['sparse', 'dense', 'legacy_dense'])
def test_the_encoding_feels_box_and_intrinsics(kpe):
    image, crops, matrix, boxes = views()
    net = network(kpe=kpe)
    before = net(image, crops, matrix, boxes)
    moved = net(image, crops, matrix, boxes + 10.0)
    assert not torch.allclose(moved.camera, before.camera, atol=1e-7)
    longer = matrix * torch.tensor([[2.0], [2.0], [1.0]])
    assert not torch.allclose(net(image, crops, longer, boxes).camera, before.camera, atol=1e-7)


def test_without_encoding_only_the_decoding_feels_the_intrinsics():
    image, crops, matrix, boxes = views()
    net = network(kpe='none')
    before, moved = net(image, crops, matrix, boxes), net(image, crops, matrix, boxes + 10.0)
    assert torch.equal(moved.camera, before.camera)
    longer = net(image, crops, 2 * matrix, boxes)
    assert torch.equal(longer.camera, before.camera)


def test_pseudo_intrinsics_encode_the_box_but_not_the_camera():
    image, crops, matrix, boxes = views()
    net = network(pseudo_intrinsics=True)
    before = net(image, crops, matrix, boxes)
    assert torch.equal(net(image, crops, 2 * matrix, boxes).camera, before.camera)
    assert not torch.equal(net(image, crops, matrix, boxes + 10.0).camera, before.camera)


def test_the_global_feature_is_added_and_can_be_left_out():
    image, crops, matrix, boxes = views()
    other = views(seed=9)[0]
    net = network()
    assert not torch.equal(
        net(image, crops, matrix, boxes).betas, net(other, crops, matrix, boxes).betas
    )
    without = network(global_feature=False)
    assert without.global_backbone is None
    assert torch.equal(
        without(image, crops, matrix, boxes).betas, without(other, crops, matrix, boxes).betas
    )


def test_the_sum_of_the_global_features_reaches_the_grasp_head():
    image, crops, matrix, boxes = views()
    net = network(grasp_head=True, global_feature=True)
    _, context, _ = net.features(image, crops, matrix, boxes)
    normal = (image - net.mean) / net.std
    assert torch.allclose(context, net.global_backbone(normal).sum(dim=(2, 3)), atol=1e-4)


def test_without_crops_both_hands_come_from_the_whole_image():
    image, crops, matrix, boxes = views()
    net = network(crops=False)
    changed = net(image, torch.rand_like(crops), matrix, boxes * 0.5)
    assert torch.equal(changed.joints, net(image, crops, matrix, boxes).joints)


def test_a_mirrored_scene_gives_mirrored_hands():
    image, crops, matrix, boxes = views()
    torch.manual_seed(0)
    net = WildHands(SMALL, LAYER).eval()
    plain = net(image, crops, matrix, boxes)
    mirrored_matrix = matrix.clone()
    mirrored_matrix[:, 0, 2] = 111 - matrix[:, 0, 2]
    x0, y0, x1, y1 = boxes.flip(1).unbind(dim=2)
    swapped = net(
        image.flip(-1), crops.flip(1).flip(-1), mirrored_matrix,
        torch.stack([111 - x1, y0, 111 - x0, y1], dim=2),
    )  # fmt: skip
    flip = torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(swapped.joints, plain.joints.flip(1) * flip, atol=1e-5)
    assert torch.allclose(swapped.betas, plain.betas.flip(1), atol=1e-5)
    assert torch.allclose(111 - swapped.pixels[..., 0], plain.pixels.flip(1)[..., 0], atol=1e-2)
    assert torch.allclose(swapped.maps.places, plain.maps.places.flip(1) * flip, atol=1e-5)
    assert torch.allclose(swapped.maps.logits, plain.maps.logits.flip(1).flip(-1), atol=1e-5)


def test_maps_say_where_in_its_crop_a_joint_is():
    net = network(mirror_left=True, joint_maps=16)
    maps = net.joint_maps
    with torch.no_grad():  # joint 4 of both hands in the last column, in row 10
        maps.out.weight.zero_()
        maps.out.weight[4, 0] = 1000.0
        maps.out.bias[25] = 0.5
        maps.merge[0] = OneCell((10, 13))
        found = net(*views()).maps
    assert found.logits.shape == (2, 2, 21, 14, 14)
    across = (13.5 - 7) / 7  # of half a crop, right of its middle; in the left hand's mirror left
    expected = torch.tensor([[-across, 0.5, 0.5], [across, 0.5, 0.5]]).expand(2, 2, 3)
    torch.testing.assert_close(found.places[:, :, 4], expected)
    assert found.spread[:, :, 4].max() < 0.1 < found.spread[:, :, 5].min()


def test_new_maps_do_not_change_what_a_network_says():
    plain, mapped = network(), network(joint_maps=16)
    mapped.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(mapped(*views()).joints, plain(*views()).joints)


def test_hands_follow_their_maps():
    net = network(joint_maps=16)
    torch.nn.init.normal_(net.place[2].weight)
    before = net(*views()).joints
    with torch.no_grad():
        net.joint_maps.out.bias[21:] += 1.0
    assert not torch.allclose(net(*views()).joints, before, atol=1e-4)


def test_maps_need_a_finer_stage():
    with pytest.raises(ModelError, match='joint_maps need two stages'):
        dataclasses.replace(TINY, stages=1, patch=28, joint_maps=16)


def test_maps_of_crops_need_crops():
    with pytest.raises(ModelError, match='joint_maps are maps of crops'):
        dataclasses.replace(SMALL, crops=False)


def test_hands_and_frames_do_not_mix():
    image, crops, matrix, boxes = views(3)
    net = network()
    together = net(image, crops, matrix, boxes)
    alone = net(image[1:2], crops[1:2], matrix[1:2], boxes[1:2])
    assert torch.allclose(together.joints[1:2], alone.joints, atol=1e-5)
    changed = crops.clone()
    changed[:, 0] = 0
    assert torch.allclose(
        net(image, changed, matrix, boxes).joints[:, 1], together.joints[:, 1], atol=1e-6
    )


def test_gradients_reach_every_parameter():
    net = network(grasp_head=True, joint_maps=16).train()
    torch.nn.init.normal_(net.place[2].weight)
    output = net(*views(4))
    loss = output.joints.square().sum() + output.camera.sum() + output.grasp_logits.sum()
    loss.backward()
    still = [name for name, value in net.named_parameters() if not value.grad.abs().sum() > 0]
    assert not still


def test_mixed_precision_keeps_joints_and_pixels_exact_for_their_rotations():
    net = network()
    image, crops, matrix, boxes = views()
    with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
        output = net(image, crops, matrix, boxes)
    assert output.camera.dtype == output.rotations.dtype == torch.float32
    exact = LAYER(output.rotations, output.betas, output.translation).joints
    assert torch.allclose(output.joints, exact, atol=1e-6)
    assert torch.allclose(output.pixels, project(exact, matrix), atol=1e-3)


def test_a_checkpoint_comes_back(tmp_path):
    net = WildHands(SMALL, LAYER).eval()
    path = tmp_path / 'hands.safetensors'
    save_checkpoint(path, net, 'wildhands', SMALL, {'data': 'none'})
    loaded = load_checkpoint(path, expected='wildhands')
    assert loaded.config == SMALL
    assert torch.equal(loaded.network(*views()).joints, net(*views()).joints)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'kpe': 'some'}, 'sparse, dense, legacy_dense, none'),
        ({'patch': 224}, 'use 112'),
        ({'depth': 34}, '18'),
    ],
)
def test_configurations_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_images_of_another_size_are_refused():
    image, crops, matrix, boxes = views(size=96)
    with pytest.raises(ModelError, match='use hand_views'):
        network()(image, crops, matrix, boxes)


def test_small_trains_from_scratch_on_a_few_views():
    torch.manual_seed(0)
    net = WildHands(dataclasses.replace(SMALL, width=8), LAYER).train()
    inputs = views(4)
    generator = torch.Generator().manual_seed(3)
    target = torch.randn(4, 2, 21, 3, generator=generator) * 0.03
    target = target + torch.tensor([0.0, 0.0, 0.5])
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    losses = []
    begun = time.monotonic()
    while len(losses) < 40 and time.monotonic() - begun < 60:
        loss = (net(*inputs).joints - target).square().sum(dim=-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]

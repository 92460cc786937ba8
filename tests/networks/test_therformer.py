"""TherFormer: published size and shapes, the small network, decoding, bad input."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import load_checkpoint, save_checkpoint
from hand_pose_ros.networks.registry import create_network
from hand_pose_ros.networks.resnet import ResNet, count_parameters, freeze_statistics
from hand_pose_ros.networks.therformer import TherFormer, TherFormerConfig, depth_image
from hand_pose_ros.networks.therformer_blocks import decode_joints
from hand_pose_ros.networks.token_encoder import positional_table
from tests.networks.therformer_scene import NIR, THERMAL, cameras, images, tiny


@pytest.fixture(scope='module')
def network():
    return tiny()


def test_base_has_the_published_number_of_parameters_block_by_block():
    base = create_network('therformer', TherFormerConfig.base())
    blocks = {
        'backbone': 683_072, 'lift': 132_096, 'mask_head': 525_824, 'spatial': 8_798_592,
        'down': 4_114_432, 'temporal': 6_305_792, 'head': 589_950,
    }  # fmt: skip
    assert {name: count_parameters(base.get_submodule(name)) for name in blocks} == blocks
    assert count_parameters(base) == 21_149_758
    # What is stored is what is counted, but for the statistics of the backbone's normalisation.
    extra = [name for name in base.state_dict() if name not in dict(base.named_parameters())]
    assert all(name.startswith('backbone.') for name in extra)


@pytest.mark.parametrize(
    ('config', 'most_parameters', 'most_macs'),
    [(TherFormerConfig.small(), 4e6, 1e9), (TherFormerConfig.base(), 22e6, 15e9)],
    ids=['small', 'base'],
)
def test_arithmetic_per_frame(config, most_parameters, most_macs):
    # Without guidance all tokens sample: no image can cost more.
    whole = TherFormer(dataclasses.replace(config, mask_guidance=False)).eval()
    assert count_parameters(whole) <= most_parameters
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        features, _ = whole.encode(images(1))
        whole.decode(features[None], cameras(1))
    assert counter.get_total_flops() / 2 <= most_macs


def test_tokens_see_what_the_third_stage_sees_at_half_their_resolution():
    network = tiny(joint_maps=0, spatial_encoder=False, mask_guidance=False)
    film = images(1)
    with torch.no_grad():
        vector = network.encode(film)[0]
        fine, coarse = network.backbone.levels(film.mean(dim=1, keepdim=True) - 0.5)[1:]
        assert fine.shape[2:] == (32, 40) and coarse.shape[2:] == (16, 20)
        doubled = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        tokens = network.lift(fine) + network.lift_coarse(doubled)
        torch.testing.assert_close(network.down(tokens)[0], vector)
        network.lift_coarse.weight.zero_()
        assert (network.encode(film)[0] - vector).abs().max() > 1e-3


@pytest.mark.parametrize('rows', [256, 240])
@pytest.mark.parametrize(('clips', 'frames'), [(2, 8), (2, 1), (1, 4), (1, 16)])
def test_both_image_sizes_and_any_number_of_frames_give_42_joints(network, rows, clips, frames):
    number = clips * frames
    with torch.no_grad():
        output = network(images(number, rows), cameras(number), frames=frames)
    assert output.joints.shape == (number, 42, 3)
    assert output.pixels.shape == (number, 42, 2)
    assert output.depth.shape == (number, 42, 1)
    assert output.mask_logits.shape == (number, 1, rows // 8, 40)
    assert output.joints.isfinite().all()
    assert torch.equal(output.joints[..., 2:], output.depth)


@pytest.mark.parametrize('shape', [(1, 3, 240, 321), (1, 3, 256, 256), (1, 3, 512, 640)])
def test_other_image_sizes_are_refused(network, shape):
    with pytest.raises(ModelError, match='256 x 320 or 240 x 320.*resize them and their K'):
        network(torch.zeros(shape), cameras(1))


def test_images_with_other_channels_and_broken_clips_are_refused(network):
    with pytest.raises(ModelError, match='give single channels three times'):
        network.encode(torch.zeros(1, 1, 256, 320))
    with pytest.raises(ModelError, match='3 images for clips of 2 frames'):
        network(images(3), cameras(3), frames=2)
    with pytest.raises(ModelError, match='at most 64 frames'):
        network(images(1), cameras(1), frames=0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'image_size': (512, 640)}, 'got 512 x 640'),
        ({'frames': 0}, 'use 1 to 64'),
        ({'input_channels': 2}, 'use 1 or 3'),
        ({'pool': 'max'}, 'use conv_flatten or avg'),
        ({'backbone_norm': 'layer'}, 'use batch or group'),
        ({'backbone_stages': 4}, 'use 2 or 3'),
        ({'heads': 7}, 'choose divisors'),
    ],
)
def test_impossible_configurations_are_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        dataclasses.replace(TherFormerConfig.base(), **changes)


def test_every_sensor_has_its_size_and_depth_offset():
    sizes = {'thermal': (256, 0.7), 'nir': (240, 0.5), 'rgb': (240, 0.5), 'depth': (240, 0.5)}
    for sensor, (rows, offset) in sizes.items():
        base, small = TherFormerConfig.base(sensor), TherFormerConfig.small(sensor)
        assert (base.image_size[0], base.depth_offset) == (rows, offset)
        assert (small.image_size[0], small.depth_offset) == (rows, 0.0)
    assert TherFormerConfig.small('rgb').input_channels == 3
    with pytest.raises(ModelError, match='knows no sensor'):
        TherFormerConfig.small('radar')


def test_decoding_gives_the_values_of_the_specification():
    raw = torch.tensor([0.1, -0.2, -1.0]).expand(1, 42, 3)
    pixels, depth, points = decode_joints(raw, THERMAL[None], (256, 320), 0.7)
    assert pixels[0, 0].tolist() == pytest.approx([170, 108])
    assert float(depth[0, 0]) == pytest.approx(0.495231, abs=1e-6)
    assert points[0, 0].tolist() == pytest.approx([0.020431, -0.04541, 0.495231], abs=5e-6)
    legacy = decode_joints(raw, THERMAL[None], (256, 320), 0.7, legacy_focal=True)[2]
    assert legacy[0, 41].tolist() == pytest.approx([0.020431, -0.045454, 0.495231], abs=1e-6)


@pytest.mark.parametrize(('K', 'rows'), [(THERMAL, 256), (NIR, 240)])
def test_points_project_onto_the_pixels(network, K, rows):
    with torch.no_grad():
        output = network(images(2, rows), cameras(2, K))
    projected = output.joints / output.joints[..., 2:] @ K.T
    torch.testing.assert_close(projected[..., :2], output.pixels, atol=1e-3, rtol=0)


def test_the_depth_offset_can_be_chosen_per_call(network):
    with torch.no_grad():
        thermal = network(images(1), cameras(1), depth_offset=0.7)
        nir = network(images(1), cameras(1), depth_offset=0.5)
    torch.testing.assert_close(thermal.depth - nir.depth, torch.full((1, 42, 1), 0.2))
    assert torch.equal(thermal.pixels, nir.pixels)


@pytest.mark.parametrize('preset', [TherFormerConfig.small('nir'), TherFormerConfig.small()])
def test_a_new_network_answers_with_a_pair_of_hands(preset):
    torch.manual_seed(3)
    # The published head; maps of joints start in the image's middle.
    new = TherFormer(dataclasses.replace(preset, joint_maps=0)).eval()
    rows = preset.image_size[0]
    with torch.no_grad():
        output = new(images(2, rows), cameras(2))
    hands = output.joints.unflatten(1, (2, 21))
    assert 0.2 < float(output.depth.min()) < float(output.depth.max()) < 0.7
    assert bool((hands[:, 0, :, 0].mean(dim=1) < hands[:, 1, :, 0].mean(dim=1)).all())
    assert bool(((output.pixels > 0) & (output.pixels < torch.tensor([320, rows]))).all())


def test_the_head_corrects_what_the_maps_say():
    config = dataclasses.replace(tiny().config, joint_maps=16)
    assert config.parts == (config.features, 126, 42) and config.token == config.features + 168
    network = TherFormer(config).eval()
    with torch.no_grad():
        features, _ = network.encode(images(1))
        head = network.head[4]
        head.weight.zero_()
        _, pixels, depth = network.decode(features[None], cameras(1))
        head.bias.copy_(torch.tensor([0.1, 0.2, 0.5]).repeat(42))
        _, moved, deeper = network.decode(features[None], cameras(1))
    said = features[:, -168:-42].unflatten(1, (42, 3))
    torch.testing.assert_close(pixels, said[..., :2] * 100 + torch.tensor([160.0, 128.0]))
    torch.testing.assert_close(moved - pixels, torch.tensor([10.0, 20.0]).expand(1, 42, 2))
    torch.testing.assert_close(deeper - depth, torch.full((1, 42, 1), 0.5e-3 * 204.769))


def test_positional_codes_are_the_classic_table():
    table = positional_table(1280, 1024)
    assert table.shape == (1280, 1024)
    assert float(table[7, 0]) == pytest.approx(0.6569866, abs=1e-5)  # sin 7
    assert float(table[7, 1]) == pytest.approx(0.7539023, abs=1e-5)  # cos 7
    angle = torch.tensor(1279 / 10000 ** (512 / 1024), dtype=torch.float64)
    assert table[1279, 512:514].tolist() == pytest.approx(
        [float(angle.sin()), float(angle.cos())], abs=1e-3
    )


def test_ablations_change_what_they_say():
    whole, image = tiny(), images(1)
    base_mask = whole.encode(image)[1]
    anchors = (base_mask.sigmoid() > 0.9).float().mean()
    assert 0.02 < float(anchors) < 0.98
    for changes in ({'mask_guidance': False}, {'spatial_encoder': False}, {'pool': 'avg'}):
        variant = tiny(**changes)
        own = dict(variant.named_parameters())
        common = {
            name: value
            for name, value in whole.state_dict().items()
            if name not in own or own[name].shape == value.shape
        }
        variant.load_state_dict(common, strict=False)
        features, mask = variant.encode(image)
        assert torch.equal(mask, base_mask)
        assert not torch.allclose(features, whole.encode(image)[0])
    assert not tiny(spatial_encoder=False).spatial
    assert tiny(pool='avg').down.linear.in_features == 16


def test_the_anchor_rate_is_the_share_of_cells_above_the_threshold(network):
    with torch.no_grad():
        output = network(images(2), cameras(2))
    expected = [(mask.sigmoid() > 0.9).float().mean().item() for mask in output.mask_logits]
    assert output.anchor_rate.tolist() == pytest.approx(expected)
    silent = dataclasses.replace(output, mask_logits=torch.full_like(output.mask_logits, 2.19))
    assert silent.anchor_rate.tolist() == [0, 0]


def test_the_pose_loss_reaches_everything_but_the_mask_head(network):
    trained = tiny().train()
    trained(images(2), cameras(2), frames=2).joints.square().sum().backward()
    for name, parameter in trained.named_parameters():
        # The thresholds have no gradient; the mask head learns from the mask's own loss.
        if not name.startswith('mask_head'):
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            # A key's bias shifts all logits of a softmax alike.
            assert parameter.grad.abs().max() > 0 or name.endswith('key.bias'), name
    assert all(parameter.grad is None for parameter in trained.mask_head.parameters())


def test_a_frame_does_not_depend_on_the_others_in_training_either():
    # As long as nothing normalises with the batch's statistics.
    trained, film = tiny(backbone_norm='group').train(), images(4)
    together = trained.encode(film)[0]
    for number in range(4):
        alone = trained.encode(film[number : number + 1])[0]
        torch.testing.assert_close(alone, together[number : number + 1], atol=1e-5, rtol=1e-4)


def test_frozen_statistics_stay_as_they_are_and_the_affine_part_learns():
    trained = TherFormer(dataclasses.replace(tiny().config, backbone_norm='batch')).train()
    freeze_statistics(trained.backbone)
    before = trained.backbone.bn1.running_mean.clone()
    trained(images(2), cameras(2)).joints.sum().backward()
    assert torch.equal(trained.backbone.bn1.running_mean, before)
    assert trained.backbone.bn1.weight.grad.abs().max() > 0
    for name, module in trained.named_modules():
        assert not isinstance(module, torch.nn.BatchNorm2d) or name.startswith('backbone')


def test_the_backbone_takes_a_torchvision_checkpoint():
    torchvision_like = ResNet(18)
    base = TherFormer(TherFormerConfig.base())
    base.backbone.load_image_net(torchvision_like.state_dict())
    assert torch.equal(base.backbone.conv1.weight, torchvision_like.conv1.weight)
    assert not hasattr(base.backbone, 'layer3')


def test_grey_images_are_averaged_before_a_single_channel_network(network):
    film = images(1)
    coloured = film + torch.tensor([0.1, -0.05, -0.05])[:, None, None]
    torch.testing.assert_close(
        network.encode(film)[0], network.encode(coloured)[0], atol=1e-4, rtol=1e-4
    )
    colour = TherFormer(dataclasses.replace(network.config, input_channels=3)).eval()
    assert not torch.allclose(colour.encode(film)[0], colour.encode(coloured)[0], atol=1e-3)


def test_a_checkpoint_brings_back_the_same_network(network, tmp_path):
    save_checkpoint(tmp_path / 'a.safetensors', network, 'therformer', network.config, {})
    loaded = load_checkpoint(tmp_path / 'a.safetensors', expected='therformer')
    assert loaded.config == network.config
    with torch.no_grad():
        expected = network(images(1), cameras(1)).joints
        assert torch.equal(loaded.network(images(1), cameras(1)).joints, expected)


def test_near_depth_is_bright_and_what_is_missing_is_black():
    depth = torch.tensor([0.0, 0.4, 0.8, 1.6, 9.0]).reshape(1, 1, 1, 5)
    image = depth_image(depth)
    assert image.shape == (1, 3, 1, 5)
    assert torch.allclose(image[0, 1, 0], torch.tensor([0.0, 0.75, 0.5, 0.0, 0.0]))

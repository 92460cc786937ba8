"""WildHands' losses: weights, flags, what is divided by what, and gradients where they belong."""

import dataclasses
import math

import pytest
import torch

from hand_pose_ros.datasets.batch import TARGETS, ViewBatch
from hand_pose_ros.networks.hand_crops import hand_boxes, hand_views
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.joint_maps import MappedJoints
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.networks.silhouette import soft_silhouette
from hand_pose_ros.networks.wildhands import (
    WildHandsOutput,
    focal_length,
    project,
    scale_from_distance,
)
from hand_pose_ros.training.losses.wildhands import (
    WildHandsLossConfig,
    wildhands_loss,
    wildhands_targets,
)

HEIGHT, WIDTH, COUNT, PATCH = 60, 80, 3, 112
LAYER = HandLayer()
CONFIG = WildHandsLossConfig(mask_size=56)
TERMS = {'pose', 'shape', 'camera', 'initial_camera', 'relative_camera', 'joints_3d', 'joints_2d'}
NEED_3D = ('joints_3d', 'pose', 'betas', 'camera')


def labelled(seed=0):
    """A batch of posed hands, with masks drawn from them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(COUNT, 2, *shape, generator=generator)

    orient, pose, betas = normal(3), 0.3 * normal(15, 3), 0.5 * normal(10)
    side = torch.tensor([[-0.09, 0.0, 0.45], [0.09, 0.0, 0.45]])
    translation = side + 0.02 * normal(3)
    rotations = rotation_from_axis_angle(torch.cat([orient[:, :, None], pose], dim=2))
    hands = LAYER(rotations, betas, translation, mesh=True)
    matrix = torch.tensor([[62.0, 0.0, 39.5], [0.0, 62.0, 29.5], [0.0, 0.0, 1.0]])
    matrix = matrix.expand(COUNT, 3, 3)
    mask = torch.zeros(COUNT, WIDTH, WIDTH, dtype=torch.uint8)
    for number in (0, 1):
        soft = soft_silhouette(hands.vertices[:, number], LAYER.faces[number], matrix, WIDTH,
                               sigma=1e-7)  # fmt: skip
        mask[soft > 0.5] = number + 1
    batch = ViewBatch(
        image=torch.rand(COUNT, 3, HEIGHT, WIDTH, generator=generator),
        intrinsics=matrix,
        joints=hands.joints,
        pixels=project(hands.joints, matrix),
        visible=torch.ones(COUNT, 2, 21, dtype=torch.bool),
        hand_mask=mask[:, :HEIGHT],
        surface=None,
        global_orient=orient,
        hand_pose=pose,
        betas=betas,
        translation=translation,
        grasp=torch.randint(0, 9, (COUNT, 2), generator=generator),
        not_padding=torch.ones(COUNT),
        frames=1,
        valid={name: torch.ones(COUNT, 2, dtype=torch.bool) for name in TARGETS},
        modality='rgb',
    )
    boxes = hand_boxes(batch.pixels, HEIGHT, WIDTH)
    return batch, hand_views(batch.image, batch.intrinsics, boxes, PATCH)


def perfect(batch, views):
    """The output that the labels describe, as leaves of a graph."""
    pose = torch.cat([batch.global_orient[:, :, None], batch.hand_pose], dim=2)
    rotations = rotation_from_axis_angle(pose.nan_to_num(0.0))
    distance = batch.translation[..., 2:].nan_to_num(0.5)
    scale = scale_from_distance(distance, focal_length(views.intrinsics)[:, None, None], PATCH)
    camera = torch.cat([scale, batch.translation[..., :2].nan_to_num(0.0)], dim=-1)
    hands = LAYER(rotations, batch.betas.nan_to_num(0.0), batch.translation.nan_to_num(0.5),
                  mesh=True)  # fmt: skip
    leaves = {
        'rotations': rotations, 'betas': batch.betas.nan_to_num(0.0), 'camera': camera,
        'initial_camera': camera, 'joints': hands.joints,
        'pixels': project(hands.joints, views.intrinsics), 'vertices': hands.vertices,
        'translation': batch.translation.nan_to_num(0.5),
        'grasp_logits': torch.zeros(COUNT, 2, 9),
    }  # fmt: skip
    return WildHandsOutput(
        **{name: leaf.detach().clone().requires_grad_() for name, leaf in leaves.items()}
    )


def mapped(batch, views):
    """Maps of 14 x 14 cells that say what the labels do and do not know the cells."""
    places = torch.zeros(COUNT, 2, 21, 3)
    for frame in range(COUNT):
        for side in range(2):
            corner, far = views.boxes[frame, side].view(2, 2)
            pixels = views.frame.to_patch(batch.pixels[frame, side])
            places[frame, side, :, :2] = 2 * (pixels - corner) / (far - corner) - 1
            middle = torch.cat([(corner + far) / 2, torch.ones(1)])
            ray = torch.linalg.solve(views.intrinsics[frame], middle)
            along = batch.joints[frame, side] @ (ray / ray.norm())
            places[frame, side, :, 2] = 10 * (along - along[0])
    spread = torch.zeros(COUNT, 2, 21)
    logits = torch.zeros(COUNT, 2, 21, 14, 14)
    return MappedJoints(*(part.requires_grad_() for part in (places, spread, logits)))


def loss_of(output, batch, views, config=CONFIG):
    """The terms; only the total keeps its graph."""
    targets = wildhands_targets(batch, views, config)
    terms = wildhands_loss(output, targets, views, config, LAYER.faces)
    return {name: term if name == 'total' else term.detach() for name, term in terms.items()}


def test_maps_learn_places_and_depths_along_the_view_to_the_crop():
    batch, views = labelled()
    maps = mapped(batch, views)
    terms = loss_of(perfect(batch, views)._replace(maps=maps), batch, views)
    assert float(terms['mapped']) < 1e-5
    assert float(terms['cells']) == pytest.approx(math.log(196), rel=1e-5)
    plain = loss_of(perfect(batch, views), batch, views)
    assert not {'mapped', 'cells'} & set(plain)
    added = float(terms['total'].detach() - plain['total'].detach())
    assert added == pytest.approx(0.1 * math.log(196), rel=1e-3)
    with torch.no_grad():
        maps.places.add_(torch.tensor([0.1, 0.0, -0.2]))
    terms = loss_of(perfect(batch, views)._replace(maps=maps), batch, views)
    assert float(terms['mapped']) == pytest.approx(0.1, rel=1e-4)


def test_maps_are_certain_of_the_cells_that_joints_lie_in():
    batch, views = labelled()
    maps = mapped(batch, views)
    cells = ((maps.places[..., :2] + 1) * 7).floor().long()
    with torch.no_grad():
        frame, side, joint = torch.ones(COUNT, 2, 21).nonzero(as_tuple=True)
        column, row = cells[frame, side, joint].unbind(-1)
        maps.logits[frame, side, joint, row, column] = 3.0
    right = loss_of(perfect(batch, views)._replace(maps=maps), batch, views)['cells']
    turned = maps._replace(logits=maps.logits.transpose(-1, -2))
    wrong = loss_of(perfect(batch, views)._replace(maps=turned), batch, views)['cells']
    assert float(right) < math.log(196) - 0.5 < float(wrong)


def test_maps_say_nothing_of_joints_outside_of_their_crops_or_without_labels():
    batch, views = labelled()
    batch.pixels[0, 0, 3] = torch.nan
    batch.pixels[1, 1, 7, 0] = -30.0
    batch = changed(batch, joints_2d=torch.tensor([[True, True], [True, True], [False, True]]))
    maps = mapped(labelled()[0], views)
    with torch.no_grad():
        for place in ((0, 0, 3), (1, 1, 7), (2, 0)):
            maps.places[place] += 100.0
    terms = loss_of(perfect(batch, views)._replace(maps=maps), batch, views)
    assert float(terms['mapped']) < 1e-5
    (slope,) = torch.autograd.grad(terms['total'], maps.logits)
    silent = slope.flatten(3).abs().sum(dim=3) == 0
    assert silent[0, 0, 3] and silent[1, 1, 7] and silent[2, 0].all()
    assert int(silent.sum()) == 23


def changed(batch, **flags):
    return dataclasses.replace(batch, valid=batch.valid | flags)


def test_weights_are_the_published_ones():
    config = WildHandsLossConfig()
    weights = (config.pose, config.shape, config.camera, config.relative_camera, config.joints_3d,
               config.joints_2d, config.mask, config.grasp)  # fmt: skip
    assert weights == (10.0, 0.001, 1.0, 1.0, 5.0, 5.0, 10.0, 0.1)


def test_the_labels_themselves_cost_nothing_but_soft_edges_and_grasp():
    batch, views = labelled()
    terms = loss_of(perfect(batch, views), batch, views)
    assert set(terms) == TERMS | {'mask', 'grasp', 'total'}
    for name in TERMS:
        assert float(terms[name]) < 1e-8, name
    assert float(terms['mask']) < 0.08  # of two hands
    assert float(terms['grasp']) == pytest.approx(2 * math.log(9.0), abs=1e-4)


def test_the_total_is_the_weighted_sum_taken_once():
    batch, views = labelled()
    output = perfect(batch, views)
    with torch.no_grad():
        for name in ('rotations', 'betas', 'camera', 'initial_camera', 'joints', 'pixels'):
            value = getattr(output, name)
            value += 0.1 * torch.randn(value.shape)
    terms = loss_of(output, batch, views)
    expected = (
        10 * terms['pose'] + 0.001 * terms['shape'] + terms['camera'] + terms['initial_camera']
        + terms['relative_camera'] + 5 * terms['joints_3d'] + 5 * terms['joints_2d']
        + 10 * terms['mask'] + 0.1 * terms['grasp']
    )  # fmt: skip
    assert float(terms['total'].detach()) == pytest.approx(float(expected), rel=1e-5)


def test_terms_are_mean_squares_in_their_units():
    batch, views = labelled()
    output = perfect(batch, views)
    with torch.no_grad():
        output.betas.add_(0.5)
        output.camera[:, 0, 0].add_(0.3)
        output.initial_camera[..., 1].add_(0.6)
        output.joints[:, :, 1:].add_(0.02)
        output.pixels.add_(PATCH / 2 * 0.1)
    terms = loss_of(output, batch, views)
    assert float(terms['shape']) == pytest.approx(2 * 0.25, rel=1e-4)
    assert float(terms['camera']) == pytest.approx(0.09 / 3, rel=1e-4)
    assert float(terms['relative_camera']) == pytest.approx(0.09 / 3, rel=1e-4)
    assert float(terms['initial_camera']) == pytest.approx(2 * 0.36 / 3, rel=1e-4)
    assert float(terms['joints_3d']) == pytest.approx(2 * 0.0004 * 20 / 21, rel=1e-3)
    assert float(terms['joints_2d']) == pytest.approx(2 * 0.01, rel=1e-3)


def test_3d_joints_are_compared_without_their_wrist():
    batch, views = labelled()
    output = perfect(batch, views)
    with torch.no_grad():
        output.joints.add_(torch.tensor([0.3, -0.1, 0.2]))
    assert float(loss_of(output, batch, views)['joints_3d']) < 1e-10


def with_only(**weights):
    """The configuration in which nothing else costs anything."""
    others = dict.fromkeys(TERMS - {'initial_camera'} | {'mask', 'grasp'}, 0.0)
    return dataclasses.replace(CONFIG, **others, **weights)


def test_joint_distances_are_mpjpe_and_let_no_hand_outweigh_the_others():
    config = with_only(joint_distance=2.0)
    batch, views = labelled()
    output = perfect(batch, views)
    assert 'joint_distance' not in loss_of(output, batch, views)
    with torch.no_grad():
        output.joints[0, :, 1:] += torch.tensor([0.03, 0.04, 0.0])
        output.joints[1, :, 1:] += torch.tensor([0.3, 0.4, 0.0])
    terms = loss_of(output, batch, views, config)
    expected = 2 * (0.05 + 0.5) / COUNT * 20 / 21
    assert float(terms['joint_distance']) == pytest.approx(expected, rel=2e-3)
    assert float(terms['total'].detach()) == pytest.approx(2 * expected, rel=2e-3)
    (slope,) = torch.autograd.grad(terms['total'], output.joints)
    sizes = slope[..., 1:, :].norm(dim=-1)
    assert slope.isfinite().all()
    assert float(sizes[0].mean()) == pytest.approx(float(sizes[1].mean()), rel=1e-3)
    assert float(sizes[2].max()) < 1e-3 * float(sizes[0].min())


def test_distances_of_places_count_in_metres_and_let_no_hand_outweigh_the_others():
    config = with_only(place_distance=2.0)
    batch, views = labelled()
    output = perfect(batch, views)
    assert 'place_distance' not in loss_of(output, batch, views)
    with torch.no_grad():
        output.translation[0] += torch.tensor([0.03, 0.0, -0.04])
        output.translation[1] += torch.tensor([0.3, 0.0, -0.4])
    terms = loss_of(output, batch, views, config)
    expected = 2 * (0.05 + 0.5) / COUNT
    assert float(terms['place_distance']) == pytest.approx(expected, rel=2e-3)
    assert float(terms['total'].detach()) == pytest.approx(2 * expected, rel=2e-3)
    (slope,) = torch.autograd.grad(terms['total'], output.translation)
    assert slope[0].norm(dim=-1).tolist() == pytest.approx(slope[1].norm(dim=-1).tolist(), rel=1e-3)


@pytest.mark.parametrize('nan', [True, False])
def test_a_sample_without_3d_labels_gets_no_gradient_through_3d_terms(nan):
    batch, views = labelled()
    unlabelled = torch.tensor([[False, True], [True, True], [True, True]])
    batch = changed(batch, **dict.fromkeys((*NEED_3D, 'joints_2d', 'mask', 'grasp'), unlabelled))
    if nan:
        for name in ('joints', 'global_orient', 'hand_pose', 'betas', 'translation', 'pixels'):
            value = getattr(batch, name).clone()
            value[0, 0] = torch.nan
            batch = dataclasses.replace(batch, **{name: value})
    output = perfect(batch, views)
    terms = loss_of(output, batch, views, dataclasses.replace(CONFIG, place_distance=1.0))
    assert torch.isfinite(terms['total'])
    terms['total'].backward()
    for name, leaf in output._asdict().items():
        if name == 'maps':
            continue
        assert torch.isfinite(leaf.grad).all(), name
        assert torch.equal(leaf.grad[0, 0], torch.zeros_like(leaf.grad[0, 0])), name


def test_mask_and_grasp_still_teach_a_sample_without_3d_labels():
    batch, views = labelled()
    none = torch.zeros(COUNT, 2, dtype=torch.bool)
    batch = changed(batch, **dict.fromkeys((*NEED_3D, 'joints_2d'), none))
    output = perfect(batch, views)
    with torch.no_grad():
        output.vertices.add_(torch.tensor([0.01, 0.0, 0.0]))
    terms = loss_of(output, batch, views)
    assert all(float(terms[name]) == 0 for name in TERMS)
    terms['total'].backward()
    assert output.vertices.grad.abs().sum() > 0
    assert output.grasp_logits.grad.abs().sum() > 0
    # Every mesh is pulled back to its mask.
    assert (output.vertices.grad[..., 0].sum(dim=2) > 0).all()


def test_means_run_over_the_labelled_hands_or_as_published_over_all():
    batch, views = labelled()
    one = torch.tensor([[True, False], [False, False], [False, False]])
    batch = changed(batch, betas=one)
    output = perfect(batch, views)
    with torch.no_grad():
        output.betas.add_(0.5)
    every = dataclasses.replace(CONFIG, normalise='all')
    assert float(loss_of(output, batch, views)['shape']) == pytest.approx(0.25, rel=1e-4)
    assert float(loss_of(output, batch, views, every)['shape']) == pytest.approx(
        0.25 / COUNT, rel=1e-4
    )


def test_the_relative_camera_needs_both_hands():
    batch, views = labelled()
    batch = changed(batch, camera=torch.tensor([[True, False]] * COUNT))
    output = perfect(batch, views)
    with torch.no_grad():
        output.camera.add_(torch.randn(COUNT, 2, 3))
    terms = loss_of(output, batch, views)
    assert float(terms['relative_camera']) == 0
    assert float(terms['camera']) > 0


def test_hands_without_crop_and_repeated_frames_do_not_count():
    batch, views = labelled()
    output = perfect(batch, views)
    with torch.no_grad():
        output.betas[0].add_(9.0)
        output.betas[1, 1].add_(9.0)
    batch = dataclasses.replace(batch, not_padding=torch.tensor([0.0, 1.0, 1.0]))
    present = torch.tensor([[True, True], [True, False], [True, True]])
    terms = loss_of(output, batch, views._replace(present=present))
    assert float(terms['shape']) < 1e-10


def test_joints_near_the_plane_of_the_camera_do_not_drown_the_others():
    batch, views = labelled()
    pixels = batch.pixels.clone()
    pixels[0, 0, 5] = torch.tensor([1e6, -1e6])
    terms = loss_of(perfect(batch, views), dataclasses.replace(batch, pixels=pixels), views)
    assert float(terms['joints_2d']) < 1e-6


def test_without_weight_no_mask_is_drawn():
    batch, views = labelled()
    config = dataclasses.replace(CONFIG, mask=0.0)
    targets = wildhands_targets(batch, views, config)
    assert targets.mask is None
    output = perfect(batch, views)._replace(vertices=None, grasp_logits=None)
    assert set(wildhands_loss(output, targets, views, config)) == TERMS | {'total'}


def test_pixels_of_the_other_hand_the_forearm_and_the_padding_are_not_compared():
    batch, views = labelled()
    full = loss_of(perfect(batch, views), batch, views)['mask']
    # Half of the right hand is hidden by the left one, then by its own forearm.
    hidden = batch.hand_mask.clone()
    hidden[:, ::2][hidden[:, ::2] == 2] = 1
    arm = torch.zeros_like(batch.hand_mask)
    arm[:, ::2][batch.hand_mask[:, ::2] == 2] = 4
    dark = batch.hand_mask * (arm == 0)
    only_right = batch.valid['mask'] & torch.tensor([False, True])
    for change in ({'hand_mask': hidden}, {'hand_mask': dark, 'surface': arm}):
        part = changed(dataclasses.replace(batch, **change), mask=only_right)
        assert float(loss_of(perfect(part, views), part, views)['mask']) < float(full) + 0.01
    unknown = changed(dataclasses.replace(batch, hand_mask=dark), mask=only_right)
    assert float(loss_of(perfect(unknown, views), unknown, views)['mask']) > float(full) + 0.01


def test_a_mask_of_unknown_side_counts_for_the_only_hand():
    batch, views = labelled()
    mask = torch.where(batch.hand_mask == 2, 3, 0).to(torch.uint8)
    right = batch.valid['mask'] & torch.tensor([False, True])
    part = changed(dataclasses.replace(batch, hand_mask=mask), mask=right)
    known = changed(
        dataclasses.replace(batch, hand_mask=torch.where(mask == 3, 2, 0).to(torch.uint8)),
        mask=right,
    )
    output = perfect(batch, views)
    assert float(loss_of(output, part, views)['mask']) == pytest.approx(
        float(loss_of(output, known, views)['mask'])
    )


def test_unlabelled_grasps_do_not_count():
    batch, views = labelled()
    grasp = torch.full_like(batch.grasp, -1)
    grasp[1, 1] = 4
    output = perfect(batch, views)
    with torch.no_grad():
        output.grasp_logits[1, 1, 4] = 50.0
    terms = loss_of(output, dataclasses.replace(batch, grasp=grasp), views)
    assert float(terms['grasp']) < 1e-6

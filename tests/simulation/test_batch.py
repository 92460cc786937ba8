"""Clips end to end: labels agree with the hand model, the images and the live frames."""

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_draw import draw_plan
from hand_pose_ros.simulation.batch_poses import models
from hand_pose_ros.simulation.batch_sensors import draw_environments
from hand_pose_ros.simulation.kernels import sweep_arm
from hand_pose_ros.skeleton import SIDES

SIZES = {'thermal': (160, 128), 'nir': (160, 120), 'depth': (160, 120), 'rgb': (160, 120)}
CONFIG = SimulationConfig(image_size=SIZES, absent=0.3)
NUMBERS = tuple(range(10))


@pytest.fixture(scope='module')
def simulator():
    return BatchSimulator(CONFIG)


@pytest.fixture(scope='module')
def clips(simulator):
    return simulator.clips(NUMBERS, ('thermal', 'depth'), frames=2)


def same(first, second):
    for name, value in vars(first).items():
        other = getattr(second, name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(torch.nan_to_num(value, 7.0), torch.nan_to_num(other, 7.0)), name
    for name, value in first.valid.items():
        assert torch.equal(value, second.valid[name])


def test_a_clip_does_not_depend_on_what_it_comes_with(simulator, clips):
    alone = BatchSimulator(CONFIG).clips([4], ('depth',), frames=2)['depth']
    same(alone, clips['depth'].select(slice(8, 10)))
    backwards = simulator.clips([5, 4], ('thermal',), frames=2)['thermal']
    same(backwards.select(slice(2, 4)), clips['thermal'].select(slice(8, 10)))


def test_the_plain_backend_renders_the_same_clips(clips):
    plain = BatchSimulator(CONFIG, backend='torch').clips([0, 1], ('thermal',), frames=2)['thermal']
    compiled = clips['thermal'].select(slice(0, 4))
    assert (plain.image - compiled.image).abs().mean() < 1e-3
    assert torch.equal(plain.visible, compiled.visible)


def test_clips_drawn_by_processes_are_the_same(clips):
    simulator = BatchSimulator(CONFIG, workers=1)
    try:
        # On a CPU every clip is rendered alone, so the planner is asked for all of them here.
        drawn, environment = simulator._planner.draw(NUMBERS[:5], 2, torch.device('cpu'))
        alone = simulator.clips([3], ('thermal', 'depth'), frames=2)
    finally:
        simulator.close()
    for stream in ('thermal', 'depth'):
        same(alone[stream], clips[stream].select(slice(6, 8)))
    assert len(environment) == len(drawn.plans) == len(drawn.things) == 5
    for number, plan in enumerate(drawn.plans):
        assert np.array_equal(plan.hand_pose, draw_plan(CONFIG, number, 2).hand_pose)
    here = draw_environments(CONFIG, NUMBERS[:5])
    assert torch.equal(environment.heat.core, here.heat.core)
    assert environment.seeds == here.seeds


def test_cameras_in_one_place_see_the_same(simulator):
    both = simulator.geometry([0, 1], ('depth', 'nir'), 2)
    assert both['nir'][0] is both['depth'][0]
    config = SimulationConfig(image_size={**SIZES, 'nir': (80, 60)}, absent=0.3)
    apart = BatchSimulator(config).geometry([0, 1], ('depth', 'nir'), 2)
    assert apart['nir'][0].depth.shape == (4, 60, 80)
    assert torch.equal(apart['depth'][0].depth, both['depth'][0].depth)


def test_images_have_the_form_training_takes(clips):
    thermal, depth = clips['thermal'], clips['depth']
    assert thermal.image.shape[0] == depth.image.shape[0] == 20
    assert thermal.image.shape[-2:] == (128, 160)
    assert depth.image.shape == (20, 1, 120, 160)
    assert 0 <= thermal.image.min() < 0.3
    assert 0.6 < thermal.image.max() <= 1
    assert 0.2 < depth.image.median() < 4
    assert thermal.frames == 2
    assert thermal.not_padding.all()


@pytest.mark.parametrize('stream', ['thermal', 'depth'])
def test_labels_are_those_of_the_hand_model_in_the_camera(clips, stream):
    batch = clips[stream]
    valid = batch.valid['pose']
    assert 0.4 < valid.float().mean() < 0.97
    for index, side in enumerate(SIDES):
        rows = valid[:, index]
        values = [getattr(batch, name)[rows, index].double().numpy()
                  for name in ('global_orient', 'hand_pose', 'betas', 'translation')]  # fmt: skip
        joints, _ = models()[side].forward(*values)
        truth = batch.joints[rows, index].double().numpy()
        assert np.abs(joints - truth).max() < 1e-5
        projected = np.einsum('nij,nkj->nki', batch.intrinsics[rows].double().numpy(), truth)
        pixels = projected[..., :2] / projected[..., 2:]
        ahead = truth[..., 2] > 0.06
        assert np.abs(pixels - batch.pixels[rows, index].numpy())[ahead].max() < 1e-2


def test_hands_out_of_view_are_not_labelled(clips):
    batch = clips['thermal']
    valid = batch.valid['joints_3d']
    width, height = SIZES['thermal']
    inside = (batch.pixels >= 0) & (batch.pixels <= torch.tensor([width - 1, height - 1]))
    count = inside.all(-1).sum(-1)
    assert (count[valid] >= 7).all()
    assert torch.isnan(batch.joints[~valid]).all()
    assert torch.isnan(batch.pixels[~valid]).all()
    assert (batch.grasp[~valid] == -1).all()
    assert (batch.grasp[valid] >= 0).all()
    assert not batch.visible[~valid].any()
    assert batch.valid['mask'].all()
    for clip, number in enumerate(NUMBERS):
        gone = ~draw_plan(CONFIG, number, 1).present
        part = slice(2 * clip, 2 * clip + 2)
        for index in np.flatnonzero(gone):
            assert not valid[part, index].any()
            assert not (batch.hand_mask[part] == index + 1).any()
            assert not (batch.surface[part] == index + 1).any()


def test_visible_joints_lie_on_their_hand(simulator):
    _, labels = simulator.geometry(NUMBERS, ('thermal',), 2)['thermal']
    gbuffer, _ = simulator.geometry(NUMBERS, ('thermal',), 2)['thermal']
    image, side, joint = labels['visible'].nonzero(as_tuple=True)
    x, y = labels['pixels'][image, side, joint].round().long().T
    seen = gbuffer.surface[image, y, x]
    own = (seen == side + 1) | (seen == side + 3)
    assert own.float().mean() > 0.9
    hidden = labels['in_view'][..., None] & ~labels['visible']
    assert 0.05 < hidden.float().mean() / labels['in_view'].float().mean() < 0.6


def test_hand_masks_ignore_what_hides_the_hand(simulator):
    gbuffer, _ = simulator.geometry(range(30), ('thermal',), 1)['thermal']
    for index in (1, 2):
        mask, seen = gbuffer.hand_mask == index, gbuffer.surface == index
        assert not (seen & ~mask).any(), 'what is seen of a hand is in its mask'
        assert (mask & ~seen).any(), 'and so is what an arm or an object hides'
    assert {0, 1, 2, 3, 4, 5} == set(gbuffer.surface.unique().tolist())


def test_items_are_numbered_within_their_clip_and_named(simulator):
    numbers = range(12)
    gbuffer, _ = simulator.geometry(numbers, ('thermal',), 1)['thermal']
    from hand_pose_ros.simulation.gbuffer import MATERIAL

    for image, number in enumerate(numbers):
        plan = draw_plan(CONFIG, number, 1)
        item, material = gbuffer.item[image], gbuffer.material[image]
        for k, solid in enumerate(plan.solids):
            assert set(material[item == k + 1].tolist()) <= {MATERIAL[solid.kind]}
        flat = item > len(plan.solids)
        assert set(material[flat].tolist()) <= {MATERIAL['flat']}
        assert item.max() <= len(plan.solids) + len(plan.room.flats)
        assert ((item > 0) == (material >= MATERIAL['flat'])).all()


def test_points_of_the_table_lie_in_one_plane_with_metric_texture(simulator):
    gbuffer, _ = simulator.geometry([1], ('thermal',), 1)['thermal']
    plan = draw_plan(CONFIG, 1, 1)
    T = inverse(plan.room.T_scene_table) @ gbuffer.T_scene_cam[0].double().numpy()
    local = apply(T, gbuffer.points[0].double().numpy())
    table = (gbuffer.material[0] == 3).numpy()
    assert table.sum() > 500
    assert np.abs(local[table, 2]).max() < 1e-4
    texture = gbuffer.attributes[0, ..., -2:].numpy()[table]
    assert np.abs(texture - (local[table, :2] + plan.room.table)).max() < 1e-4


def test_the_forearm_is_that_of_the_live_renderer(simulator):
    plans = [draw_plan(CONFIG, 3, 1)]
    _, meshes = simulator.scene([3], 'thermal', 1)
    bodies = simulator._bodies
    vertices = meshes.vertices[0].double().numpy()
    half, hand = bodies.vertex_count // 2, bodies._hand_count
    for index, side in enumerate((-1.0, 1.0)):
        own = vertices[index * half : (index + 1) * half]
        rings = bodies._rings.double().numpy()
        rim = own[bodies._rim.numpy()]
        swept = sweep_arm(
            rim, plans[0].rotations[0, index], plans[0].forearms[0, index], rings, side
        )
        fore = int((rings[:, 0] < 0.25).sum()) * len(rim)
        assert np.abs(own[hand : hand + fore] - swept[:fore]).max() < 1e-5


def test_live_frames_show_the_same_clip(simulator):
    frames, truth = simulator.rig_frames(2, 2, streams=('thermal', 'depth'))
    batch = simulator.clips([2], ('thermal',), frames=2)['thermal']
    assert [set(frame.streams) for frame in frames] == [{'thermal', 'depth'}] * 2
    assert frames[0].streams['thermal'].image.dtype == np.uint16
    assert frames[0].streams['thermal'].image.shape == (256, 320)
    assert frames[0].streams['depth'].image.dtype == np.float32
    assert frames[0].spread == 0
    plan = draw_plan(CONFIG, 2, 2)
    assert frames[1].stamp - frames[0].stamp == pytest.approx(1e9 / plan.rate, abs=2)
    for moment, hands in enumerate(truth):
        assert len(hands) == plan.present.sum()
        for hand in hands:
            index = SIDES.index(hand.side)
            if not batch.valid['joints_3d'][moment, index]:
                continue
            # The reference camera of this rig is the thermal one.
            assert np.abs(hand.joints - batch.joints[moment, index].numpy()).max() < 1e-5
            made = hand.parameters
            values = (made.global_orient, made.hand_pose, made.betas, made.translation)
            joints, vertices = models()[hand.side].forward(*(value[None] for value in values))
            assert np.abs(joints[0] - hand.joints).max() < 1e-9
            assert np.abs(vertices[0] - hand.vertices).max() < 1e-6


def test_an_unknown_stream_is_refused(simulator):
    with pytest.raises(DataError, match='sonar'):
        simulator.clips([0], ('sonar',))
    with pytest.raises(DataError, match='sonar'):
        simulator.rig_frames(0, 1, streams=('sonar',))


@pytest.mark.parametrize(('numbers', 'frames'), [([], 2), ([-1], 2), ([0], 0)])
def test_nothing_to_render_is_refused(simulator, numbers, frames):
    with pytest.raises(DataError, match='got'):
        simulator.clips(numbers, frames=frames)

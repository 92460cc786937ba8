"""Objects are closed and to scale; hands touch what they hold and do not run through it."""

import numpy as np
import pytest

from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.simulation.batch_grasps import _distances, draw_grasp
from hand_pose_ros.simulation.batch_holding import Hold, draw_holds
from hand_pose_ros.simulation.batch_objects import KINDS, things
from hand_pose_ros.simulation.batch_plan import NO_GRASP, Solid
from hand_pose_ros.simulation.batch_poses import hand_joints, limits
from hand_pose_ros.simulation.gbuffer import MATERIAL

BETAS = np.zeros(10)


@pytest.fixture(scope='module')
def grasps():
    generator = np.random.default_rng(5)
    return [draw_grasp(generator, BETAS) for _ in range(60)]


def solid(kind, size=(0.05, 0.05, 0.2)):
    return Solid(kind=kind, size=np.array(size), T_scene_item=np.eye(4)[None])


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_faces_outwards_and_has_its_size(kind):
    made = things([solid(kind)])
    a, b, c = (made.points[made.faces[:, corner]] for corner in range(3))
    volume = np.einsum('fi,fi->f', a, np.cross(b, c)).sum() / 6
    assert volume > 0, 'triangles run counter-clockwise seen from outside'
    across = np.cross(b - a, c - a)
    assert (np.einsum('fi,fi->f', across, made.normals[made.faces].mean(1)) > 0).all()
    assert np.allclose(np.linalg.norm(made.normals, axis=1), 1)
    expected = {'box': 5e-4, 'phone': 5e-4, 'book': 5e-4, 'can': np.pi * 5e-4}
    if kind in expected:
        assert volume == pytest.approx(expected[kind], rel=0.02)
    assert (made.codes == (5, MATERIAL[kind], 1)).all()


@pytest.mark.parametrize('kind', ['box', 'can', 'bottle'])
def test_texture_is_in_metres_on_the_surface(kind):
    made = things([solid(kind)])
    edges = np.concatenate([made.faces[:, [0, 1]], made.faces[:, [1, 2]]])
    long = np.linalg.norm(np.subtract(*made.points[edges.T]), axis=1)
    drawn = np.linalg.norm(np.subtract(*made.texture[edges.T]), axis=1)
    assert np.median(drawn / long) == pytest.approx(1, abs=0.03)


def test_objects_of_a_clip_are_told_apart():
    made = things([solid('box'), solid('sphere', (0.1, 0.1, 0.1))])
    assert set(made.codes[:, 2]) == {1, 2}
    assert (made.codes[:, 2] == made.owner[made.faces[:, 0]] + 1).all()
    assert len(things([]).points) == 0


def test_grasps_stay_within_the_limits_and_have_their_class(grasps):
    for grasp in grasps:
        for angles in (grasp.closed, grasp.open):
            assert (angles >= limits()[..., 0] - 1e-9).all()
            assert (angles <= limits()[..., 1] + 1e-9).all()
        assert 0 <= grasp.label < NO_GRASP
        assert (grasp.size > 0.002).all()
        assert (grasp.size < 0.3).all()


def test_hands_touch_what_they_hold(grasps):
    for grasp in grasps:
        joints = hand_joints(grasp.closed[None], BETAS)
        gap = _distances(joints, grasp.kind, grasp.size, grasp.T_hand_item)[0]
        assert gap.min() < 0.012, f'{grasp.label} {grasp.kind}: some finger is at it'
        if grasp.label in (2, 4):
            assert (gap < 0.01).sum() >= 2, f'{grasp.label} {grasp.kind}: fingers round it'
            assert np.median(gap) > -0.006, f'{grasp.label} {grasp.kind}: not through it'


def test_a_thing_is_at_rest_until_it_is_taken_and_then_goes_along():
    generator = np.random.default_rng(1)
    grasp = draw_grasp(generator, BETAS)
    hold = Hold(grasp=grasp, start=0.5, away=np.array([0, 0, 0.1]))
    moments = np.array([0.0, 0.2, 0.6, 1.0])
    frames = np.tile(np.eye(4), (4, 1, 1))
    frames[:, 0, 3] = moments
    start = np.eye(4)
    start[0, 3] = 0.5
    item = hold.solid(1, frames, start, moments).T_scene_item
    assert np.array_equal(item[0], item[1])
    assert np.allclose(item[0], start @ grasp.T_hand_item)
    assert np.allclose(item[2:], frames[2:] @ grasp.T_hand_item)
    assert list(hold.labels(moments)) == [NO_GRASP, NO_GRASP, grasp.label, grasp.label]
    mirrored = hold.solid(0, frames, start, moments).T_scene_item[3] @ np.append(np.zeros(3), 1)
    right = apply(frames[3], grasp.T_hand_item[:3, 3])
    assert np.allclose(mirrored[1:3], right[1:])
    assert mirrored[0] - 1 == pytest.approx(1 - right[0])


def test_at_least_one_hand_holds_something():
    generator = np.random.default_rng(2)
    drawn = [draw_holds(generator, BETAS) for _ in range(30)]
    assert all(any(pair) for pair in drawn)
    assert any(all(pair) for pair in drawn)

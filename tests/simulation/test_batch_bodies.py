"""Batched arms: the hands of the hand model, closed meshes, normals by either way."""

import numpy as np
import pytest
import torch

from hand_pose_ros.simulation.batch_bodies import BatchBodies
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_planner import draw
from hand_pose_ros.simulation.batch_poses import models
from hand_pose_ros.simulation.batch_stage import Stage
from hand_pose_ros.simulation.gbuffer import ATTRIBUTES
from hand_pose_ros.skeleton import SIDES

CONFIG = SimulationConfig(absent=0.0)


@pytest.fixture(scope='module')
def bodies():
    return BatchBodies(torch.device('cpu'))


@pytest.fixture(scope='module')
def stage(bodies):
    return Stage(CONFIG, bodies, draw(CONFIG, [11, 12, 13], 2))


def arms(stage, bodies):
    return stage.meshes.vertices[:, : bodies.vertex_count]


def test_hands_are_those_of_the_hand_model(stage, bodies):
    hands = bodies.hands(stage.meshes.vertices)
    plan = stage.plans[1]
    for index, side in enumerate(SIDES):
        wrist = models()[side].rest_joints(plan.betas[None])[0, 0]
        joints, vertices = models()[side].forward(
            np.zeros((2, 3)), plan.hand_pose[:, index], np.tile(plan.betas, (2, 1)),
            np.zeros((2, 3)),
        )  # fmt: skip
        turned = plan.rotations[:, index]
        shift = plan.translation[:, index, None] + wrist
        placed = (vertices - wrist) @ np.swapaxes(turned, 1, 2) + shift
        assert np.abs(placed - hands[index][2:4]).max() < 1e-6
        placed = (joints - wrist) @ np.swapaxes(turned, 1, 2) + shift
        assert np.abs(placed - stage.states.joints[2:4, index]).max() < 1e-9


def test_the_mesh_is_closed_and_faces_outwards(stage, bodies):
    faces = bodies.faces.numpy()
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert {tuple(edge) for edge in edges} == {tuple(edge) for edge in edges[:, ::-1]}
    for mesh in arms(stage, bodies).double().numpy():
        a, b, c = (mesh[faces[:, corner]] for corner in range(3))
        volume = np.einsum('fi,fi->f', a, np.cross(b, c)).sum() / 6
        assert 0.002 < volume < 0.02, 'litres of two arms'


def test_normals_are_the_same_with_and_without_compiled_loops(stage, bodies):
    vertices = arms(stage, bodies)
    apart = (bodies.normals(vertices) - bodies.plain_normals(vertices)).abs()
    assert apart.max() < 1e-3
    assert torch.allclose(bodies.normals(vertices).norm(dim=-1), torch.tensor(1.0), atol=1e-4)


def test_arms_reach_behind_the_camera(stage, bodies):
    half, hand = bodies.vertex_count // 2, bodies._hand_count
    for moment, mesh in enumerate(arms(stage, bodies)):
        T = stage.plans[moment // 2].T_scene_rig[moment % 2] @ CONFIG.rig.reference_camera.T_rig_cam
        for start in (hand, half + hand):
            arm = mesh[start : start + half - hand].double().numpy()
            depth = (arm - T[:3, 3]) @ T[:3, 2]
            assert depth[-1] < 0.25, 'no sleeve ends in view'


def test_attributes_say_what_is_where(bodies):
    value = dict(zip(ATTRIBUTES, bodies.attributes.T, strict=True))
    half, hand = bodies.vertex_count // 2, bodies._hand_count
    for start in (0, half):
        own = slice(start, start + hand)
        assert not value['sleeve'][own].any()
        assert value['sleeve'][start + hand : start + half].mean() > 0.6
        assert value['finger'][own].max() > 0.95
        assert value['u'][own].max() > 0.15, 'finger tips'
        assert value['u'][start + hand : start + half].max() < 0.02
    assert torch.equal(bodies.attributes[:half], bodies.attributes[half:])


def test_surfaces_are_numbered_by_part(bodies):
    parts = bodies.parts.numpy()
    for index, (first, last) in enumerate(bodies.hand_faces):
        assert (parts[first:last] == index + 1).all()
        others = np.delete(parts, np.arange(first, last))
        assert not (others == index + 1).any()

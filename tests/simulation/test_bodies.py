"""The mesh of the arms: closed, posed as the hand model says, painted where it should be."""

from collections import Counter

import numpy as np
import pytest

from hand_pose_ros.simulation.bodies import Bodies
from hand_pose_ros.simulation.motion import Motion
from hand_pose_ros.skeleton import SIDES

BODIES = Bodies(seed=1)
MOTION = Motion('normal', 1, BODIES.models)


def posed(time):
    state = MOTION.at(time)
    hands = BODIES.hands(state)
    return state, hands, BODIES.vertices([vertices for _, vertices in hands], state)


def test_the_mesh_is_closed_and_consistently_turned():
    edges = Counter((int(f[k]), int(f[(k + 1) % 3])) for f in BODIES.faces for k in range(3))
    assert max(edges.values()) == 1
    assert all((b, a) in edges for a, b in edges)
    assert set(np.unique(BODIES.faces)) == set(range(BODIES.vertex_count))


@pytest.mark.parametrize('time', [0.0, 3.3, 17.1, 41.0])
def test_hands_are_those_of_the_hand_model(time):
    state, hands, mesh = posed(time)
    for index, side in enumerate(SIDES):
        joints, vertices = BODIES.models[side].forward(
            state.global_orient[index : index + 1], state.hand_pose[index : index + 1],
            state.betas[index : index + 1], state.translation[index : index + 1],
        )  # fmt: skip
        np.testing.assert_allclose(hands[index][0], joints[0], atol=1e-6)
        np.testing.assert_allclose(hands[index][1], vertices[0], atol=1e-6)
        np.testing.assert_array_equal(mesh[BODIES.hand_vertices(index)], hands[index][1])


@pytest.mark.parametrize('time', [0.0, 5.5, 23.0])
def test_arms_enclose_a_plausible_volume_and_run_to_the_elbow(time):
    state, _, mesh = posed(time)
    half = BODIES.vertex_count // 2
    for index in range(2):
        part = mesh[index * half : (index + 1) * half]
        faces = BODIES.faces[(BODIES.faces[:, 0] // half) == index] - index * half
        a, b, c = (part[faces[:, k]] for k in range(3))
        volume = np.einsum('ij,ij->', a, np.cross(b, c)) / 6
        assert 0.8e-3 < volume < 4e-3, 'hand and forearm hold one to four litres'
        reach = part[-1] - state.orientations[index] @ np.zeros(3) - part[:1609].mean(0)
        assert np.linalg.norm(reach) > 0.35
        assert reach[0] < 0, 'the elbow is behind the hand'


def test_normals_point_outwards():
    _, _, mesh = posed(2.0)
    normals = BODIES.normals(mesh)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    a, b, c = (mesh[BODIES.faces[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    agree = np.einsum('ij,ij->i', faces, normals[BODIES.faces[:, 0]]) > 0
    assert agree.mean() > 0.97


def test_paint_lies_where_it_belongs():
    surface = BODIES.surface
    hand = BODIES.hand_vertices(0)
    tips = BODIES.models['left'].data.tips
    assert (surface.finger[hand][tips] > 0.9).all()
    assert surface.sleeve[hand].max() == 0
    assert 0.5 < surface.sleeve[hand.stop : BODIES.hand_vertices(1).start].mean() < 1
    nails = np.flatnonzero(surface.nail[hand])
    assert 20 < len(nails) < 300
    data = BODIES.models['right'].data
    fingers = nails[data.weights[nails][:, 13:].sum(1) < 0.1]
    rest = data.v_template[fingers]
    assert np.mean(rest[:, 1]) > data.v_template[data.tips[1:], 1].mean(), 'nails are on the back'
    for name in ('finger', 'palm', 'nail', 'crease', 'sleeve'):
        values = getattr(surface, name)
        assert values.min() >= 0
        assert values.max() <= 1

"""The 21 joints: names, tree, and the conversions between orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from hand_pose_ros import skeleton
from hand_pose_ros.skeleton import JOINT_COUNT, JOINT_NAMES, PARENTS, reorder

ORDERS = [skeleton.OPENPOSE_TO_MANO, skeleton.MANO_TO_OPENPOSE, skeleton.ASSEMBLY_TO_MANO]


def test_names_are_21_distinct_ones():
    assert len(JOINT_NAMES) == len(set(JOINT_NAMES)) == JOINT_COUNT == 21
    assert JOINT_NAMES[skeleton.WRIST] == 'wrist'
    assert [JOINT_NAMES[tip] for tip in skeleton.TIPS] == [f'{f}_tip' for f in skeleton.FINGERS]
    assert [JOINT_NAMES[k] for k in skeleton.KNUCKLES] == [f'{f}_mcp' for f in skeleton.FINGERS[1:]]


def test_parents_form_a_tree_of_five_chains():
    assert PARENTS[skeleton.WRIST] == -1
    for joint, parent in enumerate(PARENTS[1:], start=1):
        assert 0 <= parent < joint
        fingers = JOINT_NAMES[joint].split('_')[0], JOINT_NAMES[parent].split('_')[0]
        assert parent == 0 or fingers[0] == fingers[1]
    assert len(skeleton.BONES) == 20
    assert [PARENTS.count(0), PARENTS.count(-1)] == [5, 1]


@pytest.mark.parametrize('order', ORDERS)
def test_orders_are_permutations(order):
    assert sorted(order) == list(range(JOINT_COUNT))


@given(array_shapes(min_dims=0, max_dims=2, max_side=3), st.integers(1, 4))
def test_reorder_there_and_back_is_the_identity(batch, dimensions):
    size = int(np.prod(batch, dtype=int)) * JOINT_COUNT * dimensions
    joints = np.arange(size, dtype=float).reshape(*batch, JOINT_COUNT, dimensions)
    there = reorder(joints, skeleton.OPENPOSE_TO_MANO)
    assert there.shape == joints.shape
    np.testing.assert_array_equal(reorder(there, skeleton.MANO_TO_OPENPOSE), joints)


def test_mano_order_by_name():
    names = [JOINT_NAMES[joint] for joint in skeleton.OPENPOSE_TO_MANO]
    # MANO: wrist, three joints of index, middle, little, ring, thumb, then the tips.
    assert names[:4] == ['wrist', 'index_mcp', 'index_pip', 'index_dip']
    assert [name.split('_')[0] for name in names[1:16:3]] == [
        'index', 'middle', 'little', 'ring', 'thumb'
    ]  # fmt: skip
    assert names[16:] == ['thumb_tip', 'index_tip', 'middle_tip', 'ring_tip', 'little_tip']


def test_assembly_order_by_name():
    # AssemblyHands: each finger from its tip to its base, thumb first, the wrist last.
    assembly = [
        f'{finger}_{part}'
        for finger in skeleton.FINGERS
        for part in (
            ('tip', 'ip', 'mcp', 'cmc') if finger == 'thumb' else ('tip', 'dip', 'pip', 'mcp')
        )
    ] + ['wrist']
    mano = [JOINT_NAMES[joint] for joint in skeleton.OPENPOSE_TO_MANO]
    assert [assembly[joint] for joint in skeleton.ASSEMBLY_TO_MANO] == mano


@pytest.mark.parametrize('shape', [(20, 3), (21,), (3, 21)])
def test_other_shapes_are_refused(shape):
    with pytest.raises((ValueError, IndexError)):
        reorder(np.zeros(shape), skeleton.OPENPOSE_TO_MANO)

"""Conventions of MANO labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hand_pose_ros.datasets import arctic, h2o, thermohands
from hand_pose_ros.datasets.conventions import (
    flat_pose,
    labelled_tips,
    left_shape_directions,
    relaxed_pose,
)
from hand_pose_ros.datasets.sample import MANOPTH_TIPS, SMPLX_TIPS, HandModelConvention
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.mano import mano_layer
from hand_pose_ros.hand_model.model_files import load_hand_model

poses = hnp.arrays(np.float64, (15, 3), elements=st.floats(-2, 2))
RELAXED = HandModelConvention(flat_mean=False, left_shape_fix=False, tip_vertices=SMPLX_TIPS)
FLAT = HandModelConvention(flat_mean=True, left_shape_fix=True, tip_vertices=MANOPTH_TIPS)


@given(poses, poses)
def test_mean_poses_there_and_back(pose, mean):
    np.testing.assert_allclose(relaxed_pose(flat_pose(pose, mean, RELAXED), mean), pose, atol=1e-12)
    np.testing.assert_array_equal(flat_pose(pose, mean, FLAT), pose)


def test_adding_the_mean_is_what_the_library_does():
    torch = pytest.importorskip('torch')
    mean = np.random.default_rng(0).normal(size=45) * 0.2
    pose = np.random.default_rng(1).normal(size=45) * 0.3
    layer = mano_layer('right')
    assert layer.flat_hand_mean
    layer.pose_mean[3:] = torch.as_tensor(mean, dtype=torch.float32)  # as with flat_hand_mean=False
    output = layer(
        betas=torch.zeros(1, 10), global_orient=torch.zeros(1, 3), transl=torch.zeros(1, 3),
        hand_pose=torch.as_tensor(pose, dtype=torch.float32)[None],
    )  # fmt: skip
    flat = flat_pose(pose.reshape(15, 3), mean.reshape(15, 3), RELAXED)
    _, vertices = HandModel(load_hand_model('right')).forward(
        np.zeros((1, 3)), flat[None], np.zeros((1, 10)), np.zeros((1, 3))
    )
    np.testing.assert_allclose(output.vertices[0].detach().numpy(), vertices[0], atol=1e-5)


def test_the_left_shape_fix_is_a_flag():
    directions = np.random.default_rng(0).normal(size=(4, 3, 10))
    np.testing.assert_array_equal(left_shape_directions(directions, RELAXED), directions)
    fixed = left_shape_directions(directions, FLAT)
    np.testing.assert_array_equal(fixed[:, 0], -directions[:, 0])
    np.testing.assert_array_equal(fixed[:, 1:], directions[:, 1:])


def test_tips_are_recorded_and_differ_between_libraries():
    meshes = np.random.default_rng(0).normal(size=(2, 778, 3))
    tips = labelled_tips(meshes, FLAT)
    np.testing.assert_array_equal(tips[0, 2], meshes[0, 445])
    np.testing.assert_array_equal(tips[1, 2], meshes[1, 444])
    assert not np.array_equal(tips, labelled_tips(meshes, RELAXED))


def test_each_data_set_says_what_its_numbers_mean():
    assert thermohands.CONVENTION.flat_mean and h2o.CONVENTION.flat_mean
    assert not arctic.CONVENTION.flat_mean and not arctic.CONVENTION.left_shape_fix
    assert arctic.CONVENTION.tip_vertices[0] == (744, 320, 443, 554, 671)
    assert thermohands.CONVENTION.tip_vertices == (
        (745, 317, 445, 556, 673), (745, 317, 444, 556, 673)
    )  # fmt: skip

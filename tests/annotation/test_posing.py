"""Posing: in torch the same hands and slopes as the numpy model, on the device asked for."""

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.posing import Poser, checked_device
from hand_pose_ros.annotation.session_fit import fitting_model
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.hand_model.kinematics import HandState

CPU = torch.device('cpu')


def hands(model, count=5, seed=0):
    generator = np.random.default_rng(seed)
    free = len(model.degrees)
    angles = generator.uniform(model.lower, model.upper, (count, free))
    angles[0] = 0.0  # where series stand for sines
    return HandState(
        rotation=rotation_matrices(generator.normal(size=(count, 3))),
        wrist=generator.normal(0, 0.3, (count, 3)), angles=angles,
        shape=generator.normal(size=(count, model.shapes)),
    )  # fmt: skip


@pytest.mark.parametrize('side', (0, 1))
def test_it_is_the_numpy_model_to_the_last_digits(side):
    model = fitting_model()
    state = hands(model)
    expected = model.pose(state, np.full(5, side), shape=True)
    found = Poser(model, side, CPU).pose(state, shape=True)
    for name in ('points', 'normals', 'jacobian'):
        assert np.abs(getattr(found, name).numpy() - getattr(expected, name)).max() < 1e-10


def test_the_shape_is_left_out_unless_asked_for():
    model = fitting_model()
    short = Poser(model, 1, CPU).pose(hands(model)).jacobian
    assert short.shape[1] == 6 + len(model.degrees)


@pytest.mark.parametrize(
    ('name', 'message'),
    [('cuda:97', r'cannot be used \(.+\): use cpu'), ('toaster', 'does not exist: use cpu, cuda'),
     ('cuda:x', 'does not exist: use cpu, cuda')],
)  # fmt: skip
def test_a_device_that_is_not_there_is_refused_in_a_sentence(name, message):
    with pytest.raises(HandPoseError, match=f"device '{name}' {message}"):
        checked_device(name)

"""States: MANO parameters there and back."""

import numpy as np
import pytest

from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.annotation.states import parameters_of, state_of, with_shape
from hand_pose_ros.hand_model.kinematics import FittingModel
from tests.annotation.sessions import exact


@pytest.fixture(scope='module')
def model():
    return FittingModel(hand_model('right').data)


def of(model, side):
    truth = exact().truth
    return truth, state_of(
        model, side, truth.global_orient[:, side], truth.hand_pose[:, side],
        truth.betas[:, side], truth.translation[:, side],
    )  # fmt: skip


@pytest.mark.parametrize('side', (0, 1))
def test_parameters_survive_the_way_there_and_back(model, side):
    truth, state = of(model, side)
    back = parameters_of(model, side, state)
    assert np.allclose(back['global_orient'], truth.global_orient[:, side])
    assert np.allclose(back['translation'], truth.translation[:, side], atol=1e-3)
    # What the model holds at rest (twists of three degrees) is lost, and shapes beyond its own.
    assert np.abs(back['hand_pose'] - truth.hand_pose[:, side]).max() < 0.06
    assert np.allclose(back['betas'][:, : model.shapes], truth.betas[:, side, : model.shapes])
    again = state_of(model, side, *back.values())
    for name in ('rotation', 'wrist', 'angles', 'shape'):
        assert np.allclose(getattr(again, name), getattr(state, name))


@pytest.mark.parametrize('side', (0, 1))
def test_the_wrist_is_the_first_joint(model, side):
    _, state = of(model, side)
    # Shapes beyond the fit's move the wrist by less than a millimetre.
    assert np.abs(state.wrist - exact().joints[:, side, 0]).max() < 1e-3


def test_another_shape_leaves_the_wrist(model):
    _, state = of(model, 0)
    other = with_shape(state, np.ones(model.shapes))
    assert (other.wrist == state.wrist).all() and (other.shape == 1).all()

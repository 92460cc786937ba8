"""Hands that are fitted anew to dragged joints."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand_pose import HandModelParameters
from hand_pose_ros.review.refit import Pin, refit
from hand_pose_ros.skeleton import SIDES

CAMERA = Camera(
    width=640, height=480, intrinsics=np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]]),
    distortion=np.array([-0.2, 0.05, 0.001, 0.0, 0.0]),
)  # fmt: skip
ASIDE = np.eye(4)
ASIDE[:3, :3] = [[0, 0, -1], [0, 1, 0], [1, 0, 0]]
ASIDE[:3, 3] = [0.5, 0, 0.5]
START = HandModelParameters(
    global_orient=np.array([0.3, -0.2, 0.1]), hand_pose=np.full((15, 3), 0.1),
    betas=np.zeros(10), translation=np.array([0.0, 0.0, 0.5]),
)  # fmt: skip


def joints(side, hand):
    return hand_model(SIDES[side]).joints(
        hand.global_orient[None], hand.hand_pose[None], hand.betas[None], hand.translation[None]
    )[0]


def pixels(points, T_cam_world=None):
    T = np.eye(4) if T_cam_world is None else T_cam_world
    return CAMERA.project(points @ T[:3, :3].T + T[:3, 3])


def pin(joint, pixel, T_cam_world=None, there=None, share=0.0):
    T = np.eye(4) if T_cam_world is None else T_cam_world
    there = np.zeros(3) if there is None else there
    return Pin(joint=joint, pixel=pixel, camera=CAMERA, T_cam_world=T, there=there, share=share)


@settings(max_examples=12)
@given(side=st.integers(0, 1), joint=st.integers(0, 20), x=st.floats(-8, 8), y=st.floats(-8, 8))
def test_the_joint_lies_where_it_was_put_and_its_depth_stays(side, joint, x, y):
    before = joints(side, START)
    wanted = pixels(before)[joint] + [x, y]
    after = joints(side, refit(side, START, [pin(joint, wanted)]))
    assert np.abs(pixels(after)[joint] - wanted).max() < 1.0
    assert abs(after[joint, 2] - before[joint, 2]) < 0.03


def test_the_rest_of_the_hand_stays():
    before = joints(0, START)
    wanted = pixels(before)[8] + [10, 5]
    after = joints(0, refit(0, START, [pin(8, wanted)]))
    moved = np.linalg.norm(after - before, axis=1)
    assert moved[8] > 0.005
    others = [joint for joint in range(21) if joint not in range(5, 9)]
    assert moved[others].max() < 0.5 * moved[8]


def test_a_joint_that_was_not_moved_moves_nothing():
    before = joints(1, START)
    after = joints(1, refit(1, START, [pin(12, pixels(before)[12])]))
    assert np.abs(after - before).max() < 1e-6


def test_a_second_view_settles_the_depth():
    before = joints(0, START)
    target = before[8] + [0.005, 0.005, 0.02]
    first = pin(8, pixels(target[None])[0])
    second = pin(8, pixels(target[None], ASIDE)[0], ASIDE)
    one = joints(0, refit(0, START, [first]))[8]
    both = joints(0, refit(0, START, [first, second]))[8]
    assert np.linalg.norm(both - target) < 0.002 < np.linalg.norm(one - target)


def test_an_image_at_another_stamp_shows_the_joint_on_its_way():
    before = joints(0, START)
    there = before[8] + [0.03, 0.0, 0.0]
    shown = 0.75 * before[8] + 0.25 * there
    pinned = pin(8, pixels(shown[None])[0], there=there, share=0.25)
    after = joints(0, refit(0, START, [pinned]))
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert pixels(shown[None])[0] != pytest.approx(pixels(before)[8], abs=2)


@pytest.mark.parametrize(
    ('side', 'turn', 'farther'), [(0, (0.0, 0.5, 0.3), 0.1), (1, (0.5, 0.0, -0.3), 0.06)]
)
def test_a_guess_comes_further_than_a_label(side, turn, farther):
    """The true hand is turned by 0.6 rad and farther; eight joints are dragged, one by one."""
    away = replace(
        START, global_orient=np.add(START.global_orient, turn),
        translation=np.add(START.translation, [0.01, 0.0, farther]),
    )  # fmt: skip
    true = joints(side, away)
    errors = {}
    for guessed in (False, True):
        hand, pins = START, []
        for joint in (0, 5, 17, 4, 8, 12, 16, 20):
            pins.append(pin(joint, pixels(true)[joint]))
            hand = refit(side, hand, pins, guessed=guessed)
        errors[guessed] = np.linalg.norm(joints(side, hand) - true, axis=1).mean()
    assert errors[True] < 0.01
    assert errors[True] < 0.6 * errors[False]

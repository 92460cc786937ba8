"""Masks: GrabCut from landmarks, and what plug-ins may and may not return."""

import sys
from types import ModuleType

import numpy as np
import pytest

from hand_pose_ros.annotation.label_masks import LabelledMeshes, image_places, label_mask
from hand_pose_ros.annotation.masks import Prompt, checked_masks, grab_cut, load_segmenter
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators.drawing import picture

ROW = 12


def shown(session, truth, name):
    """A picture, the prompts of both hands and their exact masks."""
    place = next(place for place in image_places(session, ROW) if place.camera == name)
    modality = session.rig.cameras[name].modality
    image = picture(session.frame(ROW).streams[name], modality)
    joints = truth.joints[ROW] @ place.T_cam_world[:3, :3].T + place.T_cam_world[:3, 3]
    prompts = [Prompt.of(place.intrinsics.project(joints[side])) for side in range(2)]
    exact = label_mask(place, LabelledMeshes(truth).at(ROW, place.stamp))
    return image, modality, prompts, exact


@pytest.mark.parametrize(('name', 'least'), [('thermal', 0.75), ('nir', 0.7)])
def test_hands_are_masked(session, truth, name, least):
    image, modality, prompts, exact = shown(session, truth, name)
    masks = checked_masks(grab_cut, image, modality, prompts)
    for side, mask in enumerate(masks):
        hand = exact == side + 1
        assert (mask & hand).sum() / (mask | hand).sum() > least


def test_the_same_picture_gives_the_same_mask(session, truth):
    image, modality, prompts, _ = shown(session, truth, 'thermal')
    first = grab_cut(image, modality, prompts)
    for before, after in zip(first, grab_cut(image, modality, prompts), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_hand_outside_the_picture_has_no_mask(session, truth):
    image, modality, prompts, _ = shown(session, truth, 'thermal')
    outside = Prompt.of(prompts[0].points + 5000)
    assert checked_masks(grab_cut, image, modality, [outside]) == [None]


def test_no_hands_no_masks():
    assert checked_masks(grab_cut, np.zeros((40, 40, 3), np.uint8), 'rgb', []) == []


def test_a_mask_that_cannot_be_the_hand_is_dropped(session, truth):
    image, modality, prompts, exact = shown(session, truth, 'thermal')
    everything, nothing = np.ones(exact.shape, bool), np.zeros(exact.shape, bool)
    for wrong in (everything, nothing):
        assert checked_masks(lambda *_, wrong=wrong: [wrong] * 2, image, modality, prompts) == [
            None,
            None,
        ]
    kept = checked_masks(lambda *_: [exact == 1, None], image, modality, prompts)
    np.testing.assert_array_equal(kept[0], exact == 1)
    assert kept[1] is None


@pytest.mark.parametrize('masks', [[], [np.zeros((3, 4), bool)] * 2])
def test_wrong_shapes_of_a_plug_in_are_refused(session, truth, masks):
    image, modality, prompts, _ = shown(session, truth, 'thermal')
    with pytest.raises(HandPoseError, match='mend the plug-in'):
        checked_masks(lambda *_: masks, image, modality, prompts)


def test_boxes_are_five_percent_larger():
    prompt = Prompt.of(np.array([[0.0, 10.0], [20.0, 50.0]]))
    np.testing.assert_allclose(prompt.box, [-1, 8, 21, 52])


def test_plug_ins_are_made_by_name(monkeypatch):
    def segmenter(picture, modality, hands):
        return [None] * len(hands)

    module = ModuleType('own_segmenter')
    module.make = lambda: segmenter
    module.broken = lambda: 1 / 0
    module.constant = lambda: 7
    monkeypatch.setitem(sys.modules, 'own_segmenter', module)
    assert load_segmenter('own_segmenter:make') is segmenter
    assert load_segmenter('') is grab_cut
    for name, text in (
        ('own_segmenter:broken', 'ZeroDivisionError'), ('own_segmenter:constant', 'makes a int'),
        ('own_segmenter:missing', 'AttributeError'), ('no_such_module:make', 'ModuleNotFoundError'),
    ):  # fmt: skip
        with pytest.raises(HandPoseError, match=text):
            load_segmenter(name)

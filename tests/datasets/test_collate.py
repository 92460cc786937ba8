"""Samples to batches: sizes, lens, K, masks, boxes, conventions and refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.datasets.batch import TARGETS
from hand_pose_ros.datasets.collate import collate, fit
from hand_pose_ros.datasets.sample import SMPLX_TIPS, HandModelConvention, HandSample, unlabelled
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera

LENS = np.array([-0.3, 0.08, 0.001, -0.001, 0.0])


def camera(width=160, height=120, lens=(), model='plumb_bob'):
    k = [[150.0, 0, 84.0], [0, 152.0, 57.0], [0, 0, 1]]
    return Camera(width=width, height=height, intrinsics=np.array(k), distortion=np.array(lens),
                  distortion_model=model)  # fmt: skip


def joints_before(view, seed=0):
    """Two hands whose joints are inside the image, away from its border."""
    draw = np.random.default_rng(seed)
    pixels = draw.uniform((25, 25), (view.width - 25, view.height - 25), (42, 2))
    return view.unproject(pixels, draw.uniform(0.3, 0.8, 42)).reshape(2, 21, 3)


def sample(view=None, joints=None, **changes):
    view = view or camera()
    joints = joints_before(view) if joints is None else joints
    pixels = view.project(joints.reshape(-1, 3)).reshape(2, 21, 2)
    known = {'image': np.zeros((view.height, view.width, 3), np.uint8), 'modality': 'rgb',
             'camera': view, 'sequence': 'a/b', 'index': 7, 'joints': joints,
             'pixels': pixels}  # fmt: skip
    return HandSample(**(known | changes))


def dotted(view, pixels):
    """An image with a bright blob at each pixel position (N, 2)."""
    rows, columns = np.mgrid[: view.height, : view.width]
    image = np.zeros((view.height, view.width))
    for u, v in pixels:
        image = np.maximum(image, np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 8.0))
    return (image * 255).astype(np.uint8)


def centre_of_blob(image, near):
    u, v = np.round(near).astype(int)
    part = image[v - 6 : v + 7, u - 6 : u + 7].astype(float)
    rows, columns = np.mgrid[v - 6 : v + 7, u - 6 : u + 7]
    return np.array([(columns * part).sum(), (rows * part).sum()]) / part.sum()


@pytest.mark.parametrize('size', [(160, 120), (80, 60), (320, 200)])
@pytest.mark.parametrize(
    ('lens', 'model'),
    [((), 'plumb_bob'), (LENS, 'plumb_bob'), ((-0.02, 0.004, 0, 0), 'equidistant')],
)
def test_labels_and_k_follow_the_pixels(size, lens, model):
    view = camera(lens=lens, model=model)
    spots = np.array([[50.0, 40.0], [110.0, 40.0], [50.0, 85.0], [110.0, 85.0]])
    joints = unlabelled(21, 3)
    joints[0, :4] = view.unproject(spots, np.full(4, 0.5))
    fitted = fit(sample(view, joints, image=dotted(view, spots)), size)
    assert fitted.image.shape[:2] == size[::-1]
    assert not fitted.camera.is_distorted
    projected = fitted.camera.project(joints[0, :4])
    np.testing.assert_allclose(fitted.pixels[0, :4], projected, atol=1e-3)
    for pixel in projected:  # the blob is where K says it is
        np.testing.assert_allclose(centre_of_blob(fitted.image, pixel), pixel, atol=0.35)


def test_a_kept_lens_is_kept():
    view = camera(lens=LENS)
    batch = collate([[sample(view)]], size=(80, 60), rectify=False)
    scaled = view.scaled(80, 60)
    np.testing.assert_allclose(batch.intrinsics[0], scaled.intrinsics, rtol=1e-6)
    pixels = scaled.project(joints_before(view).reshape(-1, 3)).reshape(2, 21, 2)
    np.testing.assert_allclose(batch.pixels[0], pixels, atol=1e-3)


def test_depth_and_masks_are_never_mixed():
    view = camera(lens=LENS)
    depth = np.full((120, 160), 0.5, np.float32)
    depth[:, 80:] = 1.5
    depth[:40] = np.nan
    mask = np.zeros((120, 160), np.uint8)
    mask[50:80, 60:90] = 2
    batch = collate([[sample(view, image=depth, modality='depth', mask=mask)]], size=(112, 84))
    assert tuple(batch.image.shape) == (1, 1, 84, 112)
    assert set(np.unique(batch.image.numpy())) == {np.float32(0), np.float32(0.5), np.float32(1.5)}
    assert set(np.unique(batch.hand_mask.numpy())) == {0, 2}


def test_grey_images_get_three_equal_channels():
    image = np.random.default_rng(0).integers(0, 256, (120, 160), np.uint8)
    batch = collate([[sample(image=image, modality='thermal')]])
    assert tuple(batch.image.shape) == (1, 3, 120, 160)
    np.testing.assert_allclose(batch.image[0, 2], image / 255.0, atol=1e-6)
    assert torch.equal(batch.image[:, 0], batch.image[:, 1])
    assert batch.image.dtype == batch.joints.dtype == batch.boxes.dtype == torch.float32
    assert batch.hand_mask is None and not batch.valid['mask'].any()


def test_validity_is_per_hand_and_target():
    joints = joints_before(camera())
    joints[1] = np.nan
    joints[0, 3] = np.nan
    one = sample(
        joints=joints, grasp=(-1, 8), betas=np.array([[0.1] * 10, [np.nan] * 10]),
        global_orient=np.zeros((2, 3)), hand_pose=np.stack([np.zeros((15, 3))] * 2),
        mask=np.zeros((120, 160), np.uint8), mask_labelled=(True, False),
    )  # fmt: skip
    batch = collate([[one]])
    expected = {'joints_3d': [1, 0], 'joints_2d': [1, 0], 'pose': [1, 1], 'betas': [1, 0],
                'camera': [0, 0], 'mask': [1, 0], 'grasp': [0, 1]}  # fmt: skip
    assert set(expected) == set(TARGETS)
    for name, flags in expected.items():
        assert batch.valid[name].int().tolist() == [flags], name
    assert batch.visible[0, 0].tolist() == [joint != 3 for joint in range(21)]
    assert batch.grasp.tolist() == [[-1, 8]]


def test_joints_outside_of_the_image_are_not_visible():
    view = camera()
    pixels = np.full((2, 21, 2), 30.0)
    pixels[0, 0], pixels[0, 1], pixels[1, 2] = (-1, 30), (159, 119), (160, 30)
    batch = collate([[sample(view, pixels=pixels)]])
    hidden = torch.nonzero(~batch.visible[0]).tolist()
    assert hidden == [[0, 0], [1, 2]]


def test_pixels_without_a_label_are_projected_from_the_joints():
    view = camera(lens=LENS)
    batch = collate([[sample(view, pixels=unlabelled(21, 2))]])
    pinhole = replace(view, distortion=np.zeros(0))
    expected = pinhole.project(joints_before(view).reshape(-1, 3)).reshape(2, 21, 2)
    np.testing.assert_allclose(batch.pixels[0], expected, atol=1e-3)
    assert batch.valid['joints_2d'].all()


def test_boxes_move_with_the_pixels():
    boxes = np.array([[20.0, 30.0, 60.0, 70.0], [np.nan] * 4])
    batch = collate([[sample(boxes=boxes)]], size=(80, 60))
    np.testing.assert_allclose(batch.boxes[0, 0], (boxes[0] + 0.5) / 2 - 0.5, atol=1e-4)
    assert batch.boxes[0, 1].isnan().all()
    view = camera(lens=LENS)
    inside = np.array([[30.0, 40.0], [60.0, 70.0]])
    moved = fit(
        sample(view, boxes=boxes, pixels=np.broadcast_to(inside[0], (2, 21, 2))), (160, 120)
    )
    assert (moved.pixels[0, 0] >= moved.boxes[0, :2]).all()
    assert (moved.pixels[0, 0] <= moved.boxes[0, 2:]).all()


def test_relaxed_poses_become_flat_ones_or_are_left_out():
    convention = HandModelConvention(flat_mean=False, left_shape_fix=False, tip_vertices=SMPLX_TIPS)
    pose = np.random.default_rng(1).normal(size=(2, 15, 3))
    one = sample(global_orient=np.zeros((2, 3)), hand_pose=pose, convention=convention)
    mean = np.random.default_rng(2).normal(size=(2, 15, 3))
    batch = collate([[one]], mean_pose=mean)
    np.testing.assert_allclose(batch.hand_pose[0], pose + mean, atol=1e-6)
    batch = collate([[one]])
    assert batch.hand_pose.isnan().all() and not batch.valid['pose'].any()
    assert batch.valid['joints_3d'].all()


def test_batches_are_moved_and_selected():
    batch = collate([[sample(index=place)] for place in range(3)])
    picked = batch.select(slice(1, 3))
    assert len(picked.image) == len(picked.valid['pose']) == len(picked.boxes) == 2
    assert batch.to('cpu').joints.equal(batch.joints)
    with pytest.raises(DataError, match='joints of a batch has shape'):
        replace(batch, joints=batch.joints[:1])
    with pytest.raises(DataError, match='no whole number of clips'):
        replace(batch, frames=2)


@pytest.mark.parametrize(
    ('clips', 'message'),
    [
        ([[sample()], [sample(), sample()]], r'one length and kind, got \[1, 2\]'),
        ([[sample()], [sample(modality='nir')]], "nir', 'rgb"),
        ([[sample(image=np.zeros((60, 80, 3), np.uint8))]],
         'a/b frame 7 has 80 x 60 pixels and a camera of 160 x 120'),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(clips, message):
    with pytest.raises(DataError, match=message):
        collate(clips)


@given(st.floats(0.46, 50), st.sampled_from([(0, 2), (1, 2)]), st.sampled_from([-1, 1]))
def test_a_k_of_another_image_size_is_refused(factor, entry, sign):
    view = camera()
    k = view.intrinsics.copy()
    k[entry] = (view.width, view.height)[entry[0]] * (0.5 + sign * factor)
    other = replace(view, intrinsics=k)
    with pytest.raises(DataError, match=r'a/b frame 7: fx, fy, cx, cy = .* of 160 x 120'):
        collate([[sample(other, joints=unlabelled(21, 3))]])


def test_the_k_of_the_full_size_is_refused_for_half_size_images():
    view = camera()
    half = replace(view, width=80, height=60)
    with pytest.raises(DataError, match='use the K of this image size'):
        collate([[sample(half, joints=unlabelled(21, 3))]])

"""Own sessions as a data set: labels in the camera's frame, gaps, splits, what is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.datasets.collate import collate
from hand_pose_ros.datasets.session_splits import check_apart
from hand_pose_ros.datasets.sessions import Sessions
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.sessions.labels import ABSENT, REJECTED, SessionLabels, labels_folder
from hand_pose_ros.sessions.session import Session
from tests.sessions.simulated import record


@pytest.fixture(scope='module')
def root(repository, tmp_path_factory):
    """Two subjects' sessions of 0.4 s with thermal and depth images; truth as labels."""
    folder = tmp_path_factory.mktemp('sessions')
    for subject in (1, 2):
        record(repository, folder / f'subject_0{subject}' / 'a', seed=subject)
    return folder


def changed(root, tmp_path, change, subject=1):
    """Copy one session, with changed labels."""
    source = root / f'subject_0{subject}' / 'a'
    target = tmp_path / 'bag'
    shutil.copytree(source, target)
    labels = change(SessionLabels.load(labels_folder(source)))
    labels.save(labels_folder(target))
    return target


def test_labels_are_in_the_frame_of_the_camera_at_its_stamp_and_on_its_hands(root):
    with Session.open(root / 'subject_01' / 'a') as session:
        truth = session.truth()
        for stream in ('thermal', 'depth'):
            dataset = Sessions(root / 'subject_01' / 'a', stream=stream)
            assert len(dataset) >= 11
            sample = next(one for one in dataset if one.index == 5)
            camera = session.rig.cameras[stream]
            frame = session.frame(5, (stream,))
            assert sample.stamp == frame.streams[stream].stamp
            other = 5 + int(np.sign(sample.stamp - truth.stamps[5]))
            assert (other == 5) == (stream == 'thermal')
            joints = truth.joints[5]
            if other != 5:
                share = (sample.stamp - truth.stamps[5]) / (truth.stamps[other] - truth.stamps[5])
                assert 0.02 < share < 0.98
                joints = (1 - share) * joints + share * truth.joints[other]
            T = inverse(camera.T_rig_cam) @ session.rig.reference_camera.T_rig_cam
            np.testing.assert_allclose(sample.joints, apply(T, joints), atol=1e-12)
            np.testing.assert_allclose(
                sample.pixels[0], camera.camera.project(sample.joints[0]), atol=1e-9
            )
    inside = np.round(sample.pixels).astype(int).reshape(-1, 2)
    depth = sample.image[inside[:, 1], inside[:, 0]]
    behind = sample.joints[..., 2].ravel() - depth
    assert np.nanmedian(behind) == pytest.approx(0.01, abs=0.012)


def test_masks_belong_to_their_image_and_to_labelled_hands(root, tmp_path):
    """Messages of a label bag are stored when the images were received, not when taken."""

    def change(labels):
        labels.verdict[2, 0] = REJECTED
        return labels

    path = changed(root, tmp_path, change)
    with Session.open(path) as session, BagWriter(labels_folder(path) / 'bag') as writer:
        topic = '/labels/thermal/mask'
        writer.add_topic(topic, messages.IMAGE)
        for place, stamp in enumerate(session.streams['thermal'].stamps[:5].tolist()):
            mask = np.full((256, 320), place, np.uint8)
            content = messages.serialised(messages.image(mask, 'mono8', stamp, 'a'))
            writer.write(topic, content, stamp + 33_000_000)
    dataset = Sessions(path)
    found = [dataset[number].mask for number in range(6)]
    assert [mask[0, 0] for mask in found[:5]] == list(range(5))
    assert found[5] is None
    assert dataset[2].valid['mask'].tolist() == [False, True]


def test_parameters_make_the_joints_also_in_another_camera(root):
    sample = Sessions(root / 'subject_01' / 'a', stream='depth')[3]
    batch = collate([[sample]])
    pose = np.concatenate([sample.global_orient[:, None], sample.hand_pose], axis=1)
    posed = HandLayer()(
        rotation_from_axis_angle(torch.tensor(pose[None], dtype=torch.float32)),
        batch.betas, batch.translation,
    )  # fmt: skip
    # Joints move along chords between two stamps, the model's along arcs.
    np.testing.assert_allclose(posed.joints[0].numpy(), sample.joints, atol=5e-5)


def test_images_are_as_networks_want_them(root):
    thermal = Sessions(root / 'subject_01' / 'a', stream='thermal')[0].image
    assert thermal.dtype == np.uint8
    assert thermal.max() == 255
    assert Sessions(root / 'subject_01' / 'a', stream='depth')[0].image.dtype == np.float32


def test_rejected_and_bad_labels_are_not_there_and_gaps_part_clips(root, tmp_path):
    def change(labels):
        labels.origin[4] = ABSENT
        labels.verdict[8] = REJECTED
        labels.quality[2, 0] = 0.1
        return labels

    dataset = Sessions(changed(root, tmp_path, change), minimum_quality=0.5)
    assert [dataset[i].index for i in range(len(dataset))] == [0, 1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert dataset.segments == [range(4), range(4, 7), range(7, 10)]
    sample = dataset[2]
    assert np.isnan(sample.joints[0]).all()
    assert np.isfinite(sample.joints[1]).all()
    assert sample.valid['joints_3d'].tolist() == [False, True]


def test_splits_are_kept_apart(root, tmp_path):
    (root / 'splits.yaml').write_text('train: [subject_01/a]\nval: [subject_02/a]\n')
    try:
        train, val = Sessions(root, split='train'), Sessions(root, split='val')
        assert train[0].sequence.endswith('subject_01/a')
        assert val[0].sequence.endswith('subject_02/a')
        with pytest.raises(DataError, match='no session in split test'):
            Sessions(root, split='test')
        (root / 'splits.yaml').write_text('train: [subject_01/a]\nval: [subject_01/a]\n')
        with pytest.raises(DataError, match=r"'subject_01/a' in train and in val"):
            Sessions(root)
        (root / 'splits.yaml').write_text('train: [subject_03/a]\n')
        with pytest.raises(DataError, match=r"'subject_03/a', which is no session"):
            Sessions(root)
        for wrong in ('- a', 'train: subject_01/a', 'tain: [a]', '{', 'train: [1]'):
            (root / 'splits.yaml').write_text(wrong)
            with pytest.raises(DataError, match=r'splits\.yaml'):
                Sessions(root)
    finally:
        (root / 'splits.yaml').unlink()
    assert len(Sessions(root)) == 24


def test_a_pattern_names_sessions(root):
    assert len(Sessions(root / 'subject_0[12]')) == 24
    assert len(Sessions(root / '*2' / 'a')) == 12
    with pytest.raises(DataError, match='does not exist'):
        Sessions(root / 'subject_0[34]')


def test_what_is_trained_on_is_not_measured_on(root, tmp_path):
    first, second = root / 'subject_01' / 'a', root / 'subject_02' / 'a'
    check_apart([first], [second])  # their stamps are the same, their images are not
    with pytest.raises(DataError, match='is trained on and measured on'):
        check_apart([second, first], [root / 'subject_02' / '..' / 'subject_01' / 'a'])
    with pytest.raises(DataError, match='has the same images as'):
        check_apart([first], [second, changed(root, tmp_path, lambda labels: labels)])
    other = tmp_path / 'subject_01' / 'b'
    shutil.copytree(second, other)
    with pytest.raises(DataError, match='shows the hands of subject_01'):
        check_apart([first], [other])


def test_what_cannot_be_read_is_one_sentence(root, tmp_path):
    with pytest.raises(DataError, match='has no rgb camera, only thermal, depth'):
        Sessions(root, stream='rgb')
    with pytest.raises(DataError, match='does not exist'):
        Sessions(root / 'nowhere')
    with pytest.raises(DataError, match='holds no session'):
        Sessions(tmp_path)
    with pytest.raises(DataError, match=r'quality 1\.1 or better'):
        Sessions(root, minimum_quality=1.1)


def test_labels_of_another_recording_are_refused(root, tmp_path):
    bag = changed(root, tmp_path, lambda labels: replace(labels, stamps=labels.stamps + 7))
    with pytest.raises(DataError, match='labels of another recording'):
        Sessions(bag)


def test_unlabelled_sessions_name_the_step(root, tmp_path):
    bag = changed(root, tmp_path, lambda labels: labels)
    (labels_folder(bag) / 'labels.npz').unlink()
    with pytest.raises(DataError, match='run `hand-pose annotate`'):
        Sessions(bag)
    assert len(Sessions(bag, truth=True)) == 12

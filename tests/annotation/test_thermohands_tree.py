"""ThermoHands tree: what is written reads back through the data set's own reader."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.annotation.thermohands_tree import write_thermohands
from hand_pose_ros.datasets.thermohands import ThermoHands
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.rig.frame import MODALITIES
from hand_pose_ros.sessions.labels import ABSENT
from hand_pose_ros.sessions.session import Session


@pytest.fixture(scope='module')
def tree(recording, tmp_path_factory):
    """The tree of the recording, the left hand of set 4 not labelled."""
    folder = tmp_path_factory.mktemp('tree') / 'tree'
    with Session(recording) as session:
        truth = session.truth()
        truth.origin[4, 0] = ABSENT
        assert write_thermohands(folder, session, truth, subject=3) == complete(session)
    return folder


def complete(session):
    return sum(set(MODALITIES) <= set(entry) for entry in session.sets)


@pytest.mark.parametrize('stream', MODALITIES)
def test_joints_and_pixels_come_back_in_every_stream(tree, session, truth, stream):
    samples = ThermoHands(tree, split='train', stream=stream)
    assert len(samples) == complete(session)
    sample = samples[7]
    row = int(np.argmin(np.abs(truth.stamps - sample.stamp)))
    camera = session.rig.cameras[stream]
    T_cam_world = inverse(camera.T_rig_cam) @ session.rig.reference_camera.T_rig_cam
    wanted = apply(T_cam_world, truth.joints[row])
    np.testing.assert_allclose(sample.joints, wanted, atol=1e-9)
    own = camera.camera.project(wanted.reshape(-1, 3)).reshape(2, 21, 2)
    image = session.frame(row).streams[stream].image
    margin = np.array(sample.image.shape[1::-1]) - image.shape[1::-1]
    np.testing.assert_allclose(sample.pixels, own + margin // 2, atol=1e-6)


def test_images_come_back_untouched_within_their_frame(tree, session, truth):
    sample = ThermoHands(tree, split='train', stream='rgb')[0]
    row = int(np.argmin(np.abs(truth.stamps - sample.stamp)))
    image = session.frame(row).streams['rgb'].image
    assert sample.image.shape == (486, 864, 3)
    np.testing.assert_array_equal(sample.image[3:483, 112:752], image)
    depth = ThermoHands(tree, split='train', stream='depth')[0].image
    metres = np.nan_to_num(session.frame(row).streams['depth'].image)
    np.testing.assert_allclose(np.nan_to_num(depth), metres, atol=0.0006)


def test_parameters_pose_the_hand_onto_the_joints(tree):
    sample = ThermoHands(tree, split='train', stream='nir')[9]
    for side, name in enumerate(('left', 'right')):
        joints = hand_model(name).joints(
            sample.global_orient[side][None], sample.hand_pose[side][None],
            sample.betas[side][None], sample.translation[side][None],
        )  # fmt: skip
        np.testing.assert_allclose(joints[0], sample.joints[side], atol=1e-6)


def test_absent_hands_are_unlabelled(tree, truth):
    samples = ThermoHands(tree, split='train', stream='thermal')
    sample = next(
        samples[i]
        for i in range(len(samples))
        if samples[i].stamp // 10**6 == truth.stamps[4] // 10**6
    )
    assert np.isnan(sample.joints[0]).all() and np.isfinite(sample.joints[1]).all()
    assert np.isnan(sample.betas[0]).all()


def test_the_subject_decides_the_part(session, truth, tmp_path):
    write_thermohands(tmp_path / 'tree', session, truth, subject=2)
    assert len(ThermoHands(tmp_path / 'tree', split='test')) == complete(session)


def test_a_rig_without_the_four_cameras_is_refused_and_the_old_tree_stays(tree, recording, truth):
    with Session(recording) as session:
        cameras = {name: camera for name, camera in session.rig.cameras.items() if name != 'nir'}
        limits = replace(session.rig.synchronizer, streams=('thermal', 'depth', 'rgb'))
        session.rig = replace(session.rig, cameras=cameras, synchronizer=limits)
        with pytest.raises(RigError, match='no calibrated nir camera'):
            write_thermohands(tree, session, truth, subject=3)
    assert len(ThermoHands(tree, split='train')) > 0

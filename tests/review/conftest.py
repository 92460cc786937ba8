"""A reviewed session: half a second of the simulated rig, truth as labels, one hand a bit off."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cameras.direct_recording import DirectRecording
from hand_pose_ros.review.server import ReviewServer
from hand_pose_ros.review.work import ReviewWork
from hand_pose_ros.rig.description import load_rig
from hand_pose_ros.sessions.labels import labels_folder
from hand_pose_ros.sessions.session import Session


@pytest.fixture(scope='session')
def recorded(repository, tmp_path_factory):
    rig = load_rig(repository / 'config' / 'simulated_head_rig.yaml')
    options = {'offline': True, 'scenario': 'normal', 'seed': 1, 'start': 10**18, 'drop': 0.0}
    cameras = {
        name: replace(camera, driver_options=options) for name, camera in rig.cameras.items()
    }
    path = tmp_path_factory.mktemp('review') / 'wave'
    with BagWriter(path) as writer:
        DirectRecording(rig=replace(rig, cameras=cameras), writer=writer, duration=0.5).run()
    with Session.open(path) as session:
        labels = session.truth()
    generator = np.random.default_rng(0)
    labels.quality[:] = generator.uniform(0.5, 0.95, labels.quality.shape)
    labels.quality[3, 0] = 0.1
    # The worst one has its fingers wrong.
    labels.hand_pose[3, 0] += 0.15
    labels.joints[3, 0] = hand_model('left').joints(
        labels.global_orient[3, :1], labels.hand_pose[3, :1], labels.betas[3, :1],
        labels.translation[3, :1],
    )[0]  # fmt: skip
    labels.residuals['pixels'] = np.full(labels.quality.shape, 1.5)
    labels.save(labels_folder(path))
    return path


@pytest.fixture
def session_path(recorded, tmp_path):
    """A copy of the session's labels beside a link to its bag's files."""
    path = tmp_path / 'wave'
    path.symlink_to(recorded)
    shutil.copytree(labels_folder(recorded), labels_folder(path))
    return path


@pytest.fixture
def work(session_path):
    opened = ReviewWork(session_path)
    yield opened
    opened.close()


@pytest.fixture
def server(work):
    with ReviewServer(work) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()

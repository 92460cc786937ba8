"""Live estimates as labels: states, scores, frames, and what is refused."""

import numpy as np
import pytest

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting.live_estimates import live_estimates
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.sessions.hand_messages import RESULTS_TOPIC, hands_message
from hand_pose_ros.sessions.labels import ABSENT, FITTED, INTERPOLATED
from hand_pose_ros.sessions.recorded_rig import RIG_TOPIC, image_topic
from hand_pose_ros.sessions.session import Session
from tests.sessions.recorded import PERIOD, START, pixels, rig


def hand(side, state='tracked', score=0.9, x=0.1, fitted=True):
    joints = np.random.default_rng(3).normal(0, 0.05, (21, 3)) + np.array([x, 0, 0.4])
    parameters = HandModelParameters(
        global_orient=np.ones(3), hand_pose=np.full((15, 3), 0.2), betas=np.zeros(10),
        translation=np.array([x, 0, 0.4]),
    )  # fmt: skip
    return HandPose(
        side=side, track_id=1, state=state, score=score, joints=joints,
        parameters=parameters if fitted else None,
    )  # fmt: skip


def recorded(folder, told, frame_id='thermal_optical_frame'):
    """A session of one camera; ``told`` has the hands at each of its images."""
    description = rig()
    camera = description.cameras['thermal']
    with BagWriter(folder) as bag:
        bag.add_topic(RIG_TOPIC, messages.STRING)
        text = messages.serialised(messages.text(rig_text(description)))
        bag.write(RIG_TOPIC, text, START - 1)
        bag.add_topic(image_topic('thermal'), messages.IMAGE)
        bag.add_topic(RESULTS_TOPIC, messages.HANDS)
        for number, hands in enumerate(told):
            stamp = START + number * PERIOD
            image = messages.image(pixels(camera, number), 'mono16', stamp, camera.frame_id)
            bag.write(image_topic('thermal'), messages.serialised(image), stamp)
            if hands is not None:
                content = hands_message(
                    hands, stamp, frame_id, streams=['thermal'], estimator='made'
                )
                bag.write(RESULTS_TOPIC, messages.serialised(content), stamp + 1000)
    return folder


def test_states_and_scores_become_origins_and_quality(tmp_path):
    told = [
        [hand('left', 'tracked', 0.8), hand('right', 'predicted', 0.4)],
        None,
        [hand('left', 'lost'), hand('right', fitted=False)],
        [hand('left', score=0.3, x=0.9), hand('left', score=0.7), hand('left', score=0.2, x=0.8)],
    ]
    with Session.open(recorded(tmp_path / 'bag', told)) as session:
        labels = live_estimates(session)
    np.testing.assert_array_equal(labels.stamps, START + np.array([0, 2, 3]) * PERIOD)
    np.testing.assert_array_equal(labels.numbers, [0, 2, 3])
    wanted = [[FITTED, INTERPOLATED], [ABSENT, ABSENT], [FITTED, ABSENT]]
    np.testing.assert_array_equal(labels.origin, wanted)
    np.testing.assert_allclose(labels.quality[0], [0.8, 0.4], atol=1e-6)
    np.testing.assert_allclose(labels.quality[2, 0], 0.7, atol=1e-6)
    np.testing.assert_allclose(labels.joints[2, 0], hand('left').joints, atol=1e-9)
    np.testing.assert_allclose(labels.hand_pose[0, 1], 0.2, atol=1e-6)
    assert np.isnan(labels.joints[1]).all()


def test_sessions_without_estimates_or_in_another_frame_are_refused(tmp_path):
    bag = recorded(tmp_path / 'none', [None, None])
    missing = pytest.raises(DataError, match='holds no /hand_pose/hands: record it with')
    with Session.open(bag) as session, missing:
        live_estimates(session)
    bag = recorded(tmp_path / 'other', [[hand('left')]], 'rgb_optical_frame')
    wrong = pytest.raises(DataError, match='are in rgb_optical_frame, not in thermal_optical')
    with Session.open(bag) as session, wrong:
        live_estimates(session)

"""Hand messages: what labels get back of a hand that was told."""

import numpy as np

from hand_pose_ros.bags.messages import HANDS, deserialised, serialised
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.sessions.hand_messages import STATES, enter_hand, hands_message
from hand_pose_ros.sessions.labels import ABSENT, FITTED, SessionLabels

RANDOM = np.random.default_rng(5)
PARAMETERS = HandModelParameters(
    global_orient=RANDOM.normal(size=3), hand_pose=RANDOM.normal(size=(15, 3)),
    betas=RANDOM.normal(size=10), translation=RANDOM.normal(size=3),
)  # fmt: skip


def told(**changes):
    """A hand as it comes out of a bag."""
    hand = HandPose(
        **{'side': 'right', 'track_id': 7, 'state': 'predicted', 'score': 0.5,
           'joints': RANDOM.normal(size=(21, 3)), **changes}
    )  # fmt: skip
    array = hands_message([hand], 123, 'thermal', streams=['thermal'], estimator='made')
    return hand, deserialised(serialised(array), HANDS).hands[0]


def test_a_hand_enters_labels_as_it_was_told():
    hand, message = told(parameters=PARAMETERS)
    labels = SessionLabels.empty(np.array([0, 123]), np.arange(2), 'thermal')
    enter_hand(labels, 1, message, quality=0.25, origin=FITTED)
    np.testing.assert_array_equal(labels.joints[1, 1], hand.joints)
    for name in ('global_orient', 'hand_pose', 'betas', 'translation'):
        wanted = getattr(PARAMETERS, name)
        np.testing.assert_allclose(getattr(labels, name)[1, 1], wanted, rtol=1e-6)
    assert labels.quality.tolist() == [[0.0, 0.0], [0.0, 0.25]]
    assert labels.origin.tolist() == [[ABSENT, ABSENT], [ABSENT, FITTED]]
    assert np.isnan(labels.joints[[0, 0, 1], [0, 1, 0]]).all()


def test_what_a_hand_does_not_have_is_absent():
    _, message = told(state='lost', joints=None)
    assert message.state == STATES['lost'] and not message.has_parameters
    assert all(np.isnan([point.x, point.y, point.z]).all() for point in message.joints)
    assert np.isnan(message.covariance).all() and not len(message.vertices)

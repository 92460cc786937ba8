"""Label bag: hands and masks at the stamps of the images they belong to."""

from functools import partial

import numpy as np
import pytest

from hand_pose_ros.annotation import label_bag
from hand_pose_ros.annotation.label_bag import HANDS_TOPIC, mask_topic, write_label_bag
from hand_pose_ros.bags.images import image_array
from hand_pose_ros.bags.messages import HANDS, IMAGE, deserialised, stamp_of
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import DataError, HandPoseError
from hand_pose_ros.sessions.labels import REJECTED


@pytest.fixture
def bag(session, truth, tmp_path):
    write_label_bag(tmp_path / 'bag', session, truth.with_verdict(3, 1, REJECTED))
    return tmp_path / 'bag'


def messages(bag, topic, kind):
    reader = BagReader(bag)
    try:
        return [deserialised(entry.data, kind) for entry in reader.messages(topic)]
    finally:
        reader.close()


def test_hands_carry_the_labels_at_the_reference_images_stamps(bag, session, truth):
    found = messages(bag, HANDS_TOPIC, HANDS)
    assert [stamp_of(content) for content in found] == session.streams['thermal'].stamps.tolist()
    hands = {hand.side: hand for hand in found[5].hands}
    for side in range(2):
        joints = np.array([(point.x, point.y, point.z) for point in hands[side].joints])
        np.testing.assert_array_equal(joints, truth.joints[5, side])
        assert hands[side].has_parameters
    assert found[5].header.frame_id == 'thermal_optical_frame'
    assert [hand.side for hand in found[3].hands] == [0]


def test_every_camera_has_masks_at_its_own_stamps(bag, session):
    for name, index in session.streams.items():
        masks = messages(bag, mask_topic(name), IMAGE)
        assert [stamp_of(mask) for mask in masks] == [
            int(index.stamps[entry[name]]) for entry in session.sets if name in entry
        ]
        assert {mask.encoding for mask in masks} == {'mono8'}
        assert masks[0].header.frame_id == f'{name}_optical_frame'
    thermal = messages(bag, mask_topic('thermal'), IMAGE)
    assert set(np.unique(image_array(thermal[5]))) == {0, 1, 2}
    assert set(np.unique(image_array(thermal[3]))) == {0, 1}


def test_an_older_bag_is_replaced_only_when_the_new_one_is_complete(session, truth, tmp_path):
    folder = tmp_path / 'bag'
    write_label_bag(folder, session, truth)
    before = sorted(path.name for path in folder.iterdir())

    def fail(row):
        raise HandPoseError('killed')

    with pytest.raises(HandPoseError, match='killed'):
        write_label_bag(folder, session, truth, fail)
    assert len(messages(folder, HANDS_TOPIC, HANDS)) == len(truth.stamps)
    write_label_bag(folder, session, truth)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_a_full_disk_leaves_the_older_bag_and_nothing_half_done(bag, session, truth, monkeypatch):
    monkeypatch.setattr(label_bag, 'BagWriter', partial(BagWriter, reserve=10**18))
    with pytest.raises(DataError, match=r'bag cannot be written \(.*left.*\): free space'):
        write_label_bag(bag, session, truth)
    assert len(messages(bag, HANDS_TOPIC, HANDS)) == len(session.sets)
    assert [path.name for path in bag.parent.iterdir()] == ['bag']

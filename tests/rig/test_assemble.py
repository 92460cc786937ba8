"""Sets of images to rig frames."""

import numpy as np
import pytest

from hand_pose_ros.errors import ImageError
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.rig_file import parse_rig


@pytest.fixture()
def rig(document):
    return parse_rig(document, 'x.yaml')


def image(stamp):
    return StreamImage(image=np.zeros((2, 2), np.uint8), stamp=stamp)


def test_the_reference_camera_gives_stamp_and_frame(rig):
    frame = rig_frame(rig, {'rgb': image(7), 'thermal': image(3)})
    assert (frame.reference, frame.stamp, frame.spread) == ('thermal', 3, 4)
    assert frame.frame_id == 'thermal_optical_frame'
    np.testing.assert_array_equal(frame.T_rig_frame, rig.cameras['thermal'].T_rig_cam)


def test_without_its_image_the_frame_stays_and_the_stamp_is_the_next_modality_s(rig):
    frame = rig_frame(rig, {'rgb': image(7), 'depth': image(5)})
    assert (frame.reference, frame.stamp) == ('depth', 5)
    assert frame.frame_id == 'thermal_optical_frame'
    np.testing.assert_array_equal(frame.T_rig_frame, rig.cameras['thermal'].T_rig_cam)


def test_another_body_s_camera_stands_in_only_where_the_rig_has_none(document):
    document['cameras']['exo_nir'] = {
        'modality': 'nir', 'body': 'exo', 'size': [8, 6], 'intrinsics': [5, 5, 4, 3],
        'T_rig_cam': {'translation': [0, 0, 0], 'quaternion': [0, 0, 0, 1]},
    }  # fmt: skip
    rig = parse_rig(document, 'x.yaml')
    frame = rig_frame(rig, {'exo_nir': image(4), 'rgb': image(7)})
    assert (frame.reference, frame.stamp) == ('rgb', 7)
    assert frame.frame_id == 'thermal_optical_frame'
    alone = rig_frame(rig, {'exo_nir': image(4)})
    assert (alone.reference, alone.stamp) == ('exo_nir', 4)


def test_a_frame_needs_an_image_of_a_known_camera(rig):
    with pytest.raises(ImageError, match='at least one image'):
        rig_frame(rig, {})
    with pytest.raises(ImageError, match="no camera 'lidar', use one of thermal, depth, rgb"):
        rig_frame(rig, {'lidar': image(0)})

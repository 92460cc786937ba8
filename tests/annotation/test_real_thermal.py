"""Real thermal frames of a head camera: both hands are labelled, on warm pixels, the right way."""

import cv2
import numpy as np
import pytest

from hand_pose_ros.annotation.label_masks import LabelledMeshes, image_places, label_mask
from hand_pose_ros.annotation.pipeline import annotate
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cli.offline import reduced_rig
from hand_pose_ros.rig.description import load_rig
from hand_pose_ros.rig.images import fit_size
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.sessions.recorded_rig import RIG_TOPIC, image_topic
from hand_pose_ros.sessions.session import Session

START, PERIOD = 1_700_000_000_000_000_000, 117_647_059


@pytest.fixture(scope='module')
def bag(test_data, tmp_path_factory):
    folder = test_data / 'thermal_egocentric'
    rig = load_rig(folder / 'calibration' / 'ego_calib.json')
    rig = reduced_rig(rig, {'thermal': fit_size(rig.cameras['thermal'], 320, 256)})
    path = tmp_path_factory.mktemp('real') / 'session'
    with BagWriter(path) as writer:
        writer.add_topic(RIG_TOPIC, messages.STRING)
        writer.write(RIG_TOPIC, messages.serialised(messages.text(rig_text(rig))), START)
        writer.add_topic(image_topic('thermal'), messages.IMAGE)
        for number, file in enumerate(sorted((folder / 'frames').glob('*.png'))):
            pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., 0]
            stamp = START + number * PERIOD
            image = messages.image(pixels, 'mono8', stamp, 'thermal_optical_frame')
            writer.write(image_topic('thermal'), messages.serialised(image), stamp)
    return path


def test_both_hands_are_labelled_on_warm_pixels(bag):
    labels = annotate(bag, Settings(threads=1)).labels
    assert labels.usable.all() and len(labels.stamps) == 16
    with Session(bag) as session:
        meshes = LabelledMeshes(labels)
        for row, (number, frame) in enumerate(session.frames()):
            image = frame.streams['thermal'].image
            (place,) = image_places(session, number)
            mask = label_mask(place, meshes.at(row, place.stamp))
            warm = image > (np.median(image) + np.percentile(image, 99)) / 2
            for side in range(2):
                assert warm[mask == side + 1].mean() > 0.85
            columns = [np.nonzero(mask == side + 1)[1].mean() for side in range(2)]
            assert columns[0] < 160 < columns[1]

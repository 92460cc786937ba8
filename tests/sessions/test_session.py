"""Sessions: sets, random and streaming access, other bodies, what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.errors import BagError, DataError, RigError
from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.rig.rig_file import write_rig
from hand_pose_ros.sessions.labels import RIG_FILE, SessionLabels, labels_folder
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.sessions.trajectory import Trajectory, trajectory_file
from tests.sessions.recorded import PERIOD, START, exo_camera, rig, write_session


def number_of(image):
    """The number written into an image by ``recorded.pixels``."""
    value = float(np.ravel(image.image[0, 0])[0])
    if image.image.dtype == np.float32:
        return round(value * 1000) - 200
    return round(value) - (200 if image.image.dtype == np.uint16 else 0)


def test_sets_hold_what_was_seen_together(tmp_path):
    with Session.open(write_session(tmp_path / 'bag')) as session:
        assert session.sets == [{'thermal': n, 'depth': n} for n in range(6)]
        assert session.stamps.tolist() == [START + n * PERIOD for n in range(6)]
        assert session.truth() is None


def test_streaming_and_random_access_give_the_same_frames(tmp_path):
    with Session.open(write_session(tmp_path / 'bag', skip={('depth', 2)})) as session:
        streamed = dict(session.frames())
        assert sorted(streamed) == list(range(6))
        for number, frame in streamed.items():
            single = session.frame(number)
            assert set(single.streams) == set(frame.streams)
            assert single.stamp == frame.stamp == session.stamps[number]
            for name, image in frame.streams.items():
                assert number_of(image) == number
                np.testing.assert_array_equal(image.image, single.streams[name].image)
        assert set(streamed[2].streams) == {'thermal'}


def test_some_frames_and_some_streams_can_be_read(tmp_path):
    with Session.open(write_session(tmp_path / 'bag')) as session:
        frames = dict(session.frames([1, 4], streams=('depth',)))
        assert sorted(frames) == [1, 4]
        assert all(set(frame.streams) == {'depth'} for frame in frames.values())
        assert [number_of(frames[n].streams['depth']) for n in (1, 4)] == [1, 4]
        with pytest.raises(DataError, match='set 0 has no image'):
            session.frame(0, streams=())


def test_constant_offsets_are_taken_off(tmp_path):
    description = rig()
    late = {'depth': 20_000_000}
    cameras = dict(description.cameras)
    cameras['depth'] = replace(cameras['depth'], time_offset=20_000_000)
    given = RigDescription(name='late', cameras=cameras)
    with Session.open(write_session(tmp_path / 'bag', given, late=late)) as session:
        frame = session.frame(3)
        assert frame.spread == 1_000_000
        assert number_of(frame.streams['depth']) == number_of(frame.streams['thermal']) == 3


def with_exo():
    cameras = dict(rig().cameras) | {'exo_rgb': exo_camera()}
    return RigDescription(name='two views', cameras=cameras)


def test_images_of_another_body_carry_its_pose_at_their_stamp(tmp_path):
    bag = write_session(tmp_path / 'bag', with_exo())
    stamps = START + np.array([-PERIOD, 8 * PERIOD])
    poses = np.array([rigid(np.eye(3), [x, 0.0, 1.0]) for x in (0.0, 0.9)])
    steps = np.linspace(0, 1, 37)
    track = Trajectory(
        body='exo',
        stamps=(stamps[0] + steps * (stamps[1] - stamps[0])).astype(np.int64),
        T_rig_body=np.array([poses[0] + s * (poses[1] - poses[0]) for s in steps]),
    )
    track.save(trajectory_file(bag))
    with Session.open(bag) as session:
        assert session.sets[4] == {'thermal': 4, 'depth': 4, 'exo_rgb': 4}
        image = session.frame(4).streams['exo_rgb']
        share = (image.stamp - stamps[0]) / (stamps[1] - stamps[0])
        assert image.T_rig_cam[0, 3] == pytest.approx(0.9 * share, abs=1e-6)
        np.testing.assert_array_equal(session.T_rig_cam('exo_rgb', image.stamp), image.T_rig_cam)
        own = session.rig.cameras['depth'].T_rig_cam
        np.testing.assert_array_equal(session.T_rig_cam('depth', image.stamp), own)


def test_where_the_bodys_motion_is_not_known_there_is_no_pose(tmp_path):
    bag = write_session(tmp_path / 'bag', with_exo())
    only = Trajectory(body='exo', stamps=np.array([START - 10**10]), T_rig_body=np.eye(4)[None])
    with Session.open(bag, trajectory=only) as session:
        assert session.T_rig_cam('exo_rgb', START) is None
        assert np.isnan(session.image('exo_rgb', 0).T_rig_cam).all()


def test_without_a_trajectory_the_other_body_is_left_out(tmp_path):
    with Session.open(write_session(tmp_path / 'bag', with_exo())) as session:
        assert set(session.streams) == {'thermal', 'depth'}


def test_a_given_rig_replaces_the_recorded_one(tmp_path):
    bag = write_session(tmp_path / 'bag')
    write_rig(rig(name='calibrated'), tmp_path / 'rig.yaml')
    with Session.open(bag, tmp_path / 'rig.yaml') as session:
        assert session.rig.name == 'calibrated'


def test_a_bag_without_rig_asks_for_one(tmp_path):
    bag = write_session(tmp_path / 'bag', rig_inside=False)
    with pytest.raises(RigError, match=r'holds no /rig_description: name the rig .*--rig'):
        Session.open(bag)


def test_a_bag_without_images_of_the_rig_is_refused(tmp_path):
    bag = write_session(tmp_path / 'bag', frames=0)
    with pytest.raises(BagError, match='no images on /thermal/image_raw'):
        Session.open(bag)


def test_a_bag_that_tells_the_bodys_motion_on_tf_needs_no_file(tmp_path):
    description = with_exo()
    poses = [rigid(np.eye(3), [0.01 * number, 0.0, 1.0]) for number in range(6)]
    bag = write_session(tmp_path / 'bag', description, body_poses=poses)
    with Session.open(bag) as session:
        for number in range(6):
            image = session.frame(number).streams['exo_rgb']
            assert image.T_rig_cam[0, 3] == pytest.approx(0.01 * number)


def test_a_session_annotated_with_another_rig_is_read_with_it(tmp_path):
    bag = write_session(tmp_path / 'bag')
    labels_folder(bag).mkdir()
    write_rig(rig(name='calibrated'), labels_folder(bag) / RIG_FILE)
    with Session.open(bag) as session:
        assert session.rig.name == 'calibrated'
    write_rig(rig(name='newer'), tmp_path / 'newer.yaml')
    with Session.open(bag, tmp_path / 'newer.yaml') as session:
        assert session.rig.name == 'newer'


@pytest.mark.parametrize('numbers', [[1, 3], []])
def test_labels_lie_beside_the_bag(tmp_path, numbers):
    with Session.open(write_session(tmp_path / 'bag')) as session:
        stamps = session.stamps[np.array(numbers, int)]
        SessionLabels.empty(stamps, np.array(numbers, int), 'thermal').save(
            labels_folder(session.path)
        )
        assert session.labels().numbers.tolist() == numbers


@pytest.mark.parametrize(('number', 'late'), [(1, 5), (6, 0), (-1, 0)])
def test_labels_of_another_recording_are_refused(tmp_path, number, late):
    with Session.open(write_session(tmp_path / 'bag')) as session:
        stamps = session.stamps[[number % 6]] + late
        SessionLabels.empty(stamps, np.array([number]), 'thermal').save(labels_folder(session.path))
        with pytest.raises(DataError, match=r'labels of another recording than .*bag: annotate'):
            session.labels()


def test_a_session_without_labels_or_exact_hands_says_so(tmp_path):
    with Session.open(write_session(tmp_path / 'bag')) as session:
        with pytest.raises(DataError, match='hand-pose annotate'):
            session.labels()
        with pytest.raises(DataError, match='has no exact hands: only simulated sessions do'):
            session.labels(truth=True)

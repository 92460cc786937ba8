"""Recording a rig without ROS: what is in the bag, drops, stopping, failing drivers."""

import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from hand_pose_ros.bags.messages import CAMERA_INFO, TRANSFORMS, deserialised
from hand_pose_ros.bags.queued_writer import QueuedWriter
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cameras import direct_recording
from hand_pose_ros.cameras.direct_recording import DirectRecording
from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.description import load_rig
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.simulation.rig import SimulatedRig

START = 1_700_000_000_000_000_000


def small_rig(repository, **options):
    rig = load_rig(repository / 'config' / 'simulated_two_view_rig.yaml')
    options = {'offline': True, 'start': START, 'scenario': 'normal', **options}
    cameras = {
        name: replace(rig.cameras[name], driver_options=options)
        for name in ('thermal', 'exo_depth')
    }
    synchronizer = replace(rig.synchronizer, streams=('thermal',))
    return replace(rig, cameras=cameras, synchronizer=synchronizer)


def record(rig, folder, duration=0.3):
    with BagWriter(folder) as writer:
        recording = DirectRecording(rig=rig, writer=writer, duration=duration)
        recording.run()
    return recording


def test_the_bag_is_a_session_with_rig_images_truth_and_the_bodys_motion(repository, tmp_path):
    rig = small_rig(repository)
    record(rig, tmp_path / 'bag')
    simulation = SimulatedRig(rig, scenario='normal')
    with Session.open(tmp_path / 'bag') as session:
        assert session.rig.name == rig.name
        frame = session.frame(4)
        thermal, exo = frame.streams['thermal'], frame.streams['exo_depth']
        np.testing.assert_array_equal(thermal.image, simulation.render('thermal', thermal.stamp))
        np.testing.assert_allclose(
            exo.T_rig_cam, simulation.T_rig_cam('exo_depth', exo.stamp), atol=1e-9
        )
        truth = session.truth()
        exact = simulation.truth(thermal.stamp)
        for side, hand in enumerate(exact):
            if hand.state == 'tracked':
                np.testing.assert_allclose(truth.joints[4, side], hand.joints, atol=1e-12)
                np.testing.assert_allclose(
                    truth.hand_pose[4, side], hand.parameters.hand_pose, atol=1e-6
                )


def test_calibration_is_told_beside_the_images(repository, tmp_path):
    rig = small_rig(repository)
    record(rig, tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        info = deserialised(next(reader.messages('/thermal/camera_info')).data, CAMERA_INFO)
        camera = rig.cameras['thermal'].camera
        np.testing.assert_array_equal(np.reshape(info.k, (3, 3)), camera.intrinsics)
        np.testing.assert_array_equal(info.d, camera.distortion)
        told = deserialised(next(reader.messages('/tf_static')).data, TRANSFORMS).transforms
        parents = {entry.child_frame_id: entry.header.frame_id for entry in told}
        assert parents == {
            'thermal_optical_frame': 'head_rig', 'exo_depth_optical_frame': 'exo'
        }  # fmt: skip
        counts = reader.counts
        assert counts['/thermal/image_raw'] == counts['/thermal/camera_info'] > 5


def test_images_that_the_camera_lost_are_counted(repository, tmp_path):
    recording = record(small_rig(repository, drop=0.3), tmp_path / 'bag', duration=1.0)
    count = recording.counts['thermal']
    assert count.lost > 0
    assert count.images + count.lost == pytest.approx(30, abs=2)


def test_a_live_recording_can_be_stopped(repository, tmp_path):
    rig = small_rig(repository, offline=False, start=0)
    enough = threading.Event()
    with BagWriter(tmp_path / 'bag') as writer:
        recording = DirectRecording(rig=rig, writer=writer)

        def progress(seconds):
            if seconds > 0.2:
                enough.set()
                recording.stop()

        recording.run(progress)
    assert enough.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.endswith('camera')]
    with Session.open(tmp_path / 'bag') as session:
        assert len(session.sets) >= 2


def test_a_driver_that_cannot_open_keeps_the_bag_readable(repository, tmp_path):
    rig = small_rig(repository)
    broken = replace(
        rig.cameras['exo_depth'], driver='image_folder', driver_options={'path': '/nowhere'}
    )
    rig = replace(rig, cameras={**rig.cameras, 'exo_depth': broken})
    with pytest.raises(CameraError, match='/nowhere'):
        record(rig, tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        assert sum(reader.counts.values()) == 0


class LiveDriver:
    """Images as fast as they are taken, stamped with now."""

    live = True
    camera = None

    def __init__(self, camera, rig):
        self._closed = threading.Event()

    def open(self):
        pass

    def samples(self):
        image = np.zeros((6, 8), np.uint16)
        while not self._closed.is_set():
            yield CameraSample(image=image, encoding='mono16', stamp=time.time_ns())

    def close(self):
        self._closed.set()


def test_a_disk_too_slow_for_live_cameras_drops_and_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(direct_recording, 'create', LiveDriver)
    monkeypatch.setattr(direct_recording, 'QueuedWriter', partial(QueuedWriter, capacity=2000))
    cameras = {'thermal': CameraDescription(name='thermal', modality='thermal')}
    with BagWriter(tmp_path / 'bag') as writer:
        recording = DirectRecording(rig=RigDescription(name='one', cameras=cameras), writer=writer)
        write, go = writer.write, threading.Event()
        monkeypatch.setattr(writer, 'write', lambda *message: go.wait(20) and write(*message))

        def enough(_):
            if recording.counts['thermal'].images >= 50:
                recording.stop()
                go.set()

        recording.run(enough)
    count = recording.counts['thermal']
    assert count.dropped > 20
    assert count.images == writer.counts['/thermal/image_raw']
    text = (tmp_path / 'bag' / 'metadata.yaml').read_text()
    assert f"dropped:/thermal/image_raw: '{count.dropped}'" in text


def test_a_full_disk_ends_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(direct_recording, 'create', LiveDriver)
    cameras = {'thermal': CameraDescription(name='thermal', modality='thermal')}
    with BagWriter(tmp_path / 'bag', reserve=2**62) as writer:
        DirectRecording(rig=RigDescription(name='one', cameras=cameras), writer=writer).run()
        assert writer.ending is not None

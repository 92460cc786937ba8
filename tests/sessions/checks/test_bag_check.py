"""Each thing that can be wrong with a session is found, and a good one is called good."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from recorded import PERIOD, START, rig

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import BagError
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.sessions.checks.bag_check import check_bag
from hand_pose_ros.sessions.checks.page import page
from hand_pose_ros.sessions.checks.stream_times import LossCounter
from hand_pose_ros.sessions.recorded_rig import RIG_TOPIC, image_topic, info_topic

pytest.importorskip('rclpy', reason='needs the interfaces of ROS 2')
DEPTH_LATE = 1_000_000


def record(folder, *, frames=40, skip=(), stamp=lambda name, number, stamp: stamp,
           pixels=lambda name, number, image: image, note=(), described=None,
           inside=True):  # fmt: skip
    """A session of two cameras whose stamps and pixels can be spoilt."""
    description = described or rig()
    with BagWriter(folder) as bag:
        bag.add_topic(RIG_TOPIC, messages.STRING)
        if inside:
            text = messages.serialised(messages.text(rig_text(description)))
            bag.write(RIG_TOPIC, text, START)
        bag.add_topic('/tf_static', messages.TRANSFORMS)
        poses = [
            messages.transform(camera.T_rig_cam, description.rig_frame, camera.frame_id, START)
            for camera in description.cameras.values()
        ]
        bag.write('/tf_static', messages.serialised(messages.transforms(poses)), START)
        for name in description.cameras:
            bag.add_topic(image_topic(name), messages.IMAGE)
            bag.add_topic(info_topic(name), messages.CAMERA_INFO)
        for number in range(frames):
            for place, (name, camera) in enumerate(description.cameras.items()):
                if (name, number) in skip:
                    continue
                true = START + number * PERIOD + place * DEPTH_LATE
                generator = np.random.default_rng(number)
                image = generator.integers(3000, 4000, camera.size[::-1], np.uint16)
                image = pixels(name, number, image)
                told = stamp(name, number, true)
                content = messages.image(image, camera.encoding, told, camera.frame_id)
                bag.write(image_topic(name), messages.serialised(content), true + 4_000_000)
                info = messages.camera_info(camera.camera, camera.size, told, camera.frame_id)
                bag.write(info_topic(name), messages.serialised(info), true + 4_000_000)
        for name, value in note:
            bag.note(name, value)
    return check_bag(folder)


def said(check, subject, words):
    return any(finding.subject == subject and words in finding.text for finding in check.findings)


def test_a_good_session(tmp_path):
    check = record(tmp_path / 'bag')
    assert (check.findings, check.exit_status, check.rig) == ([], 0, 'small')
    thermal = check.streams['thermal'].times
    assert (thermal.messages, thermal.lost, thermal.gaps) == (40, 0, [])
    assert thermal.rate == pytest.approx(30, rel=1e-3)
    assert thermal.latency_ms == pytest.approx(4) and thermal.jitter_ms < 0.01
    assert check.synchronisation.sets == 40 and check.synchronisation.partial == 0
    assert check.synchronisation.spread_ms == pytest.approx((1.0, 1.0, 1.0))
    json.dumps(check.as_dict(), allow_nan=False)


def test_losses(tmp_path):
    check = record(tmp_path / 'bag', skip=[('thermal', 7), ('thermal', 8), ('depth', 20)])
    assert check.exit_status == 3
    assert check.streams['thermal'].times.lost == 2
    ((stamp, seconds),) = check.streams['thermal'].times.gaps
    assert stamp == START + 6 * PERIOD and seconds == pytest.approx(0.1)
    assert said(check, 'depth', '1 images (2.5 %) are missing')


def test_late_images_are_not_lost():
    steady = LossCounter(period=10)
    for stamp in (100, 110, 141, 142, 143, 150, 160):
        steady.add(stamp)
    assert steady.lost == 0
    lossy = LossCounter(period=10)
    for stamp in (100, 110, 141, 142, 150, 160, 180):
        lossy.add(stamp)
    assert lossy.lost == 2


@pytest.mark.parametrize(
    ('spoilt', 'status', 'subject', 'words'),
    [
        (lambda name, n, stamp: 0 if name == 'depth' else stamp, 1, 'depth', 'no stamp (0)'),
        (lambda name, n, stamp: stamp - 2 * 3600 * 10**9 if name == 'depth' else stamp,
         1, 'depth', '2.00 h before'),
        (lambda name, n, stamp: stamp - 3 * 3600 * 10**9, 0, '', '3.00 h after'),
        (lambda name, n, stamp: stamp - (4 * PERIOD if n == 30 else 0), 0, 'thermal', 'backwards'),
        (lambda name, n, stamp: START + 2 * (stamp - START), 3, 'thermal', 'are missing'),
        (lambda name, n, stamp: stamp - (PERIOD if n % 2 and name == 'depth' else 0),
         None, 'depth', 'stamp of the one before'),
    ],
)  # fmt: skip
def test_clocks(tmp_path, spoilt, status, subject, words):
    check = record(tmp_path / 'bag', stamp=spoilt)
    assert said(check, subject, words), check.findings
    assert status is None or check.exit_status == status


@pytest.mark.parametrize(
    ('spoilt', 'subject', 'words'),
    [
        (lambda name, n, image: image * 0 if 10 <= n < 16 else image, 'thermal', 'bit for bit'),
        (lambda name, n, image: image + (4000 if n >= 20 else 0), 'thermal', 'jumps 1 times'),
        (lambda name, n, image: image * 0 + 65500 + n % 7, 'thermal', '100 % of the images are ov'),
        (lambda name, n, image: np.where(image > 3100, 0, image), 'depth', 'hardly have a valid'),
    ],
)
def test_images(tmp_path, spoilt, subject, words):
    check = record(
        tmp_path / 'bag', pixels=lambda *given: np.asarray(spoilt(*given)).astype(np.uint16)
    )
    assert said(check, subject, words), check.findings
    assert check.exit_status == 0


def test_a_freeze_is_measured(tmp_path):
    check = record(
        tmp_path / 'bag',
        pixels=lambda name, n, image: image * 0 if name == 'thermal' and 10 <= n < 16 else image,
    )
    ((stamp, count, seconds),) = check.streams['thermal'].images.frozen
    assert (stamp, count) == (START + 10 * PERIOD, 5) and seconds == pytest.approx(5 / 30, rel=1e-3)
    assert check.streams['depth'].images.frozen == []


def test_what_the_recorder_noted(tmp_path):
    notes = [('dropped:/thermal/image_raw', '12'), ('ended', 'the disk is full at 5')]
    check = record(tmp_path / 'bag', note=notes)
    assert check.exit_status == 3
    assert said(check, '/thermal/image_raw', 'dropped 12 messages')
    assert said(check, '', 'the disk is full')


def test_what_is_missing(tmp_path):
    uncalibrated = {name: replace(camera, camera=None) for name, camera in rig().cameras.items()}
    described = rig(cameras=uncalibrated)
    check = record(tmp_path / 'a', described=described)
    assert said(check, 'thermal', 'calibrate the camera')
    check = record(tmp_path / 'b', inside=False)
    assert said(check, '', '/rig_description') and check.rig == ''
    assert set(check.streams) == {'/thermal/image_raw', '/depth/image_raw'}
    skipped = [('depth', number) for number in range(40)]
    check = record(tmp_path / 'c', skip=skipped)
    assert said(check, 'depth', 'there is no image') and check.exit_status == 3
    with BagWriter(tmp_path / 'd'):
        pass
    check = check_bag(tmp_path / 'd')
    assert check.exit_status == 1 and said(check, '', 'empty')
    with pytest.raises(BagError, match='does not exist'):
        check_bag(tmp_path / 'none')


def test_damage_is_found_where_it_is(tmp_path):
    record(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'bag_0.mcap'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    check = check_bag(tmp_path / 'bag')
    assert check.damaged and check.exit_status in (1, 3)


def test_the_page_shows_what_was_found(tmp_path):
    record(tmp_path / 'bag', skip=[('thermal', 7)])
    shutil.move(tmp_path / 'bag', tmp_path / '<b>bag')
    text = page(check_bag(tmp_path / '<b>bag'))
    assert '1 images (2.5 %) are missing' in text and '<b>bag' not in text
    assert text.count('data:image/png;base64,') == 4
    assert 'http' not in text.split('base64')[0]

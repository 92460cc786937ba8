"""The page is served, on this machine only, and its scene holds what it was given."""

import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

viser = pytest.importorskip('viser', reason='the browser view needs viser')

from hand_pose_ros.cli.common import CommandError
from hand_pose_ros.cli.view_feed import ViewFeed
from hand_pose_ros.cli.viewer import ViewedHand, ViewedStatus, Viewer, panel_text
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.description import find_rig
from tests.cli import hands

STATUS = ViewedStatus(rate=29.9, latency=0.041, spread=0.004, streams=('thermal', 'depth'))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@pytest.fixture(scope='module')
def rig():
    return find_rig('simulated_head_rig')


@pytest.fixture
def viewer(rig):
    page = Viewer(rig, port=free_port())
    yield page
    page.close()


def viewed(side='left', **changes):
    data = load_hand_model(side)
    values = {
        'side': side, 'state': 'tracked', 'score': 0.93, 'sigma': 0.006,
        'joints': hands.open_hand(), 'vertices': data.v_template + np.array([0.4, 0.1, -0.2]),
    }  # fmt: skip
    return ViewedHand(**{**values, **changes})


def give_faces(viewer):
    viewer.set_topology({s: np.asarray(load_hand_model(s).faces) for s in ('left', 'right')})


def test_the_page_is_served_on_this_machine_only(viewer):
    with urllib.request.urlopen(viewer.url, timeout=10) as answer:
        assert answer.status == 200 and b'<html' in answer.read().lower()
    assert viewer.url.startswith('http://127.0.0.1:')
    assert viewer.server.get_host() == '127.0.0.1'


def test_every_calibrated_camera_has_a_frustum_in_its_place(viewer, rig):
    assert set(viewer._frusta) == set(rig.cameras)
    for name, camera in rig.cameras.items():
        frustum = viewer._frusta[name]
        assert frustum.position == pytest.approx(camera.T_rig_cam[:3, 3])
        assert frustum.aspect == pytest.approx(camera.size[0] / camera.size[1])


def test_hands_come_and_go(viewer):
    give_faces(viewer)
    viewer.show_hands([viewed('left'), viewed('right')], STATUS)
    assert viewer._meshes['left'].vertices.shape[1] == 3 and viewer._meshes['left'].visible
    assert viewer._bones['right'].points.shape == (20, 2, 3)
    moved = viewed('left', vertices=viewed('left').vertices + 0.1)
    viewer.show_hands([moved, viewed('right', state='lost')], STATUS)
    assert np.allclose(viewer._meshes['left'].vertices, moved.vertices, atol=1e-6)
    assert not viewer._meshes['right'].visible and not len(viewer._bones['right'].points)


def test_images_are_in_the_panel_and_the_frustum(viewer, rig):
    image = np.full((48, 64, 3), 90, np.uint8)
    viewer.show_image('rgb', image)
    viewer.show_image('rgb', image + 1)
    assert np.array_equal(viewer._frusta['rgb'].image, image + 1)
    assert np.array_equal(viewer._images['rgb'].image, image + 1)
    assert list(viewer._images) == list(rig.cameras)


def test_a_taken_port_is_a_sentence(viewer, rig):
    with pytest.raises(CommandError, match=r'port \d+ on 127.0.0.1 .* choose another --port'):
        Viewer(rig, port=int(viewer.url.rsplit(':', 1)[1]))


def test_the_panel_says_state_score_and_rate():
    text = panel_text({'left': viewed('left', state='predicted')}, STATUS)
    assert '| left | predicted | 0.93 | 6.0 mm |' in text and '| right | not seen |' in text
    assert '29.9 poses/s, latency 41 ms, spread 4.0 ms' in text


def test_messages_arrive_in_the_rig_frame(rig):
    recorded = pytest.importorskip('tests.evaluation.recorded')
    shown = {}
    page = SimpleNamespace(
        show_hands=lambda hands, status: shown.update(hands=list(hands), status=status)
    )
    feed = ViewFeed(rig, page)
    joints = hands.open_hand()
    for index in range(3):
        message = recorded.array_message(
            index * 33_333_333, [recorded.hand_message('right', joints, sigma=0.01)]
        )
        feed.hands(message, index * 33_333_333 + 40_000_000)
    (hand,) = shown['hands']
    T = rig.cameras['thermal'].T_rig_cam
    assert np.allclose(hand.joints, joints @ T[:3, :3].T + T[:3, 3])
    assert (hand.side, hand.state) == ('right', 'tracked')
    assert hand.sigma == pytest.approx(0.01, rel=1e-3)
    assert shown['status'].rate == pytest.approx(30.0, rel=1e-3)
    assert shown['status'].latency == pytest.approx(0.04)
    feed.hands(recorded.array_message(10**9, [], frame_id='elsewhere'), 0)
    assert any('elsewhere' in sentence for sentence in feed.refused)


def test_images_that_do_not_fit_the_rig_are_remembered_not_fatal(rig):
    shown = []
    feed = ViewFeed(rig, SimpleNamespace(show_image=lambda *a: shown.append(a)))
    small = np.zeros((4, 4), np.uint16)
    message = SimpleNamespace(
        height=4, width=4, encoding='mono16', is_bigendian=0, step=8, data=small.tobytes()
    )
    feed.image('thermal', message)
    assert not shown and any('4x4' in sentence for sentence in feed.refused)
    full = np.zeros((256, 320), np.uint16)
    message = SimpleNamespace(
        height=256, width=320, encoding='mono16', is_bigendian=0, step=640, data=full.tobytes()
    )
    feed.image('thermal', message)
    assert shown[0][0] == 'thermal' and shown[0][1].shape == (256, 320, 3)


@pytest.mark.skipif(not shutil.which('chromium'), reason='no chromium for a screenshot')
def test_the_screenshot_shows_both_hands(viewer, tmp_path: Path):
    give_faces(viewer)
    offset = np.array([0.0, -0.25, 0.0])
    right = viewed('right', vertices=viewed('right').vertices + offset)
    viewer.show_hands([viewed('left'), right], STATUS)
    picture = tmp_path / 'page.png'
    flags = [
        '--headless', '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-sync',
        '--disable-background-networking', '--disable-component-update', '--use-gl=angle',
        '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist',
        f'--user-data-dir={tmp_path / "profile"}', '--window-size=900,600',
        '--virtual-time-budget=12000', '--timeout=40000', f'--screenshot={picture}',
    ]  # fmt: skip
    subprocess.run(['chromium', *flags, viewer.url], timeout=90, capture_output=True, check=False)
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB).astype(int)
    blue = (image[..., 2] - image[..., 0] > 60) & (image[..., 2] > 120)
    orange = (image[..., 0] - image[..., 2] > 80) & (image[..., 0] > 150)
    scene = slice(None), slice(0, 560)
    assert blue[scene].sum() > 200 and orange[scene].sum() > 200

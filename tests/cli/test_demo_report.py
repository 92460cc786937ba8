"""The demo's report from a made-up run."""

import re

import cv2
import numpy as np
import pytest

from hand_pose_ros.bags.schemas import message_text
from hand_pose_ros.errors import BagError

try:
    message_text('hand_pose_ros/msg/HandPose3DArray')
except BagError as missing:
    pytest.skip(f'no message files here: {missing}', allow_module_level=True)

from hand_pose_ros.cli.common import CommandError
from hand_pose_ros.cli.demo_report import json_results, write_report
from hand_pose_ros.cli.demo_views import View, best_moment, draw_view, nearest
from hand_pose_ros.evaluation.live_run import read_run
from hand_pose_ros.evaluation.live_summary import summarise_run
from hand_pose_ros.rig.description import find_rig
from tests.evaluation import recorded


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    bag = recorded.write_run(tmp_path_factory.mktemp('demo') / 'bag', offset=0.004)
    return read_run(bag, '/hand_pose/hands', '/thermal/ground_truth')


def test_the_page_needs_nothing_from_outside(run, tmp_path):
    views = [View(camera=name, image=np.full((48, 64, 3), 80, np.uint8)) for name in 'abcd']
    page, picture = write_report(
        tmp_path / 'out', run, summarise_run(run), views, {'rig': '<script>x</script>'}
    )
    text = page.read_text()
    loaded = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', text)
    assert loaded == [] and 'url(http' not in text
    assert text.count('data:image/jpeg;base64,') == 4 and text.count('<svg') == 2
    assert '<script' not in text and '&lt;script&gt;' in text
    assert '4.0 mm' in text
    assert cv2.imread(str(picture)).shape[1] == 1300


def test_figures_without_a_value_are_null(run):
    results = json_results(summarise_run(run), {'rig': 'x'})
    assert results['right']['mepe_mm'] is None
    assert results['left']['mepe_mm'] == pytest.approx(4.0, abs=0.01)
    assert results['facts'] == {'rig': 'x'}


def test_a_folder_that_cannot_be_written_is_a_sentence(run, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(CommandError, match='cannot be written'):
        write_report(tmp_path / 'file', run, summarise_run(run), [], {})


def test_the_moment_shown_has_images_of_every_camera(run):
    stamps = [entry.stamp for entry in run.results]
    chosen = best_moment(run, {'thermal': stamps[:9], 'depth': stamps[7:12]}, 'thermal')
    assert chosen in stamps[7:9]
    assert best_moment(run, {'thermal': [5], 'depth': []}, 'thermal') == 5
    assert best_moment(run, {'thermal': [], 'depth': stamps}, 'thermal') is None
    assert nearest([0, 40_000_000], 30_000_000) == 40_000_000
    assert nearest([0], 30_000_000) is None


def test_the_drawn_hand_is_where_the_joints_are(run):
    rig = find_rig('simulated_head_rig')
    camera = rig.cameras['thermal']
    stamp = run.results[5].stamp
    image = draw_view(rig, camera, np.zeros((256, 320, 3), np.uint8), stamp, run)
    assert image.shape == (512, 640, 3)
    pixels = camera.camera.project(run.joints('left')[5])
    u, v = (pixels[0] + 0.5) * 2 - 0.5
    assert image[round(v) - 4 : round(v) + 5, round(u) - 4 : round(u) + 5].any()

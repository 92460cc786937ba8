"""Calibration of one camera: lens models, bad views, coefficients that the data support."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.calibration.intrinsics import calibrate_camera
from hand_pose_ros.calibration.projection import parameters
from hand_pose_ros.geometry.camera import Camera
from tests.calibration.boards import TARGET, head_rig, sightings


def views(camera=None, **options):
    rig = head_rig('thermal') if camera is None else head_rig('nir', camera=camera, size=(640, 480))
    found = sightings(rig, span=0, **options)[0]
    return [sighting.detection for sighting in found], next(iter(rig.cameras.values())).camera


def test_a_strongly_distorting_lens_without_any_first_guess():
    seen, true = views()
    found = calibrate_camera(seen, (320, 256), TARGET)
    assert np.abs(parameters(found.camera)[:2] / parameters(true)[:2] - 1).max() < 0.005
    assert found.camera.distortion[0] == pytest.approx(-0.3755, abs=0.01)
    assert np.all(found.camera.distortion[2:] == 0), 'nothing supports more than k1 and k2'
    assert not found.rejected


def test_a_bad_view_is_found_and_left_out():
    seen, true = views()
    twisted = seen[4].pixels.copy()
    twisted[::3] += 3.0
    seen[4] = replace(seen[4], pixels=twisted)
    found = calibrate_camera(seen, (320, 256), TARGET)
    assert list(found.rejected) == [4]
    assert np.abs(parameters(found.camera)[:2] / parameters(true)[:2] - 1).max() < 0.005


def test_tangential_terms_are_freed_when_the_views_show_them():
    K = np.array([[460.0, 0, 330], [0, 460, 240], [0, 0, 1]])
    lens = np.array([0.1, -0.2, 0.01, -0.012, 0.0])
    seen, _ = views(Camera(width=640, height=480, intrinsics=K, distortion=lens))
    found = calibrate_camera(seen, (640, 480), TARGET)
    assert {6, 7} <= set(found.free)
    assert np.allclose(found.camera.distortion[2:4], lens[2:4], atol=0.002)


def test_a_fisheye_lens():
    K = np.array([[280.0, 0, 322], [0, 281, 238], [0, 0, 1]])
    lens = np.array([0.03, -0.01, 0.002, 0.0])
    true = Camera(width=640, height=480, intrinsics=K, distortion=lens,
                  distortion_model='equidistant')  # fmt: skip
    seen, _ = views(true)
    found = calibrate_camera(seen, (640, 480), TARGET, 'equidistant')
    assert found.camera.distortion_model == 'equidistant'
    assert np.abs(parameters(found.camera)[:2] / parameters(true)[:2] - 1).max() < 0.005
    assert found.free == tuple(range(8))

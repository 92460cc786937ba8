"""Selection of images, time offsets by motion, the check of depth."""

import numpy as np
import pytest

from hand_pose_ros.calibration.depth_check import depth_scale, plane_depths
from hand_pose_ros.calibration.recording import Stream, each
from hand_pose_ros.calibration.selection import plan
from hand_pose_ros.calibration.time_offset import motion_offset
from hand_pose_ros.geometry.transforms import rigid
from tests.calibration.boards import TARGET, head_rig

SECOND = 1_000_000_000


def stream(phase=0, late=0, seed=0, seconds=20, gain=1.0):
    """Images at 30 Hz of something that now and then moves."""
    stamps = np.arange(int(seconds * 30)) * 33_333_333 + phase
    generator = np.random.default_rng(seed)
    knots = np.abs(np.random.default_rng(5).normal(size=int(seconds * 5)))
    middles = (stamps[1:] + stamps[:-1]) / 2e9
    motion = gain * np.interp(middles, np.arange(len(knots)) / 5, knots)
    motion = np.append(0, motion + np.abs(generator.normal(0, 0.02, len(motion))))
    return Stream(stamps=(stamps + late).astype(np.int64), motion=motion)


@pytest.mark.parametrize('late', [0, 7_000_000, 130_000_000, -400_000_000])
def test_a_late_stream_is_noticed_by_its_motion(late):
    found, correlation = motion_offset(stream(11_000_000, late, seed=1, gain=0.2), stream())
    assert found == pytest.approx(late * 1e-9, abs=0.012)
    assert correlation > 0.8


def test_streams_without_common_motion_have_no_offset():
    generator = np.random.default_rng(1)
    other = Stream(stamps=stream().stamps, motion=generator.uniform(size=600))
    assert motion_offset(other, stream())[0] == 0.0


def test_images_are_chosen_around_moments_on_the_reference_clock():
    streams = {'a': stream(), 'b': stream(5_000_000, 200_000_000)}
    chosen = plan(streams, {'a': 0.0, 'b': 0.2}, 24)
    assert len(chosen.stamps) == 24
    assert sum(chosen.still) == 16
    assert np.all(np.diff(chosen.stamps) > 0)
    for name, late in (('a', 0), ('b', 200_000_000)):
        for stamp, moment in chosen.images[name].items():
            assert abs(stamp - late - chosen.stamps[moment]) <= 60_000_000
        assert len(chosen.images[name]) >= 2.5 * 24, 'three images a moment, but for neighbours'


def test_still_moments_are_where_the_motion_is_least():
    motion = np.ones(600)
    motion[300:310] = 0.01
    one = Stream(stamps=stream().stamps, motion=motion)
    chosen = plan({'a': one}, {'a': 0.0}, 2)
    assert (
        300 <= int(np.argmin(np.abs(one.stamps - chosen.stamps[0]))) <= 310
        or 300 <= int(np.argmin(np.abs(one.stamps - chosen.stamps[1]))) <= 310
    )


def test_threads_keep_the_order():
    assert list(each(lambda x: x * x, ((k,) for k in range(50)), threads=4)) == [
        k * k for k in range(50)
    ]


def test_depth_of_the_target_is_compared_pixel_by_pixel():
    camera = head_rig('nir').cameras['nir'].camera
    pairs = []
    for distance in (0.4, 0.5, 0.7, 0.8):
        pose = rigid(np.eye(3), np.array([-0.1, -0.06, distance]))
        depth = np.full((480, 640), np.float32(1.02 * distance + 0.004))
        depth[:, 300:310] = np.nan
        pairs.append(plane_depths(depth, camera, pose, TARGET))
        assert pairs[-1][0] == pytest.approx(distance)
    found = depth_scale(pairs)
    assert found.scale == pytest.approx(1.02, abs=1e-5)
    assert found.bias == pytest.approx(0.004, abs=1e-5)
    alike = depth_scale([(0.5, 0.51), (0.55, 0.561), (0.52, 0.5304)])
    assert alike.bias is None
    assert alike.scale == pytest.approx(1.02)
    assert depth_scale(pairs[:2]) is None


def test_a_target_out_of_view_has_no_depth():
    camera = head_rig('nir').cameras['nir'].camera
    pose = rigid(np.eye(3), np.array([-0.1, -0.06, 0.5]))
    nothing = np.full((480, 640), np.nan, np.float32)
    assert plane_depths(nothing, camera, pose, TARGET) is None
    behind = rigid(np.eye(3), np.array([0, 0, -0.5]))
    assert plane_depths(np.ones((480, 640), np.float32), camera, behind, TARGET) is None

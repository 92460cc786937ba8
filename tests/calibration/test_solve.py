"""Joint calibration: exact on projections, robust to bad images, honest about bad recordings."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.projection import parameters
from hand_pose_ros.calibration.solve import Request, solve
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.transforms import inverse, rigid
from tests.calibration.boards import SIZES, TARGET, head_rig, sightings


def request(*names, **changes):
    sizes = {name: SIZES[name] for name in names}
    return Request(target=TARGET, reference=names[0], sizes=sizes, **changes)


def pose_error(solution, rig, name):
    """Metres and degrees between the found and the true relative pose."""
    reference = rig.cameras[solution.request.reference]
    true = inverse(rig.cameras[name].T_rig_cam) @ reference.T_rig_cam
    away = solution.bundle.eyes[name].T_cam_ref @ inverse(true)
    turn = np.degrees(Rotation.from_matrix(away[:3, :3]).magnitude())
    return float(np.linalg.norm(away[:3, 3])), float(turn)


def test_intrinsics_poses_and_time_offsets_are_found_together():
    rig = head_rig('thermal', 'nir')
    found, stamps, looked = sightings(rig, moments=30, offsets={'nir': 12_000_000}, turned=('nir',))
    solution = solve(request('thermal', 'nir'), found, stamps, looked)
    for name, eye in solution.bundle.eyes.items():
        true = parameters(rig.cameras[name].camera)
        count = len(true)
        assert np.abs(parameters(eye.camera)[:2] / true[:2] - 1).max() < 0.003
        assert np.abs(parameters(eye.camera)[:count] - true)[4:].max(initial=0) < 0.01
    metres, degrees = pose_error(solution, rig, 'nir')
    assert metres < 0.001
    assert degrees < 0.1
    assert solution.bundle.eyes['nir'].offset == pytest.approx(0.012, abs=0.0005)
    assert solution.turned == {'nir'}
    assert not solution.rejected
    assert solution.rms['thermal'] == pytest.approx(0.05 * np.sqrt(2), rel=0.15)


def test_errors_are_about_as_large_as_stated():
    rig = head_rig('thermal')
    off = []
    for seed in range(3):
        found, stamps, looked = sightings(rig, seed=seed, moments=24, span=0)
        solution = solve(request('thermal'), found, stamps, looked)
        eye = solution.bundle.eyes['thermal']
        true = parameters(rig.cameras['thermal'].camera)[:6]
        off.append((parameters(eye.camera)[:6] - true) / solution.deviations['thermal'][:6])
    assert 0.4 < np.sqrt(np.mean(np.square(off))) < 2.0


def test_images_that_contradict_the_rest_are_left_out_and_named():
    rig = head_rig('thermal', 'nir')
    found, stamps, looked = sightings(rig)
    bad = next(k for k, s in enumerate(found) if s.detection.camera == 'nir')
    twisted = found[bad].detection.pixels.copy()
    twisted[::3] += 2.0
    shifted = replace(found[bad].detection, pixels=twisted)
    found[bad] = replace(found[bad], detection=shifted)
    solution = solve(request('thermal', 'nir'), found, stamps, looked)
    assert list(solution.rejected['nir']) == [shifted.stamp]
    assert pose_error(solution, rig, 'nir')[0] < 0.001


def test_intrinsics_that_are_to_be_kept_are_kept():
    rig = head_rig('nir', 'thermal')
    found, stamps, looked = sightings(rig, moments=20)
    kept = {'nir': rig.cameras['nir'].camera}
    solution = solve(request('nir', 'thermal', kept=kept), found, stamps, looked)
    assert solution.bundle.eyes['nir'].camera is kept['nir'] or np.array_equal(
        parameters(solution.bundle.eyes['nir'].camera), parameters(kept['nir'])
    )


def test_a_camera_that_shares_no_moment_with_the_others_is_named():
    rig = head_rig('thermal', 'nir')
    found, stamps, looked = sightings(rig, moments=60)
    alternating = [s for s in found if (s.moment % 2 == 0) == (s.detection.camera == 'nir')]
    with pytest.raises(RigError, match='nir never saw the target together with thermal'):
        solve(request('thermal', 'nir'), alternating, stamps, looked)


def test_a_camera_that_never_saw_the_target_is_named():
    rig = head_rig('thermal', 'nir')
    found, stamps, looked = sightings(rig)
    only = [s for s in found if s.detection.camera == 'thermal']
    with pytest.raises(RigError, match='nir: chessboard:9x6:0.025 was found in none of 120 images'):
        solve(request('thermal', 'nir'), only, stamps, looked)


def test_too_few_moments_are_refused():
    rig = head_rig('thermal')
    found, stamps, looked = sightings(rig, moments=5)
    with pytest.raises(RigError, match=r'found in only .* moments .* record at least 8 moments'):
        solve(request('thermal'), found, stamps, looked)


def test_a_flat_recording_is_refused_with_what_to_record_next():
    rig = head_rig('nir')
    middle = TARGET.points.mean(axis=0)

    def facing(time):
        sway = 0.01 * np.array([np.sin(3 * time), np.cos(2 * time), 5 + np.sin(time)])
        turn = Rotation.from_rotvec([0.05 * np.sin(time), 0.04 * np.cos(time), 0.0]).as_matrix()
        place = np.array([0, 0, 0.55]) + sway - turn @ middle
        return rig.cameras['nir'].T_rig_cam @ rigid(turn, place)

    found, stamps, looked = sightings(rig, motion=facing)
    with pytest.raises(RigError, match='never tilted by more than .* covers only .* record it'):
        solve(request('nir'), found, stamps, looked)

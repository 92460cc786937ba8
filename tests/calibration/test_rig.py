"""The calibrated rig: what changes, what stays, and its ThermoHands calibration."""

import json

import numpy as np

from hand_pose_ros.calibration.calibrate import calibrated_rig
from hand_pose_ros.calibration.solve import Request, solve
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.rig.description import find_rig, load_rig, save_rig
from hand_pose_ros.rig.thermohands import calibration_from_rig, write_calibration
from tests.calibration.boards import TARGET, head_rig, sightings


def test_a_calibrated_rig_is_written_as_rig_and_as_thermohands_file_bit_for_bit(tmp_path):
    before = find_rig('simulated_head_rig')
    names = ('thermal', 'nir', 'rgb')
    found, stamps, looked = sightings(head_rig(*names), moments=20, offsets={'rgb': 5_000_000})
    request = Request(
        target=TARGET,
        reference='thermal',
        sizes={name: before.cameras[name].size for name in names},
    )
    solution = solve(request, found, stamps, looked)
    rig = calibrated_rig(before, {'': solution}, {'depth': 'nir'})
    assert rig.estimator == before.estimator
    assert rig.cameras['depth'].driver == before.cameras['depth'].driver
    assert np.array_equal(rig.cameras['depth'].T_rig_cam, rig.cameras['nir'].T_rig_cam)
    assert np.array_equal(rig.cameras['thermal'].T_rig_cam, before.cameras['thermal'].T_rig_cam)
    assert set(rig.synchronizer.offsets) == {'nir', 'depth', 'rgb'}
    for name in names:
        away = inverse(before.cameras[name].T_rig_cam) @ rig.cameras[name].T_rig_cam
        assert np.linalg.norm(away[:3, 3]) < 0.001

    save_rig(rig, tmp_path / 'rig.yaml')
    again = load_rig(tmp_path / 'rig.yaml')
    for name, camera in rig.cameras.items():
        assert np.array_equal(camera.T_rig_cam, again.cameras[name].T_rig_cam)
        assert np.array_equal(camera.camera.distortion, again.cameras[name].camera.distortion)
        assert camera.time_offset == again.cameras[name].time_offset

    write_calibration(calibration_from_rig(rig), tmp_path / 'ego.json')
    write_calibration(
        calibration_from_rig(load_rig(tmp_path / 'ego.json')), tmp_path / 'twice.json'
    )
    first, second = (json.loads((tmp_path / n).read_text()) for n in ('ego.json', 'twice.json'))
    assert first == second
    assert first['thermal_mtx'] == rig.cameras['thermal'].camera.intrinsics.tolist()

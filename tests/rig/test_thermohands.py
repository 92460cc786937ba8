"""ThermoHands calibration files: into a rig and back without losing a bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.transforms import apply, inverse, rigid
from hand_pose_ros.rig.description import load_rig, save_rig
from hand_pose_ros.rig.thermohands import (
    calibration_from_rig,
    parse_calibration,
    read_calibration,
    rig_from_calibration,
    write_calibration,
)


def ego_document():
    """An ego calibration in the exact form of the data set, with made-up numbers."""
    turn = Rotation.from_rotvec([0.02, -0.01, 0.03]).as_matrix().tolist()
    k = [[400.25, 0, 320.5], [0.0, 401.125, 255.75], [0, 0, 1]]
    return {
        'thermal_mtx': k,
        'thermal_dist': [[-0.375, 0.1, 0.0, 0, 0]],
        'rgb_mtx': k,
        'rgb_dist': [[0.1, -0.2, 0, 0, 0]],
        'ir_mtx': k,
        'ir_dist': [[0, 0, 0, 0, 0]],
        'depth2rgb_rotation_matrix': turn,
        'depth2rgb_translation_vector': [[-0.0005, 0.0137, -0.0059]],
        'rgb2thermal_rotation_matrix': np.eye(3).tolist(),
        'rgb2thermal_translation_vector': [[-0.05, 0.0, 0.017]],
    }


@pytest.fixture(params=['ego', 'exo'])
def real_file(request, test_data):
    return test_data / 'thermal_egocentric' / 'calibration' / f'{request.param}_calib.json'


def test_published_files_survive_the_way_through_a_rig_file(real_file, tmp_path):
    original = json.loads(real_file.read_text())
    save_rig(load_rig(real_file), tmp_path / 'rig.yaml')
    back = calibration_from_rig(load_rig(tmp_path / 'rig.yaml'))
    assert back.document == original
    write_calibration(back, tmp_path / 'back.json')
    assert read_calibration(tmp_path / 'back.json').document == original


def test_depth_to_thermal_is_composed_rightly(test_data):
    rig = load_rig(test_data / 'thermal_egocentric' / 'calibration' / 'ego_calib.json')
    T_thermal_depth = inverse(rig.cameras['thermal'].T_rig_cam) @ rig.cameras['depth'].T_rig_cam
    point = apply(T_thermal_depth, np.array([0.05, 0.10, 0.50]))
    np.testing.assert_allclose(point, [0.0005, 0.1030, 0.5130], atol=1e-4)


def test_published_rig_is_described(test_data):
    rig = load_rig(test_data / 'thermal_egocentric' / 'calibration' / 'ego_calib.json')
    assert list(rig.cameras) == ['thermal', 'rgb', 'nir', 'depth']
    assert rig.reference == 'thermal'
    assert rig.cameras['thermal'].camera.distortion[0] == -0.3755301
    assert rig.cameras['rgb'].size == (1920, 1080)
    # Depth looks straight ahead along the rig's x axis.
    forward = rig.cameras['depth'].T_rig_cam @ [0, 0, 1, 1]
    np.testing.assert_array_equal(forward, [1, 0, 0, 1])


def test_the_shipped_ego_rig_is_the_published_one(test_data):
    from hand_pose_ros.rig.description import find_rig

    file = test_data / 'thermal_egocentric' / 'calibration' / 'ego_calib.json'
    published, shipped = load_rig(file), find_rig('thermohands_ego')
    for name, camera in published.cameras.items():
        np.testing.assert_array_equal(shipped.cameras[name].T_rig_cam, camera.T_rig_cam)
        np.testing.assert_array_equal(
            shipped.cameras[name].camera.intrinsics, camera.camera.intrinsics
        )


@given(
    hnp.arrays(np.float64, 6, elements=st.floats(-3, 3)),
    hnp.arrays(np.float64, 6, elements=st.floats(-1, 1)),
    st.floats(100, 2000),
)
def test_any_calibration_survives_bit_for_bit(tmp_path_factory, turns, shifts, focal):
    document = ego_document()
    document['thermal_mtx'] = [[focal, 0.0, 320.1], [0.0, focal / 3, 255.0], [0.0, 0.0, 1.0]]
    for index, pair in enumerate(('depth2rgb', 'rgb2thermal')):
        part = slice(3 * index, 3 * index + 3)
        rotation = Rotation.from_rotvec(turns[part]).as_matrix()
        document[f'{pair}_rotation_matrix'] = rotation.tolist()
        document[f'{pair}_translation_vector'] = [shifts[part].tolist()]
    file = tmp_path_factory.mktemp('calibration') / 'rig.yaml'
    save_rig(rig_from_calibration(parse_calibration(document, 'x')), file)
    assert calibration_from_rig(load_rig(file)).document == document


def test_unknown_keys_are_kept():
    document = ego_document() | {'operator': 'Ada', 'board': [7, 5]}
    rig = rig_from_calibration(parse_calibration(document, 'x'))
    assert calibration_from_rig(rig).document == document


def test_a_changed_pose_changes_its_keys_and_no_others():
    document = ego_document()
    rig = rig_from_calibration(parse_calibration(document, 'x'))
    moved = rig.cameras['thermal']
    shift = rigid(np.eye(3), np.array([0.01, 0.0, 0.0]))
    cameras = rig.cameras | {'thermal': replace(moved, T_rig_cam=moved.T_rig_cam @ shift)}
    changed = calibration_from_rig(replace(rig, cameras=cameras)).document
    different = {key for key in document if document[key] != changed[key]}
    assert different == {'rgb2thermal_translation_vector'}
    # The thermal camera moved 10 mm to its right: points move 10 mm to its left.
    np.testing.assert_allclose(
        changed['rgb2thermal_translation_vector'], [[-0.06, 0.0, 0.017]], atol=1e-12
    )


def test_a_rig_without_history_can_be_written():
    rig = rig_from_calibration(parse_calibration(ego_document(), 'x'))
    fresh = calibration_from_rig(replace(rig, metadata={})).document
    for key, value in ego_document().items():
        np.testing.assert_allclose(fresh[key], value, atol=1e-12)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('rgb_mtx', None, 'x: rgb_mtx is missing'),
        ('rgb_mtx', [[1, 2], [3, 4]], 'rgb_mtx must hold 9 finite numbers'),
        ('thermal_dist', [['a']], 'thermal_dist must hold 4 or 5 or 8'),
        ('ir_dist', [[float('nan')] * 5], 'ir_dist must hold'),
        ('depth2rgb_rotation_matrix', np.ones((3, 3)).tolist(), 'is not a rotation'),
    ],
)
def test_faulty_files_are_refused(key, value, message):
    document = ego_document()
    document[key] = value
    if value is None:
        del document[key]
    with pytest.raises(RigError, match=message):
        parse_calibration(document, 'x')


def test_uncalibrated_files_are_refused():
    document = ego_document() | {'thermal_mtx': np.zeros((3, 3)).tolist()}
    with pytest.raises(RigError, match='thermal_mtx: .*not calibrated'):
        rig_from_calibration(parse_calibration(document, 'x'))


def test_files_that_are_something_else_are_refused(tmp_path):
    for text, message in (
        ('{"a": 1}', 'no calibration file'),
        ('[1]', 'no calibration file'),
        ('{', 'not valid JSON'),
    ):
        (tmp_path / 'x.json').write_text(text)
        with pytest.raises(RigError, match=message):
            load_rig(tmp_path / 'x.json')
    with pytest.raises(RigError, match='cannot be read'):
        load_rig(tmp_path / 'missing.json')
    with pytest.raises(RigError, match='cannot be written'):
        write_calibration(parse_calibration(ego_document(), 'x'), tmp_path / 'no' / 'x.json')


def test_what_the_format_cannot_hold_is_refused():
    rig = rig_from_calibration(parse_calibration(ego_document(), 'x'))
    nir = rig.cameras['nir']
    other = replace(nir, camera=nir.camera.scaled(320, 240), size=(320, 240))
    with pytest.raises(RigError, match='nir and depth have different calibrations'):
        calibration_from_rig(replace(rig, cameras=rig.cameras | {'nir': other}))
    uncalibrated = replace(rig.cameras['rgb'], camera=None)
    with pytest.raises(RigError, match='needs a calibrated rgb camera'):
        calibration_from_rig(replace(rig, cameras=rig.cameras | {'rgb': uncalibrated}))

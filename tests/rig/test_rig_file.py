"""Rig files: what is read, what is written back, and what is refused with which words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, rigid
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.description import find_rig, load_rig, save_rig, shipped_rigs
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.rig_file import parse_rig, rig_document
from hand_pose_ros.rig.synchronizer import SynchronizerConfig
from hand_pose_ros.rig.thermal import ThermalValues

finite = st.floats(-1e3, 1e3)


def test_a_rig_file_says_what_it_says(document):
    rig = parse_rig(document, 'x.yaml')
    thermal, depth, rgb = rig.cameras.values()
    assert (rig.name, rig.reference, rig.rig_frame) == ('small', 'thermal', 'head_rig')
    assert (rig.estimator, rig.estimator_options) == ('landmarks', {'max_hands': 1})
    assert (thermal.driver, thermal.size, thermal.rate) == ('simulated', (8, 6), 9.0)
    assert thermal.frame_id == 'thermal_optical_frame'
    assert thermal.encoding == 'mono16'
    assert thermal.values == ThermalValues(kind='tlinear', gain=0.01)
    assert thermal.camera.distortion.tolist() == [-0.3, 0.1, 0, 0, 0]
    assert thermal.camera.intrinsics.tolist() == [[10, 0, 3.5], [0, 11, 2.5], [0, 0, 1]]
    assert depth.time_offset == 8_000_000
    assert depth.values == DepthValues(scale=0.000125, minimum=0.1, maximum=2)
    assert rgb.camera is None
    assert rgb.extrinsics_from_tf
    assert not depth.extrinsics_from_tf
    assert rig.synchronizer == SynchronizerConfig(
        streams=('thermal', 'depth', 'rgb'),
        reference='thermal',
        required=('thermal',),
        offsets={'depth': 8_000_000},
        max_spread=20_000_000,
        timeout=300_000_000,
    )


def test_mounting_30_degrees_down_looks_down(document):
    thermal = parse_rig(document, 'x.yaml').cameras['thermal']
    ahead = apply(thermal.T_rig_cam, np.array([0.0, 0.0, 1.0]))
    # Rig axes: x forward, y left, z up.
    np.testing.assert_allclose(ahead, [np.cos(np.pi / 6), 0.05, -0.5], atol=1e-12)
    right = apply(thermal.T_rig_cam, np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(right, [0, -0.95, 0], atol=1e-12)


def test_quaternion_rpy_and_mounting_agree(document):
    straight = parse_rig(document, 'x.yaml').cameras['depth'].T_rig_cam
    pose = document['cameras']['depth']['T_rig_cam']
    del pose['quaternion']
    pose['mounting_degrees'] = [0, 0, 0]
    mounted = parse_rig(document, 'x.yaml').cameras['depth'].T_rig_cam
    del pose['mounting_degrees']
    pose['rpy'] = [-np.pi / 2, 0, -np.pi / 2]
    turned = parse_rig(document, 'x.yaml').cameras['depth'].T_rig_cam
    np.testing.assert_allclose(mounted, straight, atol=1e-12)
    np.testing.assert_allclose(turned, straight, atol=1e-12)


@st.composite
def descriptions(draw):
    """Any camera the file format can hold."""
    modality = draw(st.sampled_from(['thermal', 'nir', 'depth', 'rgb']))
    focal = st.floats(1, 5000)
    k = [[draw(focal), 0, draw(finite)], [0, draw(focal), draw(finite)], [0, 0, 1]]
    count = draw(st.sampled_from([0, 4, 5, 8]))
    model = 'rational_polynomial' if count == 8 else 'plumb_bob'
    camera = Camera(
        width=draw(st.integers(1, 4000)),
        height=draw(st.integers(1, 4000)),
        intrinsics=np.array(k),
        distortion=draw(hnp.arrays(np.float64, count, elements=finite)),
        distortion_model=model,
    )
    rotation = Rotation.from_rotvec(draw(hnp.arrays(np.float64, 3, elements=st.floats(-3, 3))))
    thermal = st.one_of(
        st.builds(ThermalValues, white_hot=st.booleans()),
        st.builds(ThermalValues, kind=st.just('tlinear'), gain=st.floats(1e-5, 10), offset=finite),
        st.builds(
            ThermalValues,
            kind=st.just('planck'),
            R1=st.floats(1, 1e6),
            R2=st.floats(1e-3, 2),
            B=st.floats(1, 1e4),
            F=finite,
            O=finite,
        ),
    )
    depth = st.builds(DepthValues, scale=st.floats(1e-6, 1), minimum=st.floats(0, 1))
    values = {'thermal': thermal, 'depth': depth}.get(modality, st.none())
    return CameraDescription(
        name=draw(st.from_regex(r'[a-z][a-z0-9_]{0,8}', fullmatch=True)),
        modality=modality,
        driver=draw(st.sampled_from(['simulated', 'external'])),
        driver_options=draw(
            st.dictionaries(st.text(min_size=1, max_size=5), st.integers() | st.text(max_size=5))
        ),
        camera=camera,
        rate=draw(st.floats(0.1, 1000)),
        T_rig_cam=rigid(
            rotation.as_matrix(), draw(hnp.arrays(np.float64, 3, elements=st.floats(-2, 2)))
        ),
        time_offset=draw(st.integers(-(10**10), 10**10)),
        values=draw(values),
    )


@given(st.lists(descriptions(), min_size=1, max_size=4, unique_by=lambda c: c.name))
def test_saving_and_loading_is_exact(tmp_path_factory, cameras):
    file = tmp_path_factory.mktemp('rig') / 'rig.yaml'
    rig = RigDescription(name='any', cameras={camera.name: camera for camera in cameras})
    save_rig(rig, file)
    back = load_rig(file)
    assert rig_document(back) == rig_document(rig)
    for name, camera in rig.cameras.items():
        np.testing.assert_array_equal(back.cameras[name].T_rig_cam, camera.T_rig_cam)
        np.testing.assert_array_equal(
            back.cameras[name].camera.distortion, camera.camera.distortion
        )
        assert back.cameras[name].time_offset == camera.time_offset
    assert back.synchronizer == rig.synchronizer


def test_files_with_live_calibration_survive_too(document, tmp_path):
    rig = parse_rig(document, 'x.yaml')
    save_rig(rig, tmp_path / 'rig.yaml')
    assert rig_document(load_rig(tmp_path / 'rig.yaml')) == rig_document(rig)


def change(document, path, value):
    *parents, last = path.split('.')
    for key in parents:
        document = document[key]
    if value is KeyError:
        del document[last]
    else:
        document[last] = value


@pytest.mark.parametrize(
    ('path', 'value', 'message'),
    [
        ('camras', {}, "x.yaml: camras is unknown, did you mean 'cameras'?"),
        ('cameras.thermal.intrinsic', 1, "cameras.thermal.intrinsic is unknown, did you mean 'int"),
        ('cameras.thermal.values.gian', 1, 'cameras.thermal.values.gian is unknown, did you mean'),
        ('cameras.thermal.size', KeyError, 'cameras.thermal.size is missing, add it'),
        ('cameras.thermal.size', [8, 6, 3], r'cameras.thermal.size must be \[width, height\]'),
        ('cameras.thermal.size', [8.5, 6], 'cameras.thermal.size must be'),
        ('cameras.thermal.size', [0, 6], 'cameras.thermal.size must be'),
        ('cameras.thermal.rate', 0, 'cameras.thermal.rate must be above 0'),
        ('cameras.thermal.rate', 'fast', "cameras.thermal.rate must be a number, got 'fast'"),
        ('cameras.thermal.rate', True, 'cameras.thermal.rate must be a number, got True'),
        ('cameras.thermal.encoding', 'rgb8', "cameras.thermal.encoding is 'rgb8', use one of mono"),
        ('cameras.thermal.encoding', 'mono12', "did you mean 'mono"),
        ('cameras.thermal.driver', 7, 'cameras.thermal.driver must be text, got 7'),
        ('cameras.thermal.driver_options', [1], 'driver_options must be a mapping'),
        (
            'cameras.thermal.intrinsics',
            [0, 0, 0, 0],
            'cameras.thermal.intrinsics: .*not calibrated',
        ),
        ('cameras.thermal.intrinsics', [[0] * 3] * 3, 'not calibrated'),
        ('cameras.thermal.intrinsics', [1, 2, 3], 'intrinsics must be 4 or 3x3 numbers'),
        ('cameras.thermal.intrinsics', [-1, 2, 3, 4], 'negative focal length'),
        ('cameras.thermal.intrinsics', 'ros', '"camera_info"'),
        (
            'cameras.thermal.intrinsics',
            [[1, 2, 3], [0, 1, 2], [0, 0, 1]],
            r'must be \[\[fx, 0, cx\]',
        ),
        ('cameras.thermal.intrinsics', {'fx': 1, 'fy': 1, 'cx': 2}, 'intrinsics.cy is missing'),
        ('cameras.thermal.distortion', [1, 2, 3], 'thermal.distortion must be 0 or 4 or 5 numbers'),
        ('cameras.thermal.distortion', [1, 2, 'x', 4], 'thermal.distortion must be'),
        ('cameras.thermal.distortion', [float('nan')] * 4, 'must hold finite numbers only'),
        ('cameras.thermal.distortion_model', 'plum_bob', "did you mean 'plumb_bob'"),
        ('cameras.thermal.distortion_model', 'rational_polynomial', 'distortion must be 8 numbers'),
        ('cameras.thermal.T_rig_cam', [[1, 0, 0, 0]] * 4, 'T_rig_cam is not a rigid transform'),
        ('cameras.thermal.T_rig_cam', [1, 2, 3], 'T_rig_cam must be 4x4 numbers'),
        ('cameras.thermal.T_rig_cam', KeyError, 'cameras.thermal.T_rig_cam is missing'),
        (
            'cameras.thermal.T_rig_cam.translation',
            [0, 0],
            'T_rig_cam.translation must be 3 numbers',
        ),
        ('cameras.thermal.T_rig_cam.rpy', [0, 0, 0], 'mounting_degrees is given beside rpy'),
        ('cameras.depth.T_rig_cam.quaternion', [1, 1, 0, 0], 'quaternion has length 1.414'),
        ('cameras.thermal.time_offset', 'late', 'time_offset must be a number'),
        ('cameras.thermal.time_offset', 1e9, 'time_offset must be a time in seconds'),
        ('cameras.thermal.values', {'kind': 'tlinear'}, 'cameras.thermal.values.gain is missing'),
        ('cameras.thermal.values.white_hot', 1, 'white_hot must be true or false, got 1'),
        ('cameras.depth.values.scale', -1, 'cameras.depth.values.scale must be above 0'),
        ('cameras.depth.values.minimum', 3, 'cameras.depth.values: depth range'),
        ('cameras.rgb.values', {'scale': 1}, 'cameras.rgb.values has no meaning for a rgb camera'),
        (
            'cameras.lidar',
            {'size': [1, 1]},
            'cameras.lidar.modality is missing, use one of thermal',
        ),
        ('cameras.Thermal2', {'modality': 'nir', 'size': [1, 1]}, 'cameras.Thermal2'),
        ('cameras', KeyError, 'x.yaml: cameras is missing'),
        ('cameras', {}, 'at least one camera'),
        ('cameras.depth', None, 'cameras.depth.size is missing'),
        ('reference', 'therml', "reference is 'therml', did you mean 'thermal'?"),
        ('synchronizer.max_spread', -1, 'synchronizer.max_spread must be at least 0 seconds'),
        ('synchronizer.queue_size', 0.5, 'synchronizer.queue_size must be a whole number'),
        ('synchronizer.required', 'thermal', 'synchronizer.required must be a list of names'),
        ('synchronizer.required', ['lidar'], "required names 'lidar', use one of thermal"),
        ('synchronizer.streams', ['thermal', 'thermal'], 'names something twice'),
        ('synchronizer.policy', 'exact', "synchronizer.policy is 'exact'"),
        ('name', KeyError, 'x.yaml: name is missing'),
    ],
)
def test_every_mistake_is_named_with_its_place(document, path, value, message):
    change(document, path, value)
    with pytest.raises(RigError, match=message) as caught:
        parse_rig(document, 'x.yaml')
    assert str(caught.value).startswith('x.yaml: ')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('name: [', r'rig.yaml: line \d+: not valid YAML'),
        ('just text', 'rig.yaml: the file must be a mapping of keys'),
        ('- a list', 'must be a mapping'),
        ('', 'rig.yaml: name is missing'),
        ('name: a\nname: b', r"rig.yaml: line 2: 'name' is given twice"),
        ('name: !!python/object/apply:os.system ["true"]', 'not valid YAML'),
        ('1: 2', 'is not text'),
    ],
)
def test_files_that_are_no_rig_files(tmp_path, text, message):
    file = tmp_path / 'rig.yaml'
    file.write_text(text)
    with pytest.raises(RigError, match=message):
        load_rig(file)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RigError, match='cannot be read.*check the path'):
        load_rig(tmp_path / 'nowhere.yaml')
    (tmp_path / 'binary.yaml').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(RigError, match='not UTF-8'):
        load_rig(tmp_path / 'binary.yaml')


def test_rigs_that_cannot_be_written(document, tmp_path):
    rig = parse_rig(document, 'x.yaml')
    with pytest.raises(RigError, match='cannot be written'):
        save_rig(rig, tmp_path / 'no' / 'such' / 'folder.yaml')
    rig.estimator_options['odd'] = object()
    with pytest.raises(RigError, match='not plain YAML values'):
        save_rig(rig, tmp_path / 'rig.yaml')


def test_numbers_without_a_point_in_scientific_notation_are_numbers(document):
    document['cameras']['depth']['values']['scale'] = '1e-3'  # how YAML 1.1 reads it
    assert parse_rig(document, 'x.yaml').cameras['depth'].values.scale == 0.001


def test_shipped_rigs_load_by_name(tmp_path):
    names = shipped_rigs()
    assert {'simulated_head_rig', 'full_size_head_rig', 'thermohands_ego'} <= set(names)
    for name in names:
        rig = find_rig(name)
        save_rig(rig, tmp_path / f'{name}.yaml')
        assert rig_document(find_rig(tmp_path / f'{name}.yaml')) == rig_document(rig)


def test_an_unknown_rig_lists_those_there_are():
    with pytest.raises(RigError, match='no such file.*simulated_head_rig'):
        find_rig('simulated_hed_rig')


def test_the_simulated_rig_is_what_the_demo_promises():
    rig = find_rig('simulated_head_rig')
    sizes = {name: (camera.size, camera.encoding) for name, camera in rig.cameras.items()}
    assert sizes == {
        'thermal': ((320, 256), 'mono16'),
        'nir': ((640, 480), 'mono8'),
        'depth': ((640, 480), '16UC1'),
        'rgb': ((640, 480), 'rgb8'),
    }
    thermal, rgb = rig.cameras['thermal'].T_rig_cam, rig.cameras['rgb'].T_rig_cam
    assert np.linalg.norm(thermal[:3, 3] - rgb[:3, 3]) == pytest.approx(0.0528, abs=0.001)


def test_a_camera_on_another_body_reads_back(document):
    document['cameras']['rgb']['body'] = 'exo'
    rig = parse_rig(document, 'x.yaml')
    assert rig.cameras['rgb'].body == 'exo'
    assert rig.synchronizer.streams == ('thermal', 'depth')
    again = parse_rig(rig_document(rig), 'x.yaml')
    assert again.cameras['rgb'].body == 'exo'

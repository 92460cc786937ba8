"""ThermoHands: both trees, labels in each camera's frame, masks, LMDB, windows and refusals."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hand_pose_ros.datasets.collate import collate
from hand_pose_ros.datasets.thermohands import CONVENTION, ThermoHands
from hand_pose_ros.datasets.thermohands_layout import (
    FOLDERS,
    FrameLabels,
    Recording,
    read_gt_info,
    read_split_list,
    write_gt_info,
    write_split_list,
)
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand import HandModel, rotation_matrices
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.description import load_rig

from .conftest import some_labels, write_png


def arrays(*shape):
    return hnp.arrays(np.float64, shape, elements=st.floats(allow_nan=False, width=64,
                                                            allow_infinity=False))  # fmt: skip


@given(arrays(2, 21, 3), arrays(2, 48), arrays(2, 10), arrays(2, 3))
def test_label_files_survive_bit_for_bit(tmp_path_factory, joints, pose, betas, translation):
    path = tmp_path_factory.mktemp('gt') / '000000.json'
    labels = FrameLabels(joints=joints, pose=pose, betas=betas, translation=translation)
    write_gt_info(path, labels)
    text = path.read_text()
    back = read_gt_info(path)
    for name in ('joints', 'pose', 'betas', 'translation'):
        assert getattr(back, name).tobytes() == getattr(labels, name).tobytes()
    write_gt_info(path, back)
    assert path.read_text() == text


def test_label_files_have_the_published_keys_and_shapes(tmp_path):
    labels = some_labels(0)
    labels.joints[1], labels.betas[1] = np.nan, np.nan
    write_gt_info(tmp_path / 'x.json', labels)
    document = json.loads((tmp_path / 'x.json').read_text())
    assert set(document) == {f'{key}_{side}' for side in 'LR'
                             for key in ('kps3D', 'poseCoeff', 'beta', 'trans')}  # fmt: skip
    assert np.shape(document['poseCoeff_L']) == (1, 48)
    assert document['beta_R'] == [[None] * 10]  # unknown is neither zero nor NaN, which no JSON is
    assert np.isnan(read_gt_info(tmp_path / 'x.json').joints[1]).all()


@pytest.mark.parametrize('content', ['{', '[]', '{"kps3D_L": [[1, 2, 3]]}', '{"kps3D_L": "a"}'])
def test_malformed_label_files_are_named(tmp_path, content):
    (tmp_path / 'x.json').write_text(content)
    with pytest.raises(DataError, match='x.json'):
        read_gt_info(tmp_path / 'x.json')


def test_split_lists_survive(tmp_path):
    rows = [Recording(number=4, folder='subject_01/tap', action='tap', first=3, last=9)]
    write_split_list(tmp_path / 'a.txt', rows)
    assert read_split_list(tmp_path / 'a.txt') == rows
    (tmp_path / 'a.txt').write_text('header\n1 subject_01/tap/extra tap 0 3\n')
    assert read_split_list(tmp_path / 'a.txt')[0].folder == 'subject_01/tap'
    (tmp_path / 'a.txt').write_text('header\n1 subject_01/tap\n')
    with pytest.raises(DataError, match=r'a.txt line 2 is .*expected: id path'):
        read_split_list(tmp_path / 'a.txt')


def test_training_tree_is_listed_by_its_split_list(training_tree):
    dataset = ThermoHands(training_tree.root, split='train')
    assert len(dataset) == 8
    assert dataset.segments == [range(5), range(5, 8)]
    assert (dataset[6].sequence, dataset[6].index) == ('subject_04_dark/swipe', 8)
    assert len(ThermoHands(training_tree.root, split='train', setting='darkness')) == 3
    assert len(ThermoHands(training_tree.root, split='train', setting='office')) == 5


@pytest.mark.parametrize('stream', ['thermal', 'jet', 'nir', 'depth', 'rgb'])
def test_images_and_masks_are_those_of_the_stream(training_tree, stream):
    sample = ThermoHands(training_tree.root, stream=stream)[1]
    thermal = stream in ('thermal', 'jet')
    written = training_tree.images[f'subject_03/tap/{FOLDERS["training"][stream]}/000001.png']
    if stream == 'depth':
        expected = np.where(written > 0, written.astype(np.float32) * np.float32(1e-3), np.nan)
    else:
        expected = written[..., ::-1] if written.ndim == 3 else written
    np.testing.assert_array_equal(sample.image, expected)
    assert sample.modality == ('thermal' if thermal else stream)
    assert sample.mask.shape == sample.image.shape[:2] == ((256, 320) if thermal else (240, 320))
    assert set(np.unique(sample.mask)) == {0, 3}
    assert sample.convention == CONVENTION


def test_labels_move_rigidly_into_the_thermal_camera(training_tree):
    rig = load_rig(training_tree.root / 'calibration' / 'ego_calib.json')
    T_thermal_nir = inverse(rig.cameras['thermal'].T_rig_cam) @ rig.cameras['nir'].T_rig_cam
    sample = ThermoHands(training_tree.root, stream='thermal')[1]
    labels = training_tree.labels['subject_03/tap', 1]
    np.testing.assert_allclose(sample.joints, apply(T_thermal_nir, labels.joints), atol=1e-12)
    # The point of the specification, by the way a label takes.
    labels.joints[0, 5] = (0.05, 0.10, 0.50)
    write_gt_info(training_tree.root / 'subject_03/tap/gt_info/000001.json', labels)
    sample = ThermoHands(training_tree.root, stream='thermal')[1]
    np.testing.assert_allclose(sample.joints[0, 5], (0.0005, 0.1030, 0.5130), atol=1e-4)


@pytest.mark.parametrize('stream', ['nir', 'depth', 'rgb'])
def test_labels_of_the_nir_frame_stay_where_they_are(training_tree, stream):
    sample = ThermoHands(training_tree.root, stream=stream)[1]
    labels = training_tree.labels['subject_03/tap', 1]
    np.testing.assert_allclose(sample.joints, labels.joints, atol=1e-12)
    np.testing.assert_allclose(sample.translation, labels.translation, atol=1e-12)


def test_parameters_still_make_the_joints_in_another_cameras_frame(training_tree):
    model = HandModel(load_hand_model('right'))
    draw = np.random.default_rng(3)
    pose, betas = draw.uniform(-0.5, 0.5, (2, 48)), draw.normal(size=(2, 10)) * 0.5
    translation = np.array([[-0.1, 0.0, 0.5], [0.1, 0.0, 0.5]])
    joints = model.joints(pose[:, :3], pose[:, 3:].reshape(2, 15, 3), betas, translation)
    # wrist = J0(betas) + translation
    rest = model.rest_joints(betas)[:, 0]
    np.testing.assert_allclose(joints[:, 0], rest + translation, atol=1e-12)
    write_gt_info(
        training_tree.root / 'subject_03/tap/gt_info/000001.json',
        FrameLabels(joints=joints, pose=pose, betas=betas, translation=translation),
    )
    sample = ThermoHands(training_tree.root, stream='thermal')[1]
    again = model.joints(sample.global_orient, sample.hand_pose, sample.betas, sample.translation)
    np.testing.assert_allclose(again, sample.joints, atol=1e-7)  # the file has 7 digits
    assert not np.allclose(sample.translation, translation, atol=1e-3)
    assert rotation_matrices(sample.global_orient).shape == (2, 3, 3)


def test_pixels_go_through_the_lens_and_undistorting_moves_them(training_tree):
    bent = ThermoHands(training_tree.root, stream='thermal')[1]
    straight = ThermoHands(training_tree.root, stream='thermal', undistort=True)[1]
    assert bent.camera.is_distorted and not straight.camera.is_distorted
    np.testing.assert_array_equal(straight.camera.intrinsics, bent.camera.intrinsics)
    flat = straight.joints.reshape(-1, 3)
    np.testing.assert_allclose(
        straight.pixels.reshape(-1, 2), straight.camera.project(flat), atol=1e-3
    )
    assert np.abs(bent.pixels - straight.pixels).max() > 1.0


def test_k_is_halved_with_the_pixels(training_tree):
    camera = ThermoHands(training_tree.root, stream='thermal')[0].camera
    assert (camera.width, camera.height) == (320, 256)
    np.testing.assert_allclose(np.diag(camera.intrinsics)[:2], (409.538 / 2, 409.9164 / 2))
    # The centre follows the pixel grid: (c + 0.5) / 2 - 0.5.
    np.testing.assert_allclose(camera.intrinsics[:2, 2], (323.1047 / 2 - 0.25, 253.5884 / 2 - 0.25))


def test_a_missing_label_is_invalid_and_not_zero(training_tree):
    sample = ThermoHands(training_tree.root)[2]
    for name in ('joints', 'pixels', 'global_orient', 'hand_pose', 'betas', 'translation'):
        assert np.isnan(getattr(sample, name)).all(), name
    assert not any(sample.valid[name].any() for name in ('joints_3d', 'joints_2d', 'pose'))
    assert sample.valid['mask'].all()
    batch = collate([ThermoHands(training_tree.root).clips(4)[0]])
    assert batch.valid['joints_3d'][:, 0].tolist() == [True, True, False, True]
    kept = batch.joints[batch.valid['joints_3d']]
    assert kept.isfinite().all() and (kept != 0).any(-1).all()
    assert not batch.visible[2].any()


def test_clips_of_training_and_evaluation(training_tree):
    dataset = ThermoHands(training_tree.root)
    training = dataset.clips(4, overlapping=True)
    assert len(training) == 8
    evaluation = dataset.clips(4)
    assert [[s.index for s in clip] for clip in evaluation] == [
        [0, 1, 2, 3], [4, 4, 4, 4], [7, 8, 9, 9]
    ]  # fmt: skip
    assert [s.padding for s in evaluation[2]] == [False, False, False, True]
    batch = collate([evaluation[0], evaluation[2]])
    assert batch.not_padding.tolist() == [1, 1, 1, 1, 1, 1, 1, 0]
    assert batch.frames == 4 and tuple(batch.image.shape) == (8, 3, 256, 320)


def test_lmdb_holds_the_same_images(training_tree):
    lmdb = pytest.importorskip('lmdb')
    path = training_tree.root / 'lmdb_imgs' / 'train'
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=2**26, max_dbs=10) as base:
        for segment, prefix in (('0000', 'subject_03'), ('0001', 'subject_04_dark')):
            part = base.open_db(segment.encode())
            with base.begin(db=part, write=True) as transaction:
                for key, image in training_tree.images.items():
                    if key.startswith(prefix) and ('thermal' in key or 'rgb320' in key):
                        rgb = image[..., ::-1] if image.ndim == 3 else np.stack([image] * 3, -1)
                        transaction.put(key.encode(), np.ascontiguousarray(rgb).tobytes())
    for stream in ('thermal', 'rgb'):
        fast = ThermoHands(training_tree.root, stream=stream, images='lmdb')
        slow = ThermoHands(training_tree.root, stream=stream)
        for index in (0, 6):
            np.testing.assert_array_equal(fast[index].image, slow[index].image)
    with pytest.raises(DataError, match='part 0000 has no image .*ir320_240'):
        ThermoHands(training_tree.root, stream='nir', images='lmdb')[0]


def test_without_lmdb_the_error_says_what_to_install(training_tree, monkeypatch):
    (training_tree.root / 'lmdb_imgs' / 'train').mkdir(parents=True)
    monkeypatch.setitem(__import__('sys').modules, 'lmdb', None)
    with pytest.raises(DataError, match='needs the package lmdb: install requirements/training'):
        ThermoHands(training_tree.root, images='lmdb')


def test_released_tree_matches_by_order_and_leaves_out_what_is_no_data(released_tree):
    main = ThermoHands(released_tree, split='val')
    assert {s.sequence.split('/', 1)[1] for s in main} == {
        'subject_01/read_book', 'subject_01_gestures/tap'
    }  # fmt: skip
    assert len(ThermoHands(released_tree, split='train')) == 3
    kitchen = ThermoHands(released_tree, split='test', setting='kitchen')
    assert {s.sequence.split('/')[-1] for s in kitchen} == {'wash_hands'}
    sample = main[1]
    assert sample.image.shape == (512, 640)
    assert sample.stamp == 1700000000117 * 1_000_000
    nir = ThermoHands(released_tree, split='val', stream='nir')[1]
    np.testing.assert_allclose(nir.joints, some_labels(1).joints, atol=1e-12)
    rgb = ThermoHands(released_tree, split='val', stream='rgb')[1]
    np.testing.assert_array_equal(rgb.camera.intrinsics, nir.camera.intrinsics)  # registered


def test_rgb_of_its_own_size_uses_its_own_camera(released_tree):
    for path in released_tree.glob('*/subject_03/cut_paper/rgb/*.png'):
        write_png(path, np.zeros((1080, 1920, 3), np.uint8))
    sample = ThermoHands(released_tree, split='train', stream='rgb')[0]
    assert sample.camera.intrinsics[0, 0] == pytest.approx(1357.499, abs=1e-3)
    assert np.abs(sample.joints - some_labels(0).joints).max() > 0.005


def test_one_missing_label_of_the_released_tree_shifts_no_other(released_tree):
    [folder] = released_tree.glob('*/subject_03/cut_paper')
    for label, image in zip(sorted((folder / 'gt_info').iterdir()),
                            sorted((folder / 'thermal').iterdir()), strict=True):  # fmt: skip
        label.rename(label.with_name(f'{image.stem}.json'))
    sorted((folder / 'gt_info').iterdir())[0].unlink()
    dataset = ThermoHands(released_tree, split='train')
    assert [bool(s.valid['joints_3d'].all()) for s in dataset] == [False, True, True]
    (folder / 'gt_info' / 'other.json').write_text('{}')
    (folder / 'gt_info' / 'another.json').write_text('{}')
    with pytest.raises(DataError, match='labels without an image in thermal'):
        ThermoHands(released_tree, split='train')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'stream': 'x-ray'}, "no stream 'x-ray': use thermal, jet, rgb"),
        ({'setting': 'beach'}, "setting 'beach' is unknown: use office"),
        ({'split': 'val'}, 'action_val.txt is missing: obtain it from .*ThermoHands'),
        ({'split': 'val', 'images': 'lmdb'}, 'only the train split'),
        ({'images': 'lmdb'}, 'lmdb_imgs/train is missing: obtain it .*make_lmdb'),
        ({'setting': 'gloves'}, 'has no frames of split train, setting gloves'),
    ],
)
def test_what_is_not_there_is_named(training_tree, change, message):
    with pytest.raises(DataError, match=message):
        ThermoHands(training_tree.root, **change)


def test_missing_folders_name_the_project_page(tmp_path):
    with pytest.raises(DataError, match=r'nowhere is missing: obtain it from .*ThermoHands'):
        ThermoHands(tmp_path / 'nowhere')
    with pytest.raises(DataError, match='has neither egocenctirc nor egocentric nor action_labels'):
        ThermoHands(tmp_path)


def test_missing_images_and_wrong_sizes_are_named(training_tree):
    path = training_tree.root / 'subject_03/tap/thermal320_256/000000.png'
    write_png(path, np.zeros((300, 320), np.uint8))
    with pytest.raises(DataError, match=r'thermal images of 320 x 300 .*is not about'):
        ThermoHands(training_tree.root)[0]
    path.write_bytes(b'no image')
    with pytest.raises(DataError, match='000000.png is no image'):
        ThermoHands(training_tree.root)[0]
    path.unlink()
    with pytest.raises(DataError, match='000000.png is missing: obtain it from'):
        ThermoHands(training_tree.root)[0]


def test_split_lists_cannot_lead_out_of_the_folder(training_tree):
    path = training_tree.root / 'action_labels' / 'action_train.txt'
    path.write_text('header\n1 ../secret 0 0 1\n')
    with pytest.raises(DataError, match='outside of'):
        ThermoHands(training_tree.root)


def test_a_k_of_other_images_is_refused(training_tree):
    path = training_tree.root / 'calibration' / 'ego_calib.json'
    document = json.loads(path.read_text())
    document['thermal_mtx'] = [[205, 0, 1600], [0, 205, 126], [0, 0, 1]]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r'ego_calib.json, camera thermal: .* of 640 x 512'):
        ThermoHands(training_tree.root)[0]

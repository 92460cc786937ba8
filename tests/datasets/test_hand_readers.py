"""ARCTIC, AssemblyHands, H2O, EPIC and Ego-Exo4D on tiny files in their formats."""

import numpy as np
import pytest

from hand_pose_ros.datasets.arctic import Arctic
from hand_pose_ros.datasets.assembly_hands import AssemblyHands
from hand_pose_ros.datasets.collate import collate
from hand_pose_ros.datasets.ego_exo4d import EgoExo4D
from hand_pose_ros.datasets.epic import EpicHandKps, EpicVisor
from hand_pose_ros.datasets.h2o import H2O
from hand_pose_ros.errors import DataError
from hand_pose_ros.skeleton import JOINT_NAMES, OPENPOSE_TO_MANO

from .conftest import write_json, write_object_npy, write_pickle, write_png

# Internal joints as AssemblyHands orders them: each finger from tip to base, the wrist last.
TO_ASSEMBLY = [joint for base in (1, 5, 9, 13, 17) for joint in range(base + 3, base - 1, -1)] + [0]


def hands(seed):
    """Joints (2, 21, 3) of (left, right) in the internal order, metres."""
    return np.random.default_rng(seed).uniform((-0.08, -0.08, 0.42), (0.08, 0.08, 0.58), (2, 21, 3))


# ARCTIC


@pytest.fixture
def arctic(tmp_path):
    """Four frames, from image 12 on; the left hand is not valid in the third."""
    root = tmp_path / 'arctic'
    joints = np.stack([hands(frame) for frame in range(4)])  # (4, 2, 21, 3)
    mano = joints[:, :, list(OPENPOSE_TO_MANO)].astype(np.float32)
    views = np.stack([mano, np.full_like(mano, 9)], 1)  # view 0 and another
    draw = np.random.default_rng(0)
    parameters = {
        'K_ego': np.tile(np.array([[900.0, 0, 1390], [0, 905, 1010], [0, 0, 1]]), (4, 1, 1)),
        'dist': np.tile([-0.2, 0.05, 0.001, 0, 0.002, 0.01, 0.02, 0.001], (4, 1)),
        **{f'pose_{s}': draw.normal(size=(4, 45)) for s in 'lr'},
        **{f'shape_{s}': draw.normal(size=(4, 10)) for s in 'lr'},
    }
    camera = {
        'joints.left': views[:, :, 0], 'joints.right': views[:, :, 1],
        **{f'rot_{s}_cam': draw.normal(size=(4, 2, 3)) for s in 'lr'},
        **{key: np.ones((4, 2), np.int64) for key in ('is_valid', 'left_valid', 'right_valid')},
    }  # fmt: skip
    camera['left_valid'][2] = 0
    names = [f'./arctic_data/data/images/s05/box_use_01/{view}/{12 + frame:05d}.jpg'
             for frame in (0, 1, 2, 3) for view in (0, 1)]  # fmt: skip
    content = {
        'data_dict': {'s05/box_use_01': {'cam_coord': camera, '2d': {}, 'params': parameters,
                                         'bbox': np.zeros((4, 2, 3))}},
        'imgnames': names,
    }  # fmt: skip
    write_object_npy(root / 'splits' / 'p2_val.npy', content)
    write_json(root / 'meta' / 'misc.json',
               {'s05': {'ioi_offset': 12, 'image_size': [[2800, 2000], [1000, 1000]]}})  # fmt: skip
    for frame in range(4):
        path = root / 'cropped_images' / 's05/box_use_01/0' / f'{12 + frame:05d}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, np.full((600, 840, 3), frame, np.uint8))
    return root, joints, parameters, camera


def test_arctic_is_read_from_view_0_with_its_lens(arctic):
    root, joints, parameters, camera = arctic
    dataset = Arctic(root, split='val')
    assert len(dataset) == 4 and dataset.segments == [range(4)]
    sample = dataset[1]
    np.testing.assert_allclose(sample.joints, joints[1], atol=1e-6)
    np.testing.assert_allclose(sample.hand_pose[1].ravel(), parameters['pose_r'][1])
    np.testing.assert_allclose(sample.betas[0], parameters['shape_l'][1])
    np.testing.assert_allclose(sample.global_orient[0], camera['rot_l_cam'][1, 0])
    assert (sample.camera.width, sample.camera.height) == (840, 600)
    assert sample.camera.intrinsics[0, 0] == pytest.approx(270)
    assert sample.camera.distortion_model == 'rational_polynomial'
    expected = sample.camera.project(joints[1].astype(np.float32).reshape(-1, 3))
    np.testing.assert_allclose(sample.pixels.reshape(-1, 2), expected)
    assert (sample.sequence, sample.index) == ('s05/box_use_01', 13)
    assert not sample.valid['camera'].any()  # its translations are in another frame


def test_an_invalid_hand_of_arctic_is_not_labelled(arctic):
    valid = Arctic(arctic[0], split='val')[2].valid
    assert valid['joints_3d'].tolist() == valid['pose'].tolist() == [False, True]
    # Poses count from MANO's mean pose, which is the user's to supply.
    batch = collate([[Arctic(arctic[0], split='val')[2]]], size=(224, 160))
    assert not batch.valid['pose'].any() and batch.valid['joints_3d'].tolist() == [[False, True]]


def test_missing_and_foreign_files_of_arctic_are_named(arctic, tmp_path):
    root = arctic[0]
    with pytest.raises(DataError, match=r'p2_train.npy is missing: obtain it from .*ARCTIC'):
        Arctic(root, split='train')
    with pytest.raises(DataError, match='cropped_images/s05/.*2800 x 2000: use images and cal'):
        Arctic(root, split='val', scale=1)[0]
    (root / 'meta/misc.json').unlink()
    with pytest.raises(DataError, match=r'misc.json is missing: obtain it from .*ARCTIC'):
        Arctic(root, split='val')
    with pytest.raises(DataError, match=r'nowhere is missing: obtain it from .*ARCTIC'):
        Arctic(tmp_path / 'nowhere')
    write_object_npy(root / 'splits/p2_val.npy', {'data_dict': {}})
    write_json(root / 'meta/misc.json', {})
    with pytest.raises(DataError, match=r"p2_val.npy is not in its format \(KeyError: 'imgnames'"):
        Arctic(root, split='val')


# AssemblyHands


@pytest.fixture
def assembly(tmp_path):
    """Two frames of one camera; the right index tip of the second is not valid."""
    root = tmp_path / 'assembly'
    folder = root / 'annotations' / 'val'
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    extrinsics = np.column_stack([turn, [10.0, -20.0, 30.0]])  # millimetres
    joints = [hands(10), hands(11)]
    data = {'images': [], 'annotations': []}
    labels, poses = {}, {}
    for place, number in enumerate((30, 32)):
        name = f'ego_images/rec/HMC_1/{number:06d}.png'
        data['images'].append({'id': 5 + place, 'seq_name': 'rec', 'camera': 'HMC_1',
                               'frame_idx': number, 'file_name': name, 'width': 64,
                               'height': 48})  # fmt: skip
        known = np.ones((42, 1))
        known[7, 0] = 1 - place  # right index base is 7, its tip 4
        data['annotations'].append({'id': place, 'image_id': 5 + place,
                                    'joint_valid': known.tolist(),
                                    'bbox': {'right': [1, 2, 30, 40], 'left': None}})  # fmt: skip
        assembled = joints[place][::-1][:, TO_ASSEMBLY].reshape(42, 3) * 1000  # right first
        world = (assembled - extrinsics[:, 3]) @ turn
        labels[f'{number:06d}'] = {'world_coord': world.tolist()}
        poses[f'{number:06d}'] = {'HMC_1_mono10bit': extrinsics.tolist()}
        write_png(root / 'images' / name, np.full((48, 64), place, np.uint8))
    k = [[60.0, 0, 31], [0, 61, 25], [0, 0, 1]]
    write_json(folder / 'assemblyhands_val_ego_data_v1-1.json', data)
    write_json(folder / 'assemblyhands_val_ego_calib_v1-1.json',
               {'calibration': {'rec': {'intrinsics': {'HMC_1_mono10bit': k},
                                        'extrinsics': poses}}})  # fmt: skip
    write_json(folder / 'assemblyhands_val_joint_3d_v1-1.json', {'annotations': {'rec': labels}})
    return root, joints


def test_assembly_hands_are_metres_in_the_cameras_frame_and_order(assembly):
    root, joints = assembly
    dataset = AssemblyHands(root, split='val')
    assert len(dataset) == 2 and dataset.segments == [range(2)]
    np.testing.assert_allclose(dataset[0].joints, joints[0], atol=1e-9)
    sample = dataset[1]
    np.testing.assert_array_equal(sample.boxes, [[np.nan] * 4, [1, 2, 30, 40]])
    unknown = np.argwhere(np.isnan(sample.joints[..., 0]))
    assert unknown.tolist() == [[1, JOINT_NAMES.index('index_mcp')]]
    assert np.isnan(sample.pixels[1, 5]).all() and sample.valid['joints_2d'].all()
    assert sample.index == 32 and sample.image.shape == (48, 64, 3)


def test_missing_files_of_assembly_hands_are_named(assembly, tmp_path):
    root, _ = assembly
    with pytest.raises(DataError, match=r'train_ego_data_v1-1.json is missing: .*AssemblyHands'):
        AssemblyHands(root)
    with pytest.raises(DataError, match=r'nowhere is missing: .*AssemblyHands'):
        AssemblyHands(tmp_path / 'nowhere')
    write_png(root / 'images/ego_images/rec/HMC_1/000030.png', np.zeros((50, 64), np.uint8))
    dataset = AssemblyHands(root, split='val')
    with pytest.raises(DataError, match='000030.png has 64 x 50 pixels, its K is about 64 x 48'):
        dataset[0]
    (root / 'images/ego_images/rec/HMC_1/000032.png').unlink()
    with pytest.raises(DataError, match='000032.png is missing'):
        dataset[1]
    write_json(root / 'annotations/val/assemblyhands_val_ego_data_v1-1.json', {'images': []})
    with pytest.raises(DataError, match='ego_data_v1-1.json is not in its format'):
        AssemblyHands(root, split='val')


# H2O


@pytest.fixture(params=['hand_pose_mano', 'hand_pose_MANO'])
def h2o(request, tmp_path):
    """Three frames in two runs; the left hand of the last one is not annotated."""
    root = tmp_path / 'h2o'
    view = root / 'subject3/k2/0/cam4'
    joints, mano = [hands(n) for n in range(3)], np.random.default_rng(0).normal(size=(3, 2, 61))
    numbers = (20, 21, 40)
    for place, number in enumerate(numbers):
        write_png(view / 'rgb' / f'{number:06d}.png', np.full((72, 128, 3), place, np.uint8))
        known = np.array([place < 2, True], float)
        for folder, values in (('hand_pose', joints[place].reshape(2, 63)),
                               (request.param, mano[place])):  # fmt: skip
            (view / folder).mkdir(exist_ok=True)
            row = np.column_stack([known, values * known[:, None]]).ravel()
            np.savetxt(view / folder / f'{number:06d}.txt', row[None])
    (view / 'cam_intrinsics.txt').write_text('63.6 63.7 65.1 36.4 128 72')
    (root / 'pose_lists').mkdir()
    lines = [f'subject3/k2/0/cam4/rgb/{number:06d}.png' for number in numbers]
    (root / 'pose_lists' / 'pose_val.txt').write_text('\n'.join(lines) + '\n')
    return root, joints, mano


def test_h2o_has_left_first_in_the_internal_order(h2o):
    root, joints, mano = h2o
    dataset = H2O(root, split='val')
    assert dataset.segments == [range(2), range(2, 3)]
    sample = dataset[1]
    np.testing.assert_allclose(sample.joints, joints[1])
    np.testing.assert_allclose(sample.translation, mano[1, :, :3])
    np.testing.assert_allclose(sample.global_orient, mano[1, :, 3:6])
    np.testing.assert_allclose(sample.hand_pose.reshape(2, 45), mano[1, :, 6:51])
    np.testing.assert_allclose(sample.betas, mano[1, :, 51:])
    np.testing.assert_allclose(sample.pixels[0], sample.camera.project(joints[1][0]))
    assert sample.convention.flat_mean


def test_hands_that_h2o_did_not_annotate_are_invalid(h2o):
    valid = H2O(h2o[0], split='val')[2].valid
    for name in ('joints_3d', 'joints_2d', 'pose', 'betas', 'camera'):
        assert valid[name].tolist() == [False, True], name


def test_missing_and_malformed_files_of_h2o_are_named(h2o, tmp_path):
    root = h2o[0]
    with pytest.raises(DataError, match=r'pose_lists/pose_train.txt is missing: .*H2O'):
        H2O(root)
    with pytest.raises(DataError, match=r'nowhere is missing: .*H2O'):
        H2O(tmp_path / 'nowhere')
    view = root / 'subject3/k2/0/cam4'
    (view / 'hand_pose/000020.txt').write_text('1 2 3')
    with pytest.raises(DataError, match='hand_pose/000020.txt must hold 128 numbers'):
        H2O(root, split='val')[0]
    (view / 'cam_intrinsics.txt').write_text('636 637 651 364 128 72')
    with pytest.raises(DataError, match=r'cam_intrinsics.txt: fx, fy, cx, cy = .* of 128 x 72'):
        H2O(root, split='val')[1]
    (root / 'pose_lists/pose_val.txt').write_text('/etc/cam4/rgb/000001.png')
    with pytest.raises(DataError, match='outside of'):
        H2O(root, split='val')


# EPIC


@pytest.fixture
def epic(tmp_path):
    """Two images with joints, three with masks and grasps; 96 x 54 pixels."""
    root = tmp_path / 'epic'
    draw = np.random.default_rng(0)
    joints = draw.uniform(5, 50, (21, 2))  # internal order
    entry = {'bbox': [1, 1, 60, 50], 'joints': joints[TO_ASSEMBLY],
             'joints_valid': np.ones(21)}  # fmt: skip
    few = dict(entry, joints_valid=[1, 1] + [0] * 19)
    write_pickle(root / 'hands_5000.pkl',
                 {'./P01/a.jpg': {'right': entry}, './P01/b.jpg': {'left': few, 'right': entry},
                  './P01/no_box.jpg': {'right': entry}}, protocol=2)  # fmt: skip
    box = [10, 5, 40, 45]
    write_pickle(root / 'grasp_visor_val.pkl',
                 {'./P01/a.jpg': {'right_bbox': box, 'left_bbox': None},
                  './P01/b.jpg': {'right_bbox': None, 'left_bbox': box}})  # fmt: skip
    grasps = {
        './P01/a.jpg': {'right_bbox': np.array(box), 'left_bbox': None,
                        'right_grasp': 'Pow-Circ', 'left_grasp': None},
        './P01/b.jpg': {'right_bbox': box, 'left_bbox': [50, 5, 90, 45], 'right_grasp': None,
                        'left_grasp': 'NP-Palm'},
        './P01/no_mask.jpg': {'right_bbox': box, 'left_bbox': None, 'right_grasp': 'Other',
                              'left_grasp': None},
    }  # fmt: skip
    write_pickle(root / 'grasp_visor_train.pkl', grasps)
    write_pickle(root / 'modal_amodal_annot.pkl',
                 {'./P01/a.jpg': {'right': 1}, './P01/b.jpg': {'right': 0, 'left': 1}})  # fmt: skip
    mask = np.zeros((54, 96, 3), np.uint8)
    mask[:, :45, 0], mask[:, 45:, 0] = 255, 127
    np.savez(root / 'visor_pred_masks_train.npz', **{'./P01/a.jpg': mask, './P01/b.jpg': mask})
    for name in ('a', 'b', 'no_mask', 'no_box'):
        write_png(root / 'P01' / f'{name}.jpg', np.zeros((54, 96, 3), np.uint8))
    return root, joints


def test_epic_joints_count_with_a_box_and_three_visible_ones(epic):
    root, joints = epic
    dataset = EpicHandKps(root)
    assert len(dataset) == 2
    np.testing.assert_allclose(dataset[0].pixels[1], joints)
    assert dataset[0].valid['joints_2d'].tolist() == [False, True]
    assert not dataset[1].valid['joints_2d'].any()  # too few joints; no box
    assert not dataset[0].valid['joints_3d'].any()
    camera = dataset[0].camera
    np.testing.assert_allclose(camera.intrinsics[[0, 0, 1], [0, 2, 2]], (50, 47.5, 26.5))


def test_visor_masks_and_grasps(epic):
    dataset = EpicVisor(epic[0])
    assert len(dataset) == 2
    first, second = dataset
    assert first.grasp == (-1, 4) and second.grasp == (0, 8)
    assert first.valid['mask'].tolist() == [False, True]  # no left hand
    assert second.valid['mask'].tolist() == [True, False]  # the right one is occluded
    assert (first.mask == 2).sum() == 40 * 30 and not (first.mask == 1).any()
    assert (second.mask == 1).sum() == 40 * 40
    assert EpicVisor(epic[0], targets='mask')[0].grasp == (-1, -1)
    assert len(EpicVisor(epic[0], targets='grasp')) == 3
    batch = collate([[first], [second]], size=(48, 27))
    assert batch.valid['grasp'].tolist() == [[False, True], [True, True]]
    np.testing.assert_allclose(batch.boxes[0, 1], [4.75, 2.25, 19.75, 22.25])


def test_image_names_may_have_a_prefix_but_not_lead_elsewhere(epic):
    root, _ = epic
    write_pickle(root / 'grasp_visor_train.pkl',
                 {'/data/epic/P01/a.jpg': {'right_bbox': None, 'left_bbox': None,
                                           'right_grasp': None, 'left_grasp': None}})  # fmt: skip
    assert EpicVisor(root, targets='grasp', prefix='/data/epic')[0].grasp == (-1, -1)
    with pytest.raises(DataError, match='outside of'):
        EpicVisor(root, targets='grasp')[0]


def test_missing_files_of_epic_are_named(epic, tmp_path):
    root, _ = epic
    with pytest.raises(DataError, match=r'nowhere is missing: .*WildHands'):
        EpicHandKps(tmp_path / 'nowhere')
    (root / 'P01/a.jpg').unlink()
    with pytest.raises(DataError, match='P01/a.jpg is missing'):
        EpicVisor(root)[0]
    (root / 'visor_pred_masks_train.npz').write_bytes(b'PK no archive')
    with pytest.raises(DataError, match='visor_pred_masks_train.npz cannot be read'):
        EpicVisor(root)
    (root / 'visor_pred_masks_train.npz').unlink()
    with pytest.raises(DataError, match=r'visor_pred_masks_train.npz is missing: .*WildHands'):
        EpicVisor(root)
    (root / 'grasp_visor_val.pkl').unlink()
    with pytest.raises(DataError, match=r'grasp_visor_val.pkl is missing: .*WildHands'):
        EpicHandKps(root)
    write_pickle(root / 'hands_5000.pkl', [1])
    write_pickle(root / 'grasp_visor_val.pkl', {})
    with pytest.raises(DataError, match='hands_5000.pkl is not in its format'):
        EpicHandKps(root)


# Ego-Exo4D


@pytest.fixture
def ego_exo(tmp_path):
    """One image with a left wrist, thumb tip and little base."""

    def point(*values):
        return dict(zip('xyz', values, strict=False))

    labels = {'left_wrist': (0.1, 0.0, 0.5), 'left_thumb_4': (0.12, 0.02, 0.5),
              'left_pinky_1': (0.08, 0.01, 0.5)}  # fmt: skip
    entry = {
        'img': np.zeros((60, 80, 3), np.uint8), 'crop_size': [60, 80], 'image_size': [120, 160],
        'intrx': [[100.0, 0, 79.5], [0, 100, 59.5], [0, 0, 1]],
        'j3d': {name: point(*xyz) for name, xyz in labels.items()},
        'j2d': {name: point(50 * x / z + 39.5, 50 * y / z + 29.5)
                for name, (x, y, z) in labels.items()},
    }  # fmt: skip
    write_pickle(tmp_path / 'joint_annotations_egoexo_val.pkl', {'take_1': entry})
    return tmp_path, entry


def test_ego_exo_has_partial_hands(ego_exo):
    [sample] = EgoExo4D(ego_exo[0])
    known = np.argwhere(np.isfinite(sample.joints[..., 0]))
    names = {JOINT_NAMES[joint] for _, joint in known}
    assert names == {'wrist', 'thumb_tip', 'little_mcp'} and set(known[:, 0]) == {0}
    np.testing.assert_allclose(sample.joints[0, 4], (0.12, 0.02, 0.5))
    projected = sample.camera.project(sample.joints[0, [0, 4, 17]])
    np.testing.assert_allclose(sample.pixels[0, [0, 4, 17]], projected)
    batch = collate([[sample]])
    assert batch.valid['joints_3d'].tolist() == [[True, False]]


def test_ego_exo_refuses_what_it_cannot_use(ego_exo, tmp_path):
    root, entry = ego_exo
    path = root / 'joint_annotations_egoexo_val.pkl'
    write_pickle(path, {'take_1': {**entry, 'image_size': [120, 120]}})
    with pytest.raises(DataError, match='K is about 120 x 120|do not belong'):
        EgoExo4D(root)[0]
    write_pickle(path, {'take_1': {'img': entry['img']}})
    with pytest.raises(DataError, match="is not in its format .*'j2d'"):
        EgoExo4D(root)[0]
    path.unlink()
    with pytest.raises(
        DataError, match=r'joint_annotations_egoexo_val.pkl is missing: .*Ego-Exo4D'
    ):
        EgoExo4D(root)

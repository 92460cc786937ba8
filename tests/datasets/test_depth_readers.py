"""NYU, ICVL and MSRA on tiny files in their formats."""

import numpy as np
import pytest
from scipy.io import savemat

from hand_pose_ros.datasets.icvl import Icvl
from hand_pose_ros.datasets.msra import GESTURES, SUBJECTS, Msra, subjects_of
from hand_pose_ros.datasets.nyu import JOINTS, Nyu
from hand_pose_ros.errors import DataError

from .conftest import write_msra_frame, write_pickle, write_png

# NYU


@pytest.fixture
def nyu(tmp_path):
    """Two frames of three views, train and test."""
    root = tmp_path / 'nyu'
    joints = np.random.default_rng(0).uniform((-100, -100, 600), (100, 100, 800), (3, 2, 36, 3))
    depth = np.random.default_rng(1).integers(0, 2000, (480, 640)).astype(np.uint16)
    depth[0, :3] = 0, 255, 256
    image = np.zeros((480, 640, 3), np.uint8)  # blue, green, red
    image[..., 0], image[..., 1], image[..., 2] = depth & 255, depth >> 8, 77
    for split in ('train', 'test'):
        (root / split).mkdir(parents=True)
        savemat(root / split / 'joint_data.mat', {'joint_xyz': joints, 'joint_uvd': joints})
        for view in (1, 2, 3):
            for frame in (1, 2):
                write_png(root / split / f'depth_{view}_{frame:07d}.png', image)
    return root, joints, depth


def test_nyu_joints_are_14_metres_with_y_down(nyu):
    root, joints, _ = nyu
    dataset = Nyu(root)
    assert len(dataset) == 6  # 3 views
    assert len(JOINTS) == 14
    expected = joints[1, 1][list(JOINTS)] / 1000 * (1, -1, 1)
    np.testing.assert_allclose(dataset[3].joints, expected)
    assert (dataset[3].sequence, dataset[3].index) == ('train/2', 1)
    assert dataset.camera.intrinsics[0, 0] == 588.235
    # A joint is projected with v growing down.
    above = expected.copy()
    above[:, 1] = -0.05
    assert (dataset.camera.project(above)[:, 1] < 240).all()


def test_nyu_depth_is_green_and_blue(nyu):
    root, _, depth = nyu
    sample = Nyu(root, split='test')[0]
    expected = np.where(depth > 0, depth.astype(np.float32) * np.float32(1e-3), np.nan)
    np.testing.assert_array_equal(sample.depth, expected)
    assert sample.depth.dtype == np.float32
    assert len(Nyu(root, split='test')) == 2  # view 1


@pytest.mark.parametrize('protocol', [2, 4])
def test_nyu_test_boxes(nyu, tmp_path, protocol):
    root = nyu[0]
    boxes = np.array([[10.0, 20, 110, 130, 900], [11, 21, 111, 131, 901]])
    write_pickle(tmp_path / 'nyu_bbx.pkl', [boxes], protocol)
    dataset = Nyu(root, split='test', boxes=tmp_path / 'nyu_bbx.pkl')
    np.testing.assert_allclose(dataset[1].box, [21, 11, 131, 111, 0.901])
    assert Nyu(root, split='test')[1].box is None
    write_pickle(tmp_path / 'nyu_bbx.pkl', [boxes[0].tolist()])
    np.testing.assert_allclose(
        Nyu(root, split='test', boxes=tmp_path / 'nyu_bbx.pkl')[1].box, [20, 10, 130, 110, 0.9]
    )
    write_pickle(tmp_path / 'nyu_bbx.pkl', np.zeros((7, 5)))
    with pytest.raises(DataError, match='nyu_bbx.pkl must hold 5 numbers'):
        Nyu(root, split='test', boxes=tmp_path / 'nyu_bbx.pkl')


def test_missing_and_malformed_files_of_nyu_are_named(nyu, tmp_path):
    root = nyu[0]
    with pytest.raises(DataError, match=r'nowhere is missing: .*NYU'):
        Nyu(tmp_path / 'nowhere')
    write_png(root / 'test/depth_1_0000001.png', np.zeros((240, 320, 3), np.uint8))
    (root / 'test/depth_1_0000002.png').unlink()
    dataset = Nyu(root, split='test')
    with pytest.raises(DataError, match='depth_1_0000001.png has 320 x 240 pixels, .* 640 x 480'):
        dataset[0]
    with pytest.raises(DataError, match='depth_1_0000002.png is missing: .*NYU'):
        dataset[1]
    savemat(root / 'train/joint_data.mat', {'joint_xyz': np.zeros((1, 2, 36, 3))})
    with pytest.raises(DataError, match='has 1 views, expected 3'):
        Nyu(root)
    savemat(root / 'train/joint_data.mat', {'other': 1})
    with pytest.raises(DataError, match='joint_data.mat has no joint_xyz'):
        Nyu(root)
    (root / 'train/joint_data.mat').write_bytes(b'no mat')
    with pytest.raises(DataError, match='joint_data.mat has no joint_xyz'):
        Nyu(root)
    (root / 'train/joint_data.mat').unlink()
    with pytest.raises(DataError, match='train/joint_data.mat is missing: .*NYU'):
        Nyu(root)


# ICVL


@pytest.fixture
def icvl(tmp_path):
    """Two original frames and a turned copy; one test frame."""
    root = tmp_path / 'icvl'
    draw = np.random.default_rng(0)
    uvd = draw.uniform((100, 80, 300), (200, 160, 450), (4, 16, 3)).round(3)
    names = ('201403121135/image_0000.png', '201403121135/image_0001.png', '22-5/image_0000.png')
    lines = [f'{name} ' + ' '.join(map(str, joints.ravel()))
             for name, joints in zip(names, uvd, strict=False)]  # fmt: skip
    depth = draw.integers(0, 500, (240, 320)).astype(np.uint16)
    for name in names:
        write_png(root / 'Training' / 'Depth' / name, depth)
    (root / 'Training' / 'labels.txt').write_text('\n'.join(lines) + '\n')
    write_png(root / 'Testing' / 'Depth' / 'test_seq_1/image_0000.png', depth)
    last = ' '.join(map(str, uvd[3].ravel()))
    (root / 'Testing' / 'labels.txt').write_text(f'test_seq_1/image_0000.png {last}\n')
    return root, uvd, depth


def test_icvl_trains_on_original_frames_only(icvl):
    root, uvd, depth = icvl
    dataset = Icvl(root)
    assert len(dataset) == 2
    assert {sample.sequence for sample in dataset} == {'201403121135'}
    [test] = Icvl(root, split='test')
    assert test.sequence == 'test_seq_1' and test.box is None
    sample = dataset[1]
    np.testing.assert_allclose(dataset.camera.project(sample.joints), uvd[1, :, :2], atol=1e-9)
    np.testing.assert_allclose(sample.joints[:, 2], uvd[1, :, 2] / 1000)
    x = (uvd[1, :, 0] - 160) * uvd[1, :, 2] / 241.42 / 1000
    np.testing.assert_allclose(sample.joints[:, 0], x)
    assert np.nanmax(sample.depth) == np.float32(depth.max()) * np.float32(1e-3)


def test_missing_and_malformed_files_of_icvl_are_named(icvl, tmp_path):
    root = icvl[0]
    with pytest.raises(DataError, match=r'nowhere is missing: .*ICVL'):
        Icvl(tmp_path / 'nowhere')
    path = root / 'Training/Depth/201403121135/image_0000.png'
    write_png(path, np.zeros((240, 320), np.uint8))
    with pytest.raises(DataError, match='image_0000.png must be a 16-bit image'):
        Icvl(root)[0]
    path.unlink()
    with pytest.raises(DataError, match='image_0000.png is missing: .*ICVL'):
        Icvl(root)[0]
    (root / 'Testing/labels.txt').write_text('a.png 1 2 3\n')
    with pytest.raises(DataError, match=r'labels.txt line 1 must be an image and 16 x'):
        Icvl(root, split='test')
    (root / 'Testing/labels.txt').write_text(f'../a.png {"1 " * 48}\n')
    with pytest.raises(DataError, match='outside of'):
        Icvl(root, split='test')[0]
    (root / 'Testing/labels.txt').unlink()
    with pytest.raises(DataError, match='Testing/labels.txt is missing: .*ICVL'):
        Icvl(root, split='test')


# MSRA


@pytest.fixture
def msra(tmp_path):
    """One frame per gesture and subject, three of P2/5 with an empty one between."""
    root = tmp_path / 'msra'
    depth = np.zeros((240, 320), np.float32)
    for subject in SUBJECTS:
        for gesture in GESTURES:
            folder = root / f'P{subject}' / gesture
            frames = 3 if (subject, gesture) == (2, '5') else 1
            lines = [str(frames)]
            for frame in range(frames):
                joints = np.full((21, 3), 10.0 * subject + frame)
                joints[:, 2] = -400 - frame
                lines.append(' '.join(map(str, joints.ravel())))
                depth[80:180, 100:200] = 0 if frame == 1 else 400 + frame
                write_msra_frame(folder / f'{frame:06d}_depth.bin', depth)
            (folder / 'joint.txt').write_text('\n'.join(lines) + '\n')
    return root


@pytest.mark.parametrize('held_out', SUBJECTS)
def test_the_subject_left_out_is_not_trained_on(held_out):
    train, test = subjects_of('train', held_out), subjects_of('test', held_out)
    assert not set(train) & set(test)
    assert len(train) == 8 and len(test) == 1
    assert sorted(train + test) == list(SUBJECTS)


def test_msra_splits_are_disjoint_on_the_disk(msra):
    train, test = Msra(msra, held_out=2), Msra(msra, split='test', held_out=2)
    of = {name: {sample.sequence.split('/')[0] for sample in part}
          for name, part in (('train', train), ('test', test))}  # fmt: skip
    assert of['test'] == {'P2'} and 'P2' not in of['train'] and len(of['train']) == 8
    assert (len(train), len(test)) == (8 * 17, 17 + 2)


def test_msra_negates_y_and_z_and_places_the_crop(msra):
    test = Msra(msra, split='test', held_out=2)
    samples = [sample for sample in test if sample.sequence == 'P2/5']
    np.testing.assert_allclose(samples[2].joints, np.tile([0.022, -0.022, 0.402], (21, 1)))
    seen = np.isfinite(samples[2].depth)
    assert seen[80:180, 100:200].all() and seen.sum() == 100 * 100
    np.testing.assert_allclose(samples[2].depth[seen], 0.402, atol=1e-6)


def test_an_empty_frame_of_msra_shows_the_one_before(msra):
    samples = [s for s in Msra(msra, split='test', held_out=2) if s.sequence == 'P2/5']
    np.testing.assert_array_equal(samples[1].depth, samples[0].depth)
    np.testing.assert_allclose(samples[1].joints[0], (0.021, -0.021, 0.401))
    write_msra_frame(msra / 'P2/5/000000_depth.bin', np.zeros((240, 320), np.float32))
    [first, second, _] = [s for s in Msra(msra, split='test', held_out=2) if s.sequence == 'P2/5']
    assert np.isnan(first.depth).all() and np.isnan(second.depth).all()


def test_missing_and_malformed_files_of_msra_are_named(msra, tmp_path):
    with pytest.raises(DataError, match=r'nowhere is missing: .*MSRA'):
        Msra(tmp_path / 'nowhere')
    with pytest.raises(DataError, match='there is no subject 9: hold out one of 0 to 8'):
        Msra(msra, held_out=9)
    path = msra / 'P0/1/000000_depth.bin'
    dataset = Msra(msra, split='test')
    content = path.read_bytes()
    for damaged, message in (
        (content[:10], 'is cut off'),
        (content[:-4], 'expected 40024'),
        (np.array([640, 480, 0, 0, 9, 9], '<i4').tobytes(), 'its K is about 320 x 240'),
        (np.array([320, 240, 0, 0, 999, 9], '<i4').tobytes(), 'part .*999'),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=f'000000_depth.bin .*{message}'):
            dataset[0]
    path.unlink()
    with pytest.raises(DataError, match='000000_depth.bin is missing: .*MSRA'):
        dataset[0]
    (msra / 'P0/TIP/joint.txt').write_text('2\n1 2 3\n')
    with pytest.raises(DataError, match='TIP/joint.txt must hold a count'):
        Msra(msra, split='test')
    (msra / 'P0/TIP/joint.txt').unlink()
    with pytest.raises(DataError, match='TIP/joint.txt is missing: .*MSRA'):
        Msra(msra, split='test')

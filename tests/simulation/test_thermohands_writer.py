"""The data set writer: folders, files, labels and calibration of ThermoHands."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from hand_pose_ros.errors import DataError
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.thermohands import read_calibration, rig_from_calibration
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.thermohands_writer import ThermoHandsWriter

FRAMES = 2
SIZES = {
    'thermal320_256': (256, 320), 'mask320_256': (256, 320), 'jet_320_256': (256, 320, 3),
    'rgb320_240': (240, 320, 3), 'ir320_240': (240, 320), 'depth320_240': (240, 320),
    'rgbmask320_240': (240, 320),
}  # fmt: skip


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """A data set of two clips in the training layout."""
    root = tmp_path_factory.mktemp('data') / 'hands'
    writer = ThermoHandsWriter(root, SimulationConfig(setting='office', rectified=False, seed=3))
    clips = [writer.write_clip(number, FRAMES) for number in (0, 1)]
    writer.finish()
    return root, writer, clips


def read(root, clip, folder, frame):
    path = root / clip.folder / folder / f'{frame:06d}.png'
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_every_folder_has_images_of_its_size(written):
    root, _, clips = written
    for folder, shape in SIZES.items():
        for frame in range(FRAMES):
            image = read(root, clips[0], folder, frame)
            assert image.shape == shape, folder
            assert image.dtype == (np.uint16 if folder.startswith('depth') else np.uint8)


def test_depth_is_millimetres_and_masks_are_black_and_white(written):
    root, _, clips = written
    depth = read(root, clips[0], 'depth320_240', 0)
    assert 300 < np.median(depth[depth > 0]) < 5000
    for folder in ('mask320_256', 'rgbmask320_240'):
        mask = read(root, clips[0], folder, 0)
        assert set(np.unique(mask)) <= {0, 255}
    assert (read(root, clips[0], 'mask320_256', 0) == 255).any()


def test_labels_have_the_format_of_the_data_set_and_say_what_was_simulated(written):
    root, writer, clips = written
    batch = BatchSimulator(writer.config).clips([0], ('nir',), FRAMES)['nir']
    for frame in range(FRAMES):
        text = (root / clips[0].folder / 'gt_info' / f'{frame:06d}.json').read_text()
        document = json.loads(text)
        for index, side in enumerate('LR'):
            shapes = {'kps3D': (21, 3), 'poseCoeff': (1, 48), 'beta': (1, 10), 'trans': (1, 3)}
            values = {k: np.array(document[f'{k}_{side}'], float) for k in shapes}
            for key, shape in shapes.items():
                assert values[key].shape == shape
            np.testing.assert_allclose(values['kps3D'], batch.joints[frame, index], atol=1e-6)
            pose = torch.cat([batch.global_orient[frame, index],
                              batch.hand_pose[frame, index].flatten()])  # fmt: skip
            np.testing.assert_allclose(values['poseCoeff'][0], pose, atol=1e-6)
    assert len(document) == 8


def test_the_wrist_is_the_rest_wrist_plus_the_translation(written):
    root, _, clips = written
    document = json.loads((root / clips[1].folder / 'gt_info' / '000001.json').read_text())
    for letter, side in (('L', 'left'), ('R', 'right')):
        wrist = np.array(document[f'kps3D_{letter}'], float)[0]
        betas = np.array(document[f'beta_{letter}'], float)
        if np.isnan(wrist).any():
            continue
        rest = HandModel(load_hand_model(side)).rest_joints(betas)[0, 0]
        translation = np.array(document[f'trans_{letter}'], float)[0]
        np.testing.assert_allclose(wrist, rest + translation, atol=2e-6)


def test_a_hand_out_of_view_is_null(tmp_path):
    config = SimulationConfig(setting='office', rectified=False, split='val')
    writer = ThermoHandsWriter(tmp_path / 'a', config)
    numbers = range(40)
    labels = BatchSimulator(writer.config).clips(numbers, ('nir',), 1)['nir'].joints
    gone = [n for n in numbers if labels[n].isnan().any()]
    assert gone
    clip = writer.write_clip(gone[0], 1)
    text = (tmp_path / 'a' / clip.folder / 'gt_info' / '000000.json').read_text()
    assert 'NaN' not in text and 'null' in text


def test_points_of_the_nir_camera_land_on_the_thermal_mask(written):
    root, _, clips = written
    rig = rig_from_calibration(read_calibration(root / 'calibration' / 'ego_calib.json'))
    thermal = rig.cameras['thermal']
    T_thermal_nir = np.linalg.inv(thermal.T_rig_cam) @ rig.cameras['nir'].T_rig_cam
    hits, total = 0, 0
    for clip in clips:
        document = json.loads((root / clip.folder / 'gt_info' / '000000.json').read_text())
        mask = read(root, clip, 'mask320_256', 0)
        for side in 'LR':
            # Tips and wrist lie on the outline of what is seen, the others within it.
            joints = np.delete(document[f'kps3D_{side}'], [0, 4, 8, 12, 16, 20], axis=0)
            moved = joints @ T_thermal_nir[:3, :3].T + T_thermal_nir[:3, 3]
            pixels = thermal.camera.scaled(320, 256).project(moved)
            for x, y in pixels[np.isfinite(pixels).all(1)]:
                if 0 <= x < 319.5 and 0 <= y < 255.5:
                    total += 1
                    hits += mask[round(y), round(x)] > 0
    assert total >= 45 and hits > 0.95 * total


def test_the_split_list_names_the_clips(written):
    root, _, clips = written
    lines = (root / 'action_labels' / 'action_train.txt').read_text().splitlines()
    assert len(lines) == 3
    for line, clip in zip(lines[1:], clips, strict=True):
        assert line.split()[1].startswith(clip.folder) and line.split()[-1] == str(FRAMES - 1)
    for other in ('val', 'test'):
        text = (root / 'action_labels' / f'action_{other}.txt').read_text()
        assert len(text.splitlines()) == 1


def test_subjects_and_suffixes_are_those_of_the_split(tmp_path):
    config = SimulationConfig(setting='darkness', split='test', rectified=False)
    clip = ThermoHandsWriter(tmp_path / 'a', config).write_clip(1, 1)
    assert clip.folder.startswith('subject_06_dark/')


def test_the_released_layout_is_full_size_with_stamps(tmp_path):
    config = SimulationConfig(setting='office', rectified=False)
    writer = ThermoHandsWriter(tmp_path, config, layout='released', rate=10)
    clip = writer.write_clip(0, 2)
    writer.finish()
    folder = tmp_path / clip.folder
    assert clip.folder.startswith('egocentric/subject_03/')
    sizes = {'thermal': (512, 640), 'ir': (480, 640), 'depth': (480, 640), 'rgb': (480, 640, 3)}
    for name, shape in sizes.items():
        files = sorted((folder / name).iterdir())
        assert cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED).shape == shape
        stamps = [int(file.stem) for file in files]
        assert np.diff(stamps).tolist() == [100]
    assert len(list((folder / 'gt_info').iterdir())) == 2
    assert (tmp_path / 'calibration' / 'ego_calib.json').exists()


def test_a_calibration_file_comes_out_bit_for_bit(tmp_path, test_data):
    source = test_data / 'thermal_egocentric' / 'calibration' / 'ego_calib.json'
    if not source.exists():
        pytest.skip('no recorded calibration (HAND_POSE_TEST_DATA)')
    config = SimulationConfig(rig=find_rig(source), setting='office', rectified=False)
    writer = ThermoHandsWriter(tmp_path / 'data', config)
    writer.finish()
    copied = json.loads((tmp_path / 'data' / 'calibration' / 'ego_calib.json').read_text())
    assert copied == json.loads(source.read_text())


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / 'mine.txt').write_text('x')
    with pytest.raises(DataError, match='not empty'):
        ThermoHandsWriter(tmp_path, SimulationConfig())
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(DataError, match='name a new folder'):
        ThermoHandsWriter(tmp_path / 'file', SimulationConfig())


def test_a_rig_without_thermal_does_not_fit(tmp_path):
    rig = find_rig('simulated_head_rig')
    cameras = {name: camera for name, camera in rig.cameras.items() if name != 'thermal'}
    with pytest.raises(DataError, match='thermal'):
        ThermoHandsWriter(
            tmp_path / 'a',
            SimulationConfig(rig=replace(rig, cameras=cameras, reference='rgb', synchronizer=None)),
        )
    assert not (tmp_path / 'a').exists()

"""Tiny data sets in the formats of the published ones, written by the tests."""

import io
import json
import pickle
import struct
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from numpy.lib import format as npy

from hand_pose_ros.datasets.thermohands_layout import (
    FOLDERS,
    FrameLabels,
    Recording,
    write_gt_info,
    write_split_list,
)
from hand_pose_ros.rig.thermohands import parse_calibration, write_calibration

EGO_CALIBRATION = {
    'thermal_mtx': [[409.538, 0, 323.1047], [0, 409.9164, 253.5884], [0, 0, 1]],
    'thermal_dist': [[-0.3755301, 0.103669, 0, 0, 0]],
    'rgb_mtx': [[1357.499, 0, 977.382], [0, 1354.9434, 555.8393], [0, 0, 1]],
    'rgb_dist': [[0.1114547, -0.1929964, 0, 0, 0]],
    'ir_mtx': [[456.80859375, 0, 330.87109375], [0, 457.140625, 240.90625], [0, 0, 1]],
    'ir_dist': [[0, 0, 0, 0, 0]],
    'depth2rgb_rotation_matrix': [
        [0.9999973, -0.0007798, 0.0022035],
        [0.0008269, 0.9997691, -0.0214722],
        [-0.0021863, 0.0214739, 0.9997670],
    ],
    'depth2rgb_translation_vector': [[-0.00048958, 0.01375356, -0.00594232]],
    'rgb2thermal_rotation_matrix': [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    'rgb2thermal_translation_vector': [[-0.050, 0, 0.017]],
}


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])


def write_pickle(path, content, protocol=4):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


def write_object_npy(path, content):
    """What np.save makes of a dictionary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    npy.write_array(buffer, np.array(content, dtype=object), allow_pickle=True)
    path.write_bytes(buffer.getvalue())


def some_labels(seed):
    """Labels of two hands about half a metre before the NIR camera."""
    draw = np.random.default_rng(seed)
    joints = draw.uniform((-0.1, -0.05, 0.4), (0.1, 0.15, 0.6), (2, 21, 3))
    rest = draw.uniform(-0.02, 0.02, (2, 3))
    return FrameLabels(
        joints=joints, pose=draw.uniform(-1, 1, (2, 48)), betas=draw.normal(size=(2, 10)),
        translation=joints[:, 0] - rest,
    )  # fmt: skip


@dataclass
class TrainingTree:
    """A data set in the training layout.

    Attributes:
        root: folder.
        labels: per (recording, frame) what was written.
        images: per path relative to the root the pixels.
    """

    root: object
    labels: dict = field(default_factory=dict)
    images: dict = field(default_factory=dict)


@pytest.fixture
def training_tree(tmp_path):
    """Two recordings of 5 and 3 frames; the label of frame 2 of the first is missing."""
    tree = TrainingTree(tmp_path / 'thermohands')
    recordings = [
        Recording(number=1, folder='subject_03/tap', action='tap', first=0, last=4),
        Recording(number=2, folder='subject_04_dark/swipe', action='swipe', first=7, last=9),
    ]
    draw = np.random.default_rng(0)
    for recording in recordings:
        folder = tree.root / recording.folder
        for number in range(recording.first, recording.last + 1):
            for name in FOLDERS['training'].values():
                shape = (256, 320) if '256' in name else (240, 320)
                if name.startswith(('rgb320', 'jet')):
                    image = draw.integers(0, 256, (*shape, 3), np.uint8)
                elif 'mask' in name:
                    image = np.zeros(shape, np.uint8)
                    image[100:150, 100:200] = 255
                elif name.startswith('depth'):
                    image = draw.integers(0, 3000, shape).astype(np.uint16)
                else:
                    image = draw.integers(0, 256, shape, np.uint8)
                write_png(folder / name / f'{number:06d}.png', image)
                tree.images[f'{recording.folder}/{name}/{number:06d}.png'] = image
            (folder / 'gt_info').mkdir(exist_ok=True)
            if number != 2:
                labels = some_labels(number)
                tree.labels[recording.folder, number] = labels
                write_gt_info(folder / 'gt_info' / f'{number:06d}.json', labels)
    (tree.root / 'action_labels').mkdir()
    write_split_list(tree.root / 'action_labels' / 'action_train.txt', recordings)
    (tree.root / 'calibration').mkdir()
    write_calibration(
        parse_calibration(EGO_CALIBRATION, 'test'), tree.root / 'calibration' / 'ego_calib.json'
    )
    return tree


@pytest.fixture(params=['egocenctirc', 'egocentric'])
def released_tree(request, tmp_path):
    """The released tree with the main, a gesture, a dark and an excluded clip."""
    root = tmp_path / 'released'
    clips = ('subject_01/read_book', 'subject_01_gestures/tap', 'subject_03/cut_paper',
             'subject_01_dark/read_book', 'subject_02_kit/wash_hands_real',
             'subject_02_kit/wash_hands')  # fmt: skip
    for clip in clips:
        folder = root / request.param / clip
        for place in range(3):
            stamp = 1700000000000 + 117 * place
            write_png(folder / 'thermal' / f'{stamp}.png', np.full((512, 640), place, np.uint8))
            write_png(folder / 'ir' / f'{stamp + 3}.png', np.full((480, 640), place, np.uint8))
            write_png(folder / 'depth' / f'{stamp + 3}.png', np.full((480, 640), 700, np.uint16))
            write_png(folder / 'rgb' / f'{stamp + 5}.png', np.zeros((480, 640, 3), np.uint8))
            (folder / 'gt_info').mkdir(exist_ok=True)
            write_gt_info(folder / 'gt_info' / f'{place:05d}.json', some_labels(place))
    return root


def write_msra_frame(path, depth, box=(100, 80, 200, 180)):
    """A crop (left, top, right, bottom) of a depth image in mm."""
    left, top, right, bottom = box
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack('<6i', 320, 240, left, top, right, bottom)
    path.write_bytes(header + depth[top:bottom, left:right].astype('<f4').tobytes())


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))

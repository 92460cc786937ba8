"""Recorded data sets as training batches."""

import dataclasses

import numpy as np
import pytest
import torch

import hand_pose_ros.training.recorded as recorded
from hand_pose_ros.datasets.dataset import HandDataset
from hand_pose_ros.datasets.sample import MANOPTH_TIPS, DepthSample, HandModelConvention, HandSample
from hand_pose_ros.errors import DataError, TrainingError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.training.config import DataConfig, SourceConfig
from hand_pose_ros.training.sources import make_source
from hand_pose_ros.training.tasks.registry import make_task
from tests.training import fakes

K = np.array([[400.0, 0, 320], [0, 400.0, 256], [0, 0, 1]])


class Recording(HandDataset):
    """Ten thermal frames of a hand with MANO labels."""

    def __len__(self):
        return 10

    @property
    def segments(self):
        return [range(10)]

    def __getitem__(self, index):
        joints = np.full((2, 21, 3), np.nan)
        joints[1] = np.random.default_rng(index).uniform(-0.05, 0.05, (21, 3)) + np.array(
            [0, 0, 0.5]
        )
        pose, place = np.full((2, 15, 3), np.nan), np.full((2, 3), np.nan)
        pose[1], place[1] = 0.1, joints[1, 0] - [0.09, 0.006, 0.006]
        return HandSample(
            image=np.full((512, 640), index, np.uint8), modality='thermal', sequence='a',
            camera=Camera(width=640, height=512, intrinsics=K, distortion=np.zeros(0)),
            index=index, joints=joints, hand_pose=pose, global_orient=place * 0.1,
            betas=np.where(np.isnan(place[:, :1]), np.nan, 0.5) * np.ones(10), translation=place,
            convention=HandModelConvention(
                flat_mean=True, left_shape_fix=False, tip_vertices=MANOPTH_TIPS
            ),
        )  # fmt: skip


@pytest.fixture
def opened(monkeypatch):
    calls = []

    def open_dataset(name, root, options):
        calls.append((name, root, options))
        return Recording()

    monkeypatch.setattr(recorded, 'open_dataset', open_dataset)
    return calls


def source(tmp_path, **values):
    config = SourceConfig(data='thermohands', root=tmp_path, **values)
    data = DataConfig(train=(config,), validation=config, stream='thermal', frames=4)
    return make_source(config, data, torch.device('cpu'))


def test_clips_come_at_the_training_size_with_their_camera(tmp_path, opened):
    own = source(tmp_path, split='val')
    assert opened == [('thermohands', tmp_path, {'split': 'val', 'stream': 'thermal'})]
    assert own.count == 3
    batch = own.read([1, 2])
    assert batch.image.shape == (8, 3, 256, 320)
    torch.testing.assert_close(batch.image[0, 0, 0, 0], torch.tensor(4 / 255))
    assert batch.not_padding.tolist() == [1] * 6 + [0] * 2
    points = batch.joints @ batch.intrinsics[:, None].mT
    torch.testing.assert_close(
        (points[..., :2] / points[..., 2:])[:, 1], batch.pixels[:, 1], atol=1e-3, rtol=0
    )
    assert torch.isnan(batch.joints[:, 0]).all()


def test_training_clips_overlap_and_can_be_limited(tmp_path, opened):
    assert source(tmp_path).count == 10
    assert source(tmp_path, clips=4).count == 4


def test_labels_of_mano_fit_the_shipped_hand(tmp_path, opened):
    batch = source(tmp_path, split='val').read([0])
    assert not batch.valid['betas'].any()
    assert batch.valid['pose'][:, 1].all()
    pose = torch.cat([batch.global_orient[:, :, None], batch.hand_pose], dim=2).nan_to_num(0.0)
    hands = HandLayer()(
        rotation_from_axis_angle(pose), torch.zeros(4, 2, 10), batch.translation.nan_to_num(0.0)
    )
    torch.testing.assert_close(hands.joints[:, 1, 0], batch.joints[:, 1, 0])


def test_a_recorded_batch_trains_therformer_and_wildhands(tmp_path, opened):
    from tests.training.test_task_therformer import TINY
    from tests.training.test_task_wildhands import TINY as TINY_HANDS

    batch = source(tmp_path, split='val').read([2])
    generator = torch.Generator().manual_seed(0)
    for name, network in (('therformer', TINY), ('wildhands', TINY_HANDS)):
        config = fakes.make_config(task=name, network=network)
        data = dataclasses.replace(config.data, frames=4)
        task = make_task(dataclasses.replace(config, data=data))
        total, _ = task.loss(task.build_network(), task.augment(batch, [generator]), generator)
        total.backward()
        assert torch.isfinite(total)


def depth_samples(count=3, joints=14):
    camera = Camera(width=320, height=240, intrinsics=K / [[2], [2], [1]], distortion=np.zeros(0))
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (count, joints, 3)) + np.array(
        [0, 0, 0.5]
    )
    return [
        DepthSample(
            depth=np.full((240, 320), 0.5, np.float32), camera=camera, joints=points[index],
            box=None if index else np.array([100.0, 80, 200, 180, 0.7]), sequence='', index=index,
        )
        for index in range(count)
    ]  # fmt: skip


def test_a_benchmark_of_fewer_joints_trains_densereg():
    from tests.training.test_task_densereg import TINY

    batch = recorded.depth_batch(depth_samples())
    assert torch.isfinite(batch.joints[:, 1, :14]).all()
    assert torch.isnan(batch.joints[:, 1, 14:]).all()
    assert batch.valid['joints_3d'].tolist() == [[False, True]] * 3
    config = fakes.make_config(
        task='densereg', network={**TINY, 'joints': 14}, options={'crop': 'box'}
    )
    task = make_task(config)
    network = task.build_network()
    total, _ = task.loss(network, batch, torch.Generator().manual_seed(0))
    assert torch.isfinite(total)
    found = task.predict(network.eval(), batch)['joints']
    assert torch.isfinite(found[:, 1, :14]).all()
    assert torch.isnan(found[:, :, 14:]).all()
    truth = batch.joints.numpy().astype(np.float64)
    predicted = truth + np.array([0.0, 0.0, 0.015])
    measured = task.measure({'joints': predicted}, {'joints': truth})
    assert measured['mean joint error'] == pytest.approx(15.0, abs=1e-3)
    assert measured['worst joint < 20 mm'] == 100.0


def test_the_boxes_of_a_protocol_decide_the_crop():
    from tests.training.test_task_densereg import TINY

    batch = recorded.depth_batch(depth_samples(2))
    own = make_task(fakes.make_config(task='densereg', network=TINY, options={'crop': 'box'}))
    crop = own._crops(batch, torch.tensor([0]), torch.tensor([1]), None)
    corner = torch.linalg.inv(crop.intrinsics) @ torch.tensor([0.0, 0.0, 1.0])
    pixel = batch.intrinsics[:1] @ corner[..., None]
    torch.testing.assert_close(pixel[0, :2, 0], torch.tensor([100.0, 80.0]), atol=0.6, rtol=0)


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(DataError, match='nothing is missing: obtain it'):
        source(tmp_path / 'nothing')
    monkeypatch.setattr(Recording, 'segments', [])
    monkeypatch.setattr(recorded, 'open_dataset', lambda *_: Recording())
    with pytest.raises(TrainingError, match='has no clips of thermohands'):
        source(tmp_path)
    config = SourceConfig(data='no_such_set', root=tmp_path)
    data = DataConfig(train=(config,), validation=config, stream='thermal')
    with pytest.raises(DataError, match="no data set 'no_such_set'"):
        make_source(config, data, torch.device('cpu'))

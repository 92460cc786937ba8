"""A task small enough for tests: a network of two layers that finds a bright spot."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.evaluation.metrics import mepe
from hand_pose_ros.training.config import DataConfig, SourceConfig, TrainingConfig

HEIGHT, WIDTH = 24, 32


def make_batch(clips, *, frames=2, seed=0, modality='thermal', size=(HEIGHT, WIDTH)):
    """Labelled clips of noise whose joints are drawn at random in front of the camera."""
    generator = torch.Generator().manual_seed(seed)
    number = clips * frames
    height, width = size
    channels = {'rgb': 3, 'depth': 1}.get(modality, 3)
    image = torch.rand(number, channels, height, width, generator=generator)
    if modality not in ('rgb', 'depth'):
        image = image[:, :1].expand(-1, 3, -1, -1).contiguous()
    focal = width * 0.64
    intrinsics = torch.tensor(
        [[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1.0]]
    )
    joints = torch.rand(number, 2, 21, 3, generator=generator) * 0.2 - 0.1
    joints[..., 2] += 0.5
    pixels = (joints / joints[..., 2:] @ intrinsics.T)[..., :2]
    flags = torch.ones(number, 2, dtype=torch.bool)
    names = ('joints_3d', 'joints_2d', 'pose', 'betas', 'camera', 'mask', 'grasp')
    mask = torch.zeros(number, height, width, dtype=torch.uint8)
    mask[:, 8:16, 4:12], mask[:, 8:16, 20:28] = 1, 2
    return ViewBatch(
        image=image,
        intrinsics=intrinsics.expand(number, 3, 3).clone(),
        joints=joints,
        pixels=pixels,
        visible=torch.ones(number, 2, 21, dtype=torch.bool),
        hand_mask=mask,
        surface=mask.clone(),
        global_orient=torch.zeros(number, 2, 3),
        hand_pose=torch.zeros(number, 2, 15, 3),
        betas=torch.zeros(number, 2, 10),
        translation=joints[:, :, 0].clone(),
        grasp=torch.full((number, 2), -1),
        not_padding=torch.ones(number),
        frames=frames,
        valid={name: flags.clone() for name in names},
        modality=modality,
    )


class FakeClips:
    """A source of random clips; clip n is always the same."""

    def __init__(self, count=12):
        self.count = count

    def read(self, clips):
        return join([make_batch(1, seed=int(clip)) for clip in clips])


def join(batches):
    """One batch out of several."""
    first = batches[0]
    values = {
        name: torch.cat([getattr(one, name) for one in batches])
        for name, value in vars(first).items()
        if isinstance(value, torch.Tensor)
    }
    valid = {name: torch.cat([one.valid[name] for one in batches]) for name in first.valid}
    return ViewBatch(**values, valid=valid, frames=first.frames, modality=first.modality)


@dataclass(frozen=True, kw_only=True)
class FakeConfig:
    width: int = 4


class FakeNetwork(nn.Module):
    """Dropout and batch normalisation: what has random numbers and state of its own."""

    def __init__(self, config):
        super().__init__()
        self.conv = nn.Conv2d(3, config.width, 3, 2, 1)
        self.bn = nn.BatchNorm2d(config.width)
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(config.width * 12 * 16, 126)

    def forward(self, images):
        features = torch.relu(self.bn(self.conv(images)))
        return self.head(self.dropout(features.flatten(1))).reshape(-1, 2, 21, 3)


class FakeTask:
    """Finds joints by regression."""

    name = 'therformer'
    metric = 'MEPE'

    def __init__(self, *, state_free=False, poison_at=-1):
        self.network_config = FakeConfig()
        self._state_free = state_free
        self._poison = poison_at
        self._calls = 0

    def build_network(self):
        network = FakeNetwork(self.network_config)
        if self._state_free:
            network.bn, network.dropout = nn.Identity(), nn.Identity()
        return network

    def augment(self, batch, draws):
        import dataclasses

        gain = torch.cat([1.0 + 0.1 * torch.rand(batch.frames, generator=draw) for draw in draws])
        return dataclasses.replace(batch, image=batch.image * gain[:, None, None, None])

    def loss(self, network, batch, generator):
        error = (network(batch.image) - batch.joints).square().mean()
        self._calls += 1
        if self._calls == self._poison:
            error = error * float('nan')
        return error, {'joints': error.detach()}

    def predict(self, network, batch):
        return {'joints': network(batch.image), 'mask': torch.rand(len(batch.image), 12, 16)}

    def measure(self, predicted, truth):
        errors = [mepe(predicted['joints'][:, side], truth['joints'][:, side]) for side in range(2)]
        return {'MEPE': float(np.mean(errors)) * 1000.0}


def make_config(**changes):
    """A configuration of a few steps on fake clips."""
    source = SourceConfig(clips=12)
    data = DataConfig(
        train=(source,), validation=source, stream='thermal', batch=4, frames=2, workers=1
    )
    values = {
        'task': 'therformer', 'data': data, 'steps': 8, 'ema': 0.9, 'validate_every': 8,
        'checkpoint_every': 2, 'log_every': 1, 'threads': 1, 'tensorboard': False,
    }  # fmt: skip
    return TrainingConfig(**{**values, **changes})

"""TherFormer: both hands in whole images, single frames or windows of them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.errors import TrainingError
from hand_pose_ros.networks.registry import create_network
from hand_pose_ros.networks.therformer import (
    MASK,
    TherFormerConfig,
    TherFormerOutput,
    depth_image,
)
from hand_pose_ros.training.augmentation import augment_clips
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.losses.therformer import TherFormerLossConfig, therformer_loss
from hand_pose_ros.training.tasks.base import Arrays
from hand_pose_ros.training.tasks.common import camera_space, mean, options, preset


class TherFormerTask:
    """Trains TherFormer on clips of one sensor.

    A clip longer than the network's window is several windows.
    """

    name = 'therformer'
    metric = 'MEPE'

    def __init__(self, config: TrainingConfig) -> None:
        """Read the network's and the loss's options."""
        values = {'frames': config.data.frames, **config.network}
        self.network_config = preset(TherFormerConfig, values, config.data.stream)
        self._loss = options(TherFormerLossConfig, config.options)
        self._augmentation = config.augmentation
        self._window = min(self.network_config.frames, config.data.frames)
        if config.data.frames % self._window:
            raise TrainingError(
                f'data.frames is {config.data.frames}, which windows of network.frames = '
                f'{self._window} do not fill: make it a multiple'
            )

    def build_network(self) -> nn.Module:
        """Return the new network."""
        return create_network(self.name, self.network_config)

    def augment(self, batch: ViewBatch, draws: Sequence[Generator]) -> ViewBatch:
        """Shift and recolour clips."""
        return augment_clips(batch, self._augmentation, draws)

    def loss(
        self, network: nn.Module, batch: ViewBatch, generator: Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of a batch of clips."""
        del generator
        output = self._output(network, batch)
        terms = therformer_loss(output, batch, self._loss)
        total = terms.pop('total')
        return total, {**terms, 'anchor_rate': output.anchor_rate.mean()}

    def predict(self, network: nn.Module, batch: ViewBatch) -> Mapping[str, Tensor]:
        """Return joints (N, 2, 21, 3), mask (N, h, w) and its overlap with the true one (N,)."""
        output = self._output(network, batch)
        mask = output.mask_logits[:, 0].float().sigmoid()
        overlap = torch.full_like(mask[:, 0, 0], torch.nan)
        if batch.hand_mask is not None:
            true = (batch.hand_mask > 0).float()[:, None]
            true = functional.interpolate(true, mask.shape[-2:], mode='nearest-exact')[:, 0] > 0.5
            found = mask > MASK
            either = (found | true).sum(dim=(1, 2))
            shared = (found & true).sum(dim=(1, 2)) / either.clamp(min=1)
            overlap = torch.where(either > 0, shared, torch.nan)
        return {'joints': output.joints.unflatten(1, (2, 21)), 'mask': mask, 'overlap': overlap}

    def measure(self, predicted: Arrays, truth: Arrays) -> dict[str, float]:
        """Return MEPE and MEPE-RA in mm and the mask's mean overlap (IoU) in per cent."""
        overlap = 100.0 * mean([float(value) for value in predicted['overlap']])
        return {**camera_space(predicted, truth), 'mask IoU': overlap}

    def _output(self, network: nn.Module, batch: ViewBatch) -> TherFormerOutput:
        depth = batch.modality == 'depth'
        images = depth_image(batch.image) if depth else batch.image.expand(-1, 3, -1, -1)
        result: TherFormerOutput = network(
            images, batch.intrinsics, frames=self._window, not_padding=batch.not_padding
        )
        return result

"""Pictures of a run: its curves, and predictions drawn over validation images."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.skeleton import BONES
from hand_pose_ros.training.journal import read_journal
from hand_pose_ros.training.tasks.base import Task

_COLOURS = ('#56b4ff', '#ff9628')
_TRUTH = '#20d070'
_NOT_CURVES = ('kind', 'step', 'seconds')
_SAMPLES = 8


def draw_curves(folder: Path) -> None:
    """Draw ``curves.png`` from the record of a run: losses, learning rate and errors by step."""
    from matplotlib.figure import Figure

    entries = read_journal(folder)
    figure = Figure(figsize=(12, 4.5), layout='constrained')
    for axes, kind, title in zip(
        figure.subplots(1, 2), ('train', 'validation'), ('training loss', 'validation'), strict=True
    ):
        own = [entry for entry in entries if entry['kind'] == kind]
        names = list(dict.fromkeys(name for entry in own for name in entry))
        for name in names:
            points = [(entry['step'], entry[name]) for entry in own if entry.get(name) is not None]
            if name not in _NOT_CURVES and points and max(value for _, value in points) > 0:
                axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
        axes.set(title=title, xlabel='step', yscale='log')
        axes.grid(visible=True, alpha=0.3)
        if axes.lines:
            axes.legend(fontsize='small')
    figure.savefig(folder / 'curves.png', dpi=100)


@torch.no_grad()
def draw_samples(path: Path, task: Task, network: nn.Module, batch: ViewBatch) -> None:
    """Draw predicted (blue left, orange right) and true (green) hands over some images of a batch.

    The predicted mask, where the network has one, is outlined in yellow.
    """
    from matplotlib.figure import Figure

    network.eval()
    clips = min(_SAMPLES, len(batch.image) // batch.frames)
    predicted = {
        name: values.float().cpu() for name, values in task.predict(network, batch).items()
    }
    rows = (clips + 3) // 4
    figure = Figure(figsize=(16, 3.3 * rows), layout='constrained')
    grid = figure.subplots(rows, 4, squeeze=False).flat
    for clip, axes in zip(range(clips), grid, strict=False):
        # The newest frame of the clip, which is the one that counts live.
        row = (clip + 1) * batch.frames - 1
        axes.imshow(_picture(batch, row), interpolation='nearest')
        height, width = batch.image.shape[-2:]
        if 'mask' in predicted:
            mask = predicted['mask'][row].numpy()
            mask_height, mask_width = mask.shape
            x = (np.arange(mask_width) + 0.5) * width / mask_width - 0.5
            y = (np.arange(mask_height) + 0.5) * height / mask_height - 0.5
            axes.contour(x, y, mask, levels=[0.5], colors='#f0e442', linewidths=0.8)
        intrinsics = batch.intrinsics[row].cpu()
        for side in range(2):
            _hand(axes, batch.joints[row, side].cpu(), intrinsics, _TRUTH)
            _hand(axes, predicted['joints'][row, side], intrinsics, _COLOURS[side])
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    for axes in figure.axes[clips:]:
        axes.remove()
    figure.savefig(path, dpi=80)


def _picture(batch: ViewBatch, row: int) -> NDArray[np.float64]:
    """Return one image (H, W, 3) in 0..1."""
    image = batch.image[row].float().cpu().numpy()
    if batch.modality == 'depth':
        valid = image > 0
        low, high = np.percentile(image[valid], (1, 90)) if valid.any() else (0.0, 1.0)
        image = np.where(valid, 1.0 - (image - low) / max(high - low, 1e-6), 0.0)
    return np.broadcast_to(np.clip(image, 0.0, 1.0), (3, *image.shape[1:])).transpose(1, 2, 0)


def _hand(axes: Any, joints: Tensor, intrinsics: Tensor, colour: str) -> None:
    """Draw a skeleton (21, 3) metres; joints that are missing or behind the camera are left out."""
    depth = torch.where(joints[:, 2] > 0.01, joints[:, 2], torch.nan)
    points = (joints / depth[:, None] @ intrinsics.T)[:, :2].numpy()
    for parent, child in BONES:
        axes.plot(*points[[parent, child]].T, color=colour, linewidth=1.1)
    axes.plot(*points.T, '.', color=colour, markersize=2.5)

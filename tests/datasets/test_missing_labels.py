"""A frame without labels changes neither loss nor metric, all the way from the file."""

import numpy as np
import torch

from hand_pose_ros.datasets.collate import collate
from hand_pose_ros.datasets.thermohands import ThermoHands
from hand_pose_ros.evaluation.metrics import mepe, mepe_root_aligned
from hand_pose_ros.networks.therformer import TherFormerOutput
from hand_pose_ros.training.losses.therformer import therformer_loss


def output_for(count, seed=0):
    """A made-up prediction for some frames, the same for the same frames."""

    def draw(*shape):
        values = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, *shape)))
        return values.float().requires_grad_()

    return TherFormerOutput(joints=draw(42, 3), pixels=draw(42, 2), depth=draw(42, 1),
                            mask_logits=draw(1, 32, 40))  # fmt: skip


def test_losses_and_metrics_leave_the_frame_out(training_tree):
    labelled = ThermoHands(training_tree.root)  # frame 2 has no label file
    batch = collate([[labelled[index]] for index in (0, 1, 2)])
    output = output_for(3)
    terms = therformer_loss(output, batch)
    terms['total'].backward()
    assert all(bool(value.isfinite()) for value in terms.values())
    for name in ('joints', 'pixels', 'depth'):
        gradient = getattr(output, name).grad
        assert gradient.isfinite().all()
        assert not gradient[2].any() and gradient[:2].any()
    names = ('joints', 'pixels', 'depth', 'mask_logits')
    first = TherFormerOutput(**{name: getattr(output, name)[:2] for name in names})
    fewer = therformer_loss(first, batch.select(slice(0, 2)))
    for name in ('pixels', 'depth', 'points'):
        torch.testing.assert_close(terms[name], fewer[name])

    predicted = output.joints.detach().numpy().reshape(3, 2, 21, 3).astype(float)
    truth = batch.joints.numpy().astype(float)
    for metric in (mepe, mepe_root_aligned):
        with_it = metric(predicted[:, 0], truth[:, 0])
        without = metric(predicted[:2, 0], truth[:2, 0])
        assert np.isfinite(with_it)
        np.testing.assert_allclose(with_it, without)
        as_zeros = metric(predicted[:, 0], np.nan_to_num(truth[:, 0]))
        assert abs(as_zeros - without) > 1e-3  # what the published reader makes of it

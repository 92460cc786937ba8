"""Several processes train one network: what torchrun starts, and one process alone, alike."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from hand_pose_ros.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among all of them.

    Attributes:
        rank: number of this process; 0 writes files.
        size: number of processes.
        device: where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return this process's part of ``count`` clips."""
        part = count // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def share_weights(self, network: nn.Module) -> None:
        """Give every process the weights of the first."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)

    def average_gradients(self, network: nn.Module) -> None:
        """Average the gradients over the processes, once per optimiser step.

        A process whose clips did not reach a weight counts with a gradient of 0. This keeps
        working where ``DistributedDataParallel``, which reduces while it goes backward, needs the
        same weights in every forward pass.
        """
        if self.size == 1:
            return
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Average a tensor over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
            values = values / self.size
        return values

    def agree(self, flag: bool) -> bool:
        """Return whether any process raises the flag, so that all stop at the same step."""
        if self.size == 1:
            return flag
        votes = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(votes)
        return bool(votes.item() > 0)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined(device: str = '') -> Iterator[World]:
    """Join the processes that torchrun started (environment RANK, WORLD_SIZE, LOCAL_RANK).

    Args:
        device: ``cpu``, ``cuda`` or empty for a GPU where there is one.

    Raises:
        TrainingError: a GPU was asked for and there is none for this process.
    """
    size = int(os.environ.get('WORLD_SIZE', '1'))
    local = int(os.environ.get('LOCAL_RANK', '0'))
    kind = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if kind == 'cuda' and local >= torch.cuda.device_count():
        raise TrainingError(
            f'process {local} has no GPU of its own ({torch.cuda.device_count()} found): start '
            'fewer processes per node or give --device cpu'
        )
    place = torch.device(kind, local) if kind == 'cuda' else torch.device(kind)
    if kind == 'cuda':
        torch.cuda.set_device(place)
    if size == 1:
        yield World(device=place)
        return
    # The first process renders or validates while the others wait.
    dist.init_process_group('nccl' if kind == 'cuda' else 'gloo', timeout=timedelta(hours=12))
    try:
        yield World(rank=dist.get_rank(), size=size, device=place)
    finally:
        dist.destroy_process_group()

"""What the batched renderer asks of a device."""

import numpy as np
import pytest
import torch

from hand_pose_ros.simulation.batch_device import put, worth_while


@pytest.mark.parametrize(
    'values', [[1, 2, 3], (0.5, 1.5), np.arange(4.0), torch.ones(2, dtype=int)]
)
def test_what_is_put_is_what_was_given(values):
    found = put(values, 'cpu')
    assert torch.equal(found, torch.as_tensor(values))
    assert found.dtype == torch.as_tensor(values).dtype


def test_on_a_cpu_work_is_worth_while_where_anything_counts():
    assert worth_while(torch.tensor([0.0, 0.2]))
    assert not worth_while(torch.zeros(3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu_nothing_is_looked_at():
    assert worth_while(torch.zeros(3, device='cuda'))
    assert put([1.0], 'cuda').device.type == 'cuda'

"""Recorded functions: the same results as plain calls, on GPUs where there is one."""

import pytest
import torch

from hand_pose_ros.networks import cuda_graphs
from hand_pose_ros.networks.cuda_graphs import Graphed
from hand_pose_ros.networks.therformer import TherFormerStream
from tests.networks.therformer_scene import cameras, images, tiny

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')


class Counted:
    """A function that knows how often it was called."""

    def __init__(self):
        self.calls = 0

    def __call__(self, a, b, *, scale=1):
        self.calls += 1
        return a * scale + b, a - b


@pytest.fixture
def recorder(monkeypatch):
    """Recordings on the CPU: the replay calls the function on the buffers."""

    def record(function, inputs):
        own = tuple(one.clone() for one in inputs)
        results = tuple(one.clone() for one in function(*own))

        def replay():
            for result, new in zip(results, function(*own), strict=True):
                result.copy_(new)

        records.append(own)
        return cuda_graphs._Recording(inputs=own, replay=replay, results=results)

    records = []
    monkeypatch.setattr(cuda_graphs, '_recordable', lambda inputs: not torch.is_grad_enabled())
    monkeypatch.setattr(cuda_graphs, '_record', record)
    return records


def test_on_a_cpu_the_function_is_called():
    function = Counted()
    graphed = Graphed(function)
    a = torch.rand(3, requires_grad=True)
    with torch.no_grad():
        assert torch.equal(graphed(a, a, scale=3)[0], 4 * a)
    graphed(a, a)[0].sum().backward()
    assert function.calls == 2
    assert torch.equal(a.grad, torch.full((3,), 2.0))


@torch.no_grad()
def test_a_recording_serves_its_shape_and_constants_and_results_can_be_kept(recorder):
    graphed = Graphed(Counted())
    kept = []
    for number in range(3):
        a, b = torch.full((2, 2), float(number)), torch.ones(2, 2)
        kept.append((graphed(a, b, scale=2), (2 * a + b, a - b)))
    assert len(recorder) == 1
    graphed(torch.zeros(3), torch.zeros(3), scale=2)
    graphed(torch.zeros(2, 2), torch.zeros(2, 2), scale=5)
    graphed(torch.zeros(2, 2).double(), torch.zeros(2, 2).double(), scale=2)
    assert len(recorder) == 4
    for found, expected in kept:
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@torch.no_grad()
def test_what_cannot_be_recorded_is_called_after_one_warning(monkeypatch):
    def record(function, inputs):
        raise RuntimeError('operation not permitted when stream is capturing')

    monkeypatch.setattr(cuda_graphs, '_recordable', lambda inputs: True)
    monkeypatch.setattr(cuda_graphs, '_record', record)
    function = Counted()
    graphed, a = Graphed(function), torch.ones(2)
    with pytest.warns(RuntimeWarning, match='cannot be used.*not permitted') as seen:
        results = [graphed(a * number, a)[0] for number in range(3)]
    assert len(seen) == 1 and function.calls == 3
    assert torch.equal(torch.stack(results), torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))


def test_a_stream_records_its_image_and_its_full_window(recorder):
    network = tiny(frames=3)
    stream, film, K = TherFormerStream(network), images(7), cameras(7)
    K[:, :2, 2] += torch.arange(7.0)[:, None]
    outputs = [stream.push(film[n : n + 1], K[n : n + 1]) for n in range(7)]
    assert [[tuple(one.shape) for one in own] for own in recorder] == [
        [(1, 3, 256, 320)], [(1, 3, network.config.token), (1, 3, 3)]
    ]  # fmt: skip
    for n, output in enumerate(outputs):
        window = slice(max(0, n - 2), n + 1)
        with torch.no_grad():
            clip = network(film[window], K[window], frames=len(film[window]))
        for name in ('joints', 'pixels', 'depth', 'mask_logits'):
            torch.testing.assert_close(
                getattr(output, name), getattr(clip, name)[-1:], atol=1e-5, rtol=1e-5
            )


@on_gpu
def test_a_stream_on_a_gpu_is_replayed_and_equals_plain_calls(recwarn):
    network = tiny(frames=3).cuda()
    film, K = images(7).cuda(), cameras(7).cuda()
    stream, plain = TherFormerStream(network), TherFormerStream(network)
    plain._encode._usable = plain._decode._usable = False
    for n in range(7):
        with torch.inference_mode(n % 2 == 0):
            found = stream.push(film[n : n + 1], K[n : n + 1])
            expected = plain.push(film[n : n + 1], K[n : n + 1])
        for name in ('joints', 'pixels', 'depth', 'mask_logits'):
            torch.testing.assert_close(
                getattr(found, name), getattr(expected, name), atol=1e-5, rtol=1e-5
            )
    assert len(stream._encode._recordings) == len(stream._decode._recordings) == 1
    assert not [one for one in recwarn.list if 'CUDA graphs' in str(one.message)]


@on_gpu
@torch.no_grad()
def test_a_function_that_waits_for_the_gpu_is_called_instead():
    before = torch.cuda.current_stream()
    graphed, a = Graphed(lambda x: (x * float(x.sum()),)), torch.ones(2, device='cuda')
    with pytest.warns(RuntimeWarning, match='CUDA graphs cannot be used'):
        assert graphed(a)[0].tolist() == [2, 2]
    assert graphed(2 * a)[0].tolist() == [8, 8]
    assert torch.cuda.current_stream() == before

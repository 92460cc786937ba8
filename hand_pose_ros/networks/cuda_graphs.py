"""CUDA graphs: a function of tensors is recorded once and then launched as a whole.

A small network in a live node costs more time to launch, kernel by kernel, than to compute.
"""

import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

_WARM_UP = 3  # plain calls before a recording, in which libraries choose and allocate


class Graphed:
    """Calls a function on the CPU, while gradients are wanted and in mixed precision; else replays.

    There is one recording for each shape of the inputs. The function must always do the same: no
    branches on values, no copies from or to the CPU, nothing that waits for the device. Weights it
    uses may change their values but not their place. Where it cannot be recorded, it is called.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]]) -> None:
        """Wrap ``function`` of tensors and, by name, of constants."""
        self._function = function
        self._recordings: dict[Hashable, _Recording] = {}
        self._usable = True

    def __call__(self, *inputs: Tensor, **constants: Hashable) -> tuple[Tensor, ...]:
        """Return the function's tensors, which are the caller's to keep."""
        function = partial(self._function, **constants)
        if not self._usable or not _recordable(inputs):
            return function(*inputs)
        shapes = tuple((one.shape, one.dtype, one.device) for one in inputs)
        key = (shapes, tuple(sorted(constants.items())))
        if key not in self._recordings:
            try:
                self._recordings[key] = _record(function, inputs)
            except RuntimeError as error:
                self._usable = False
                self._recordings.clear()
                warnings.warn(
                    f'CUDA graphs cannot be used, each image takes longer: {error}',
                    RuntimeWarning,
                    stacklevel=2,
                )
                return function(*inputs)
        return self._recordings[key](inputs)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Recording:
    """A recorded call: where its inputs lie, how to launch it, where its results will be."""

    inputs: tuple[Tensor, ...]
    replay: Callable[[], None]
    results: tuple[Tensor, ...]

    def __call__(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.replay()
        return tuple(result.clone() for result in self.results)


def _recordable(inputs: tuple[Tensor, ...]) -> bool:
    if torch.is_grad_enabled() or not all(one.is_cuda for one in inputs):
        return False
    # Mixed precision keeps copies of weights that would not outlive the recording.
    return not torch.is_autocast_enabled('cuda') and not torch.cuda.is_current_stream_capturing()


def _record(function: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]) -> _Recording:
    """Record a call on a stream of its own.

    Raises:
        RuntimeError: the function does something that cannot be recorded, or memory is short.
    """
    device = inputs[0].device
    # Buffers that are used in inference mode and outside of it must not be of inference mode.
    with torch.inference_mode(False), torch.no_grad(), torch.cuda.device(device):
        own = tuple(torch.empty(one.shape, dtype=one.dtype, device=device) for one in inputs)
        for buffer, given in zip(own, inputs, strict=True):
            buffer.copy_(given)
        before, stream = torch.cuda.current_stream(), torch.cuda.Stream()
        stream.wait_stream(before)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    function(*own)
            # Other threads may go on using the device meanwhile.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode='thread_local'):
                results = function(*own)
        finally:
            # A recording that fails leaves its stream behind as the current one.
            torch.cuda.set_stream(before)
        before.wait_stream(stream)
    return _Recording(inputs=own, replay=graph.replay, results=tuple(results))

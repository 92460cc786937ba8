"""Networks: MediaPipe's palm detector and hand landmark network on the CPU."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

LANDMARK_INPUT = 224
_PALM_OUTPUTS = ((1, 2016, 18), (1, 2016, 1))
_LANDMARK_OUTPUTS = ((1, 63), (1, 1), (1, 1), (1, 63))


@dataclass(frozen=True, kw_only=True, eq=False)
class LandmarkOutput:
    """What the landmark network says about one crop.

    Attributes:
        points: (21, 3) in crop pixels; z at the same scale, smaller is nearer, wrist about 0.
        presence: probability in 0..1 that the crop shows a hand.
        handedness: the network's side output in 0..1, see ``landmark_stream``.
        world: (21, 3) shape in the crop's axes. Its scale is not to be trusted.
    """

    points: Array
    presence: float
    handedness: float
    world: Array


class _Network:
    """One loaded network with its own tensors; not to be used by two threads at once."""

    def __init__(self, path: Path, threads: int, outputs: tuple[tuple[int, ...], ...]) -> None:
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(
                f'model {path} cannot be loaded ({error}): delete it and {model_store.FETCH}'
            ) from error
        self._input = self._interpreter.get_input_details()[0]['index']
        details = sorted(self._interpreter.get_output_details(), key=lambda item: item['name'])
        shapes = tuple(tuple(int(n) for n in item['shape']) for item in details)
        if shapes != outputs:
            raise ModelError(
                f'model {path} has outputs {shapes} instead of {outputs}: delete it and '
                f'{model_store.FETCH}'
            )
        self._outputs = [item['index'] for item in details]

    def __call__(self, image: NDArray[np.float32]) -> list[NDArray[Any]]:
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]


class HandNetworks:
    """The two networks, loaded once and shared by all streams of one thread.

    One crop is run on all threads; several crops are run at once on one thread each, which uses
    the cores better than one network on all of them.
    """

    def __init__(self, palm: Path, landmark: Path, threads: int = 2) -> None:
        """Load the networks.

        Args:
            palm, landmark: paths of the weights.
            threads: cores to use, at least 1.

        Raises:
            ModelError: if a file cannot be loaded or is another network.
        """
        self.threads = max(1, threads)
        self.model_hash = model_store.model_hash()
        self._palm = _Network(palm, self.threads, _PALM_OUTPUTS)
        self._wide = _Network(landmark, self.threads, _LANDMARK_OUTPUTS)
        self._narrow = [self._wide]
        if self.threads > 1:
            self._narrow = [_Network(landmark, 1, _LANDMARK_OUTPUTS) for _ in range(self.threads)]
        self._pool = ThreadPoolExecutor(max(1, self.threads - 1), 'landmarks')

    def palms(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the palm detector on (192, 192, 3): offsets (2016, 18) and logits (2016,)."""
        offsets, logits = self._palm(image)
        return offsets, logits[:, 0]

    def landmarks(self, crops: Sequence[NDArray[np.float32]]) -> list[LandmarkOutput]:
        """Run the landmark network on each (224, 224, 3) crop."""
        if len(crops) == 1:
            return [_landmark_output(self._wide(crops[0]))]
        lanes = [crops[lane :: self.threads] for lane in range(min(self.threads, len(crops)))]
        others = [
            self._pool.submit(_run_all, network, lane)
            for network, lane in zip(self._narrow[1:], lanes[1:], strict=False)
        ]
        results = [_run_all(self._narrow[0], lane) for lane in lanes[:1]]
        results += [other.result() for other in others]
        return [results[i % self.threads][i // self.threads] for i in range(len(crops))]

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()


def load_networks(threads: int = 2) -> HandNetworks:
    """Load both networks from the model store.

    Raises:
        ModelError: if a model is missing or corrupt.
    """
    palm, landmark = (model_store.find(name) for name in model_store.MODELS)
    return HandNetworks(palm, landmark, threads)


def _run_all(network: _Network, crops: Sequence[NDArray[np.float32]]) -> list[LandmarkOutput]:
    return [_landmark_output(network(crop)) for crop in crops]


def _landmark_output(values: list[NDArray[Any]]) -> LandmarkOutput:
    points, presence, handedness, world = values
    return LandmarkOutput(
        points=points.reshape(JOINT_COUNT, 3).astype(np.float64),
        presence=float(presence[0]),
        handedness=float(handedness[0]),
        world=world.reshape(JOINT_COUNT, 3).astype(np.float64),
    )

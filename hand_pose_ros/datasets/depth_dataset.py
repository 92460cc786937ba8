"""DepthDataset: what the readers of the depth benchmarks (NYU, ICVL, MSRA) have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from hand_pose_ros.datasets.sample import DepthSample
from hand_pose_ros.geometry.camera import Camera


class DepthDataset(ABC):
    """Numbered depth images of one hand.

    Attributes:
        camera: of all images.
    """

    camera: Camera

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> DepthSample: ...

    def __iter__(self) -> Iterator[DepthSample]:
        """Read all frames in order."""
        return (self[index] for index in range(len(self)))


def pinhole(
    focal: tuple[float, float], centre: tuple[float, float], size: tuple[int, int]
) -> Camera:
    """Return a camera without a lens from fx, fy, cx, cy and width, height in pixels."""
    intrinsics = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
    return Camera(width=size[0], height=size[1], intrinsics=intrinsics, distortion=np.zeros(0))

"""Raw images: 16-bit counts in HDF5, compressed without loss, one file an episode."""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.exporting.hdf5_file import Hdf5File
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.rig.thermal import ThermalValues


class RawWriter:
    """The 16-bit images of an episode, written as they come; use as a context manager.

    A data set per camera (T, H, W) uint16, and ``<camera>_present`` (T,), false where the camera
    had no image, whose pixels are then zero. Attributes say what the counts mean.
    """

    def __init__(
        self, path: Path, cameras: dict[str, CameraDescription], stamps: NDArray[np.int64]
    ) -> None:
        """Create the file; without cameras none is made.

        Raises:
            DataError: naming the extra, if h5py is not installed.
        """
        self._file: Hdf5File | None = None
        self._place = 0
        if not cameras:
            return
        self._file = Hdf5File(path)
        content = self._file.content
        content['stamps'] = stamps
        content['stamps'].attrs['unit'] = 'ns'
        for name, camera in cameras.items():
            shape = (camera.size[1], camera.size[0])
            data = content.create_dataset(
                name, (len(stamps), *shape), np.uint16, chunks=(1, *shape), compression='gzip',
                compression_opts=1, shuffle=True,
            )  # fmt: skip
            for key, value in meaning(camera).items():
                data.attrs[key] = value
            content.create_dataset(f'{name}_present', (len(stamps),), bool)
        self._cameras = tuple(cameras)

    def add(self, images: dict[str, NDArray[np.uint16]]) -> None:
        """Write the images of the next moment; raises OSError when the disk is full."""
        if self._file is None:
            return
        content = self._file.content
        for name in self._cameras:
            if name in images:
                content[name][self._place] = images[name]
                content[f'{name}_present'][self._place] = True
        self._file.check()
        self._place += 1

    def __enter__(self) -> 'RawWriter':
        """Return the open writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.__exit__(kind, error, trace)


def meaning(camera: CameraDescription) -> dict[str, Any]:
    """Return what the counts of a camera mean, as attributes."""
    values = camera.values
    if isinstance(values, DepthValues):
        scale = values.scale if camera.encoding == '16UC1' else 0.001
        return {'quantity': 'depth', 'metres_per_count': scale, 'invalid': 0}
    if isinstance(values, ThermalValues) and values.kind == 'tlinear':
        return {
            'quantity': 'temperature', 'celsius_per_count': values.gain,
            'celsius_offset': values.offset,
        }  # fmt: skip
    return {'quantity': 'counts', 'kind': getattr(values, 'kind', 'none')}

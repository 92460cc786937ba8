"""Clips rendered once: memory-mapped arrays of small integers, read at no cost ever after."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.errors import DataError
from hand_pose_ros.whole_file import whole_file

FORMAT = 1
# Unit of stored depth in metres: 16 bits reach 6.5 m.
DEPTH_UNIT = 1e-4
_INDEX = 'index.json'
_BULKY = ('image', 'hand_mask', 'surface')


class ClipStore:
    """``count`` clips of one stream in a folder, one ``.npy`` file per field of ``ViewBatch``.

    Images are stored as 8-bit numbers, depth in tenths of a millimetre; equal channels of a
    single-channel sensor are stored once.

    Attributes:
        count: clips the store has room for.
        done: clips written so far; they are written in order.
    """

    def __init__(self, folder: Path, description: dict[str, Any], count: int) -> None:
        """Open or start the store of clips that ``description`` determines.

        Raises:
            DataError: the folder cannot be written or holds something else.
        """
        self.folder = folder
        self.count = count
        self._arrays: dict[str, NDArray[Any]] = {}
        self._index: dict[str, Any] = {
            'format': FORMAT, 'description': description, 'count': count, 'done': 0,
        }  # fmt: skip
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / _INDEX).is_file():
                self._open(description)
        except OSError as error:
            raise DataError(
                f'the clip cache {folder} cannot be used ({error.strerror}): name another folder '
                'with data.cache'
            ) from error

    @property
    def done(self) -> int:
        """Clips written so far."""
        return int(self._index['done'])

    @property
    def frames(self) -> int:
        """Frames per clip."""
        return int(self._index['frames'])

    def append(self, batch: ViewBatch) -> None:
        """Write the next clips; a kill loses at most these."""
        fields = _packed(batch)
        clips = len(batch.image) // batch.frames
        if not self._arrays:
            self._create(fields, batch)
        rows = slice(self.done * batch.frames, (self.done + clips) * batch.frames)
        for name, values in fields.items():
            self._arrays[name][rows] = values
        for array in self._arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        self._index['done'] = self.done + clips
        self._write_index()

    def read(self, clips: Sequence[int], device: torch.device | str = 'cpu') -> ViewBatch:
        """Return clips by their position in the store as one batch on a device."""
        frames = self.frames
        rows = (np.asarray(clips)[:, None] * frames + np.arange(frames)).ravel()
        values: dict[str, Any] = {'frames': frames, 'modality': self._index['modality']}
        valid: dict[str, Tensor] = {}
        for name, array in self._arrays.items():
            tensor = torch.from_numpy(np.ascontiguousarray(array[rows])).to(device)
            if name.startswith('valid.'):
                valid[name.removeprefix('valid.')] = tensor
            elif name == 'image':
                scale = DEPTH_UNIT if array.dtype == np.uint16 else 1.0 / 255.0
                values[name] = tensor.to(torch.float32).mul_(scale)
            else:
                values[name] = tensor
        missing = dict.fromkeys(self._index['missing'])
        return ViewBatch(**{**missing, **values, 'valid': valid})

    def _open(self, description: dict[str, Any]) -> None:
        try:
            index = json.loads((self.folder / _INDEX).read_text(encoding='utf-8'))
            fits = index['format'] == FORMAT and index['description'] == description
            fits = fits and index['count'] == self.count and 0 <= index['done'] <= self.count
            names = [str(name) for name in index['fields']]
        except (ValueError, KeyError, TypeError):
            fits, names = False, []
        if not fits or any(Path(name).name != name for name in names):
            raise DataError(f'{self.folder} holds other clips or a damaged index: remove it')
        self._index = index
        complete = self.done == self.count
        for name in names:
            path = self.folder / f'{name}.npy'
            try:
                array = np.load(path, mmap_mode='r' if complete else 'r+', allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f'{path} is damaged: remove {self.folder}') from error
            # Labels are small and read in random order: they live in memory.
            self._arrays[name] = np.array(array) if complete and name not in _BULKY else array

    def _create(self, fields: dict[str, NDArray[Any]], batch: ViewBatch) -> None:
        for name, values in fields.items():
            shape = (self.count * batch.frames, *values.shape[1:])
            self._arrays[name] = np.lib.format.open_memmap(
                self.folder / f'{name}.npy', mode='w+', dtype=values.dtype, shape=shape
            )
        self._index |= {
            'frames': batch.frames,
            'modality': batch.modality,
            'fields': list(fields),
            'missing': [
                field.name
                for field in dataclasses.fields(batch)
                if getattr(batch, field.name) is None
            ],
        }

    def _write_index(self) -> None:
        with whole_file(self.folder / _INDEX) as file:
            file.write(json.dumps(self._index, indent=1).encode())


def _packed(batch: ViewBatch) -> dict[str, NDArray[Any]]:
    """Return the fields of a batch as arrays of the types they are stored in."""
    fields: dict[str, NDArray[Any]] = {}
    for field in dataclasses.fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            fields[field.name] = value.detach().cpu().numpy()
    image = batch.image.detach()
    if batch.modality == 'depth':
        units = (image.nan_to_num(0.0) / DEPTH_UNIT).round().clamp(0, 65535)
        stored = units.cpu().numpy().astype(np.uint16)
    else:
        stored = (image * 255.0).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        if batch.modality != 'rgb':
            stored = stored[:, :1]
    fields['image'] = stored
    fields |= {f'valid.{name}': flags.cpu().numpy() for name, flags in batch.valid.items()}
    return fields

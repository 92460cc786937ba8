"""HDF5: episodes as robomimic reads them, ``data/demo_0`` and so on, images included."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand_pose_ros.exporting.episodes import STATE_NAMES, Episode
from hand_pose_ros.exporting.images import episode_images, raw_cameras, video_cameras
from hand_pose_ros.exporting.lerobot import vectors
from hand_pose_ros.exporting.raw_images import load_h5py, meaning
from hand_pose_ros.sessions.session import Session

FILE = 'episodes.hdf5'


@dataclass(kw_only=True)
class Hdf5Writer:
    """One file with all episodes.

    Attributes:
        folder: an existing, empty folder.
        rate: moments per second.
        task: what is done in all episodes.
    """

    folder: Path
    rate: float
    task: str
    _count: int = 0
    _total: int = 0

    def add(self, session: Session, episodes: list[Episode]) -> None:
        """Write the episodes of one session."""
        with load_h5py().File(self.folder / FILE, 'a') as file:
            data = file.require_group('data')
            for episode in episodes:
                self._write(data.create_group(f'demo_{self._count}'), session, episode)
                self._count += 1
                self._total += len(episode)

    def finish(self) -> None:
        """Write what describes the file."""
        with load_h5py().File(self.folder / FILE, 'a') as file:
            data = file.require_group('data')
            data.attrs['total'] = self._total
            data.attrs['rate'] = self.rate
            data.attrs['task'] = self.task
            data.attrs['state_names'] = json.dumps(STATE_NAMES)
            data.attrs['env_args'] = json.dumps({'env_name': self.task, 'type': 0})

    def _write(self, group: Any, session: Session, episode: Episode) -> None:
        group.attrs['num_samples'] = len(episode)
        group['actions'] = episode.action
        group['timestamps'] = episode.times
        group['stamps'] = episode.stamps
        dones = np.zeros(len(episode), np.int64)
        dones[-1] = 1
        group['dones'] = dones
        observations = group.create_group('obs')
        for name, values in vectors(episode).items():
            if name.startswith('observation.'):
                observations[name.removeprefix('observation.')] = values
        sets: dict[str, Any] = {}
        for name, camera in (video_cameras(session) | raw_cameras(session)).items():
            raw = name in raw_cameras(session)
            shape = (camera.size[1], camera.size[0], *(() if raw else (3,)))
            sets[name] = observations.create_dataset(
                f'{name}_image', (len(episode), *shape), np.uint16 if raw else np.uint8,
                chunks=(1, *shape), compression='gzip', compression_opts=1, shuffle=True,
            )  # fmt: skip
            for key, value in (meaning(camera) if raw else {}).items():
                sets[name].attrs[key] = value
        for place, images in enumerate(episode_images(session, episode)):
            for name, data in sets.items():
                found = images.raw.get(name, images.video.get(name))
                if found is not None:
                    data[place] = found

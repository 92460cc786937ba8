"""HDF5: episodes as robomimic reads them, ``data/demo_0`` and so on, images included."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from hand_pose_ros.exporting.episodes import STATE_NAMES, Episode
from hand_pose_ros.exporting.hdf5_file import Hdf5File
from hand_pose_ros.exporting.images import episode_images, raw_cameras, video_cameras
from hand_pose_ros.exporting.lerobot import vectors
from hand_pose_ros.exporting.raw_images import meaning
from hand_pose_ros.exporting.writer import EpisodeWriter
from hand_pose_ros.sessions.session import Session

FILE = 'episodes.hdf5'


@dataclass(kw_only=True)
class Hdf5Writer(EpisodeWriter):
    """One file with all episodes."""

    _count: int = 0
    _total: int = 0

    def add(self, session: Session, episodes: list[Episode]) -> None:
        """Write the episodes of one session."""
        with Hdf5File(self.folder / FILE) as file:
            for episode in episodes:
                self._write(file, f'data/demo_{self._count}', session, episode)
                self._count += 1
                self._total += len(episode)

    def finish(self) -> None:
        """Write what describes the file."""
        with Hdf5File(self.folder / FILE) as file:
            data = file.content.require_group('data')
            data.attrs['total'] = self._total
            data.attrs['rate'] = self.rate
            data.attrs['task'] = self.task
            data.attrs['state_names'] = json.dumps(STATE_NAMES)
            data.attrs['env_args'] = json.dumps({'env_name': self.task, 'type': 0})

    def _write(self, file: Hdf5File, name: str, session: Session, episode: Episode) -> None:
        group = file.content.create_group(name)
        group.attrs['num_samples'] = len(episode)
        group['actions'] = episode.action
        group['timestamps'] = episode.times
        group['stamps'] = episode.stamps
        dones = np.zeros(len(episode), np.int64)
        dones[-1] = 1
        group['dones'] = dones
        observations = group.create_group('obs')
        for feature, values in vectors(episode).items():
            if feature.startswith('observation.'):
                observations[feature.removeprefix('observation.')] = values
        sets: dict[str, Any] = {}
        for camera_name, camera in (video_cameras(session) | raw_cameras(session)).items():
            raw = camera_name in raw_cameras(session)
            shape = (camera.size[1], camera.size[0], *(() if raw else (3,)))
            observations[f'{camera_name}_present'] = np.zeros((len(episode), 1), np.float32)
            sets[camera_name] = observations.create_dataset(
                f'{camera_name}_image', (len(episode), *shape), np.uint16 if raw else np.uint8,
                chunks=(1, *shape), compression='gzip', compression_opts=1, shuffle=True,
            )  # fmt: skip
            for key, value in (meaning(camera) if raw else {}).items():
                sets[camera_name].attrs[key] = value
        for place, images in enumerate(episode_images(session, episode)):
            for camera_name, data in sets.items():
                found = images.raw.get(camera_name, images.video.get(camera_name))
                if found is not None:
                    data[place] = found
                    observations[f'{camera_name}_present'][place] = 1.0
            file.check()

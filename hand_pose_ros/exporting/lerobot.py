"""LeRobotDataset v3.0: episodes as parquet tables and mp4 videos, 16-bit images beside them.

Source of the layout: LeRobot 0.4.4's writer, docs/data_and_models.md of the project's notes.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting.episodes import STATE_NAMES, Episode
from hand_pose_ros.exporting.images import episode_images, raw_cameras, video_cameras
from hand_pose_ros.exporting.raw_images import RawWriter
from hand_pose_ros.exporting.statistics import PixelStatistics, rows_statistics, together
from hand_pose_ros.exporting.video import PIXELS, VideoWriter, codec, encoder
from hand_pose_ros.exporting.writer import EpisodeWriter
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.skeleton import JOINT_NAMES, SIDES

VERSION = 'v3.0'
ROBOT = 'observation.robot_joints'
_CHUNKS = 1000
_COUNTED_IMAGES = 10  # every so many enter the statistics
_DATA_PATH = 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
_VIDEO_PATH = 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
_EPISODES = 'meta/episodes/chunk-000/file-000.parquet'
RAW = 'raw/episode-{episode_index:06d}.h5'
_INDICES = ('frame_index', 'episode_index', 'index', 'task_index')


def require_pyarrow() -> None:
    """Raise DataError naming the extra if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise DataError(
            'this export needs the package pyarrow: pip install -r requirements/export.txt'
        ) from None


def vector_features(episode: Episode | None = None) -> dict[str, tuple[str, ...]]:
    """Return the names of the elements of every vector feature.

    Args:
        episode: of the data set, for the features that not every data set has.
    """
    joints = [f'{side}_{joint}_{axis}' for side in SIDES for joint in JOINT_NAMES for axis in 'xyz']
    pose = [f'{side}_{n:02d}_{axis}' for side in SIDES for n in range(15) for axis in 'xyz']
    return {
        'observation.state': STATE_NAMES,
        'action': STATE_NAMES,
        'observation.joints': tuple(joints),
        'observation.hand_pose': tuple(pose),
        'observation.betas': tuple(f'{side}_{n}' for side in SIDES for n in range(10)),
        'observation.valid': tuple(SIDES),
        'observation.interpolated': tuple(SIDES),
        **{
            f'{ROBOT}.{side}': motion.names
            for side, motion in zip(SIDES, episode.robot if episode else (), strict=False)
        },
    }


def vectors(episode: Episode) -> dict[str, NDArray[np.float32]]:
    """Return the vector features (T, n) of an episode, finite everywhere."""
    flat = {
        'observation.joints': episode.joints, 'observation.hand_pose': episode.hand_pose,
        'observation.betas': episode.betas, 'observation.valid': episode.valid,
        'observation.interpolated': episode.interpolated,
    }  # fmt: skip
    return {
        'observation.state': episode.state,
        'action': episode.action,
        **{
            f'{ROBOT}.{side}': motion.angles.astype(np.float32)
            for side, motion in zip(SIDES, episode.robot, strict=False)
        },
        **{
            name: values.reshape(len(episode), -1).astype(np.float32)
            for name, values in flat.items()
        },
    }


@dataclass(kw_only=True)
class LeRobotWriter(EpisodeWriter):
    """A data set open for writing in a new folder; episodes of one session share its files."""

    _rows: list[dict[str, Any]] = field(default_factory=list)
    _features: dict[str, Any] = field(default_factory=dict)
    _files: int = 0
    _frames: int = 0

    def __post_init__(self) -> None:
        """Refuse to begin what cannot be ended."""
        require_pyarrow()

    def add(self, session: Session, episodes: list[Episode]) -> None:
        """Write the episodes of one session.

        Raises:
            DataError: if its cameras differ from those of the sessions before.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        features = self._described(session, episodes[0])
        if self._features and features != self._features:
            raise DataError(
                f'{session.path} has other cameras or image sizes than the sessions before: '
                'export it into a data set of its own.'
            )
        self._features = features
        tables = []
        videos = {
            f'observation.images.{name}': VideoWriter(
                self.folder / _VIDEO_PATH.format(
                    video_key=f'observation.images.{name}', chunk_index=0, file_index=self._files
                ),
                _even(camera.size), self.rate,
            )
            for name, camera in video_cameras(session).items()
        }  # fmt: skip
        try:
            start = 0
            for episode in episodes:
                tables.append(self._table(episode))
                self._write_images(session, episode, videos, start)
                start += len(episode)
        finally:
            for video in videos.values():
                video.close()
        path = self.folder / _DATA_PATH.format(chunk_index=0, file_index=self._files)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(tables), path)
        self._files += 1

    def finish(self) -> None:
        """Write what describes the data set."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        count = len(self._rows)
        meta = self.folder / 'meta'
        (meta / 'episodes' / 'chunk-000').mkdir(parents=True, exist_ok=True)
        _write_json(
            meta / 'info.json',
            {
                'codebase_version': VERSION, 'robot_type': 'human_hands',
                'total_episodes': count, 'total_frames': self._frames, 'total_tasks': 1,
                'chunks_size': _CHUNKS, 'data_files_size_in_mb': 100,
                'video_files_size_in_mb': 500, 'fps': _whole(self.rate),
                'splits': {'train': f'0:{count}'}, 'data_path': _DATA_PATH,
                'video_path': _VIDEO_PATH, 'features': self._features,
            },
        )  # fmt: skip
        _write_json(meta / 'stats.json', _statistics(self._rows, self._features))
        pq.write_table(pa.Table.from_pylist(self._rows), self.folder / _EPISODES)
        tasks = pa.table({'task_index': pa.array([0], pa.int64()), _INDEX: pa.array([self.task])})
        pq.write_table(
            tasks.replace_schema_metadata({'pandas': json.dumps(_PANDAS)}), meta / 'tasks.parquet'
        )

    def _described(self, session: Session, episode: Episode) -> dict[str, Any]:
        features: dict[str, Any] = {
            name: {'dtype': 'float32', 'shape': [len(names)], 'names': list(names)}
            for name, names in vector_features(episode).items()
        }
        for name, camera in video_cameras(session).items():
            width, height = _even(camera.size)
            features[f'observation.images.{name}'] = {
                'dtype': 'video', 'shape': [height, width, 3],
                'names': ['height', 'width', 'channels'],
                'info': {
                    'video.height': height, 'video.width': width,
                    'video.codec': codec(encoder()), 'video.pix_fmt': PIXELS,
                    'video.is_depth_map': False, 'video.fps': _whole(self.rate),
                    'video.channels': 3, 'has_audio': False,
                },
            }  # fmt: skip
        features['timestamp'] = {'dtype': 'float32', 'shape': [1], 'names': None}
        for name in _INDICES:
            features[name] = {'dtype': 'int64', 'shape': [1], 'names': None}
        return features

    def _table(self, episode: Episode) -> Any:
        """Return the rows of an episode and remember what describes it."""
        import pyarrow as pa

        count, number = len(episode), len(self._rows)
        values = vectors(episode)
        columns: dict[str, Any] = {
            name: pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
            for name, rows in values.items()
        }
        numbers: dict[str, NDArray[Any]] = {
            'timestamp': episode.times.astype(np.float32),
            'frame_index': np.arange(count), 'episode_index': np.full(count, number),
            'index': np.arange(count) + self._frames, 'task_index': np.zeros(count, np.int64),
        }  # fmt: skip
        columns |= {name: pa.array(rows) for name, rows in numbers.items()}
        statistics = {name: rows_statistics(rows) for name, rows in values.items()}
        statistics |= {name: rows_statistics(rows[:, None]) for name, rows in numbers.items()}
        self._rows.append({
            'episode_index': number, 'tasks': [self.task], 'length': count,
            'data/chunk_index': 0, 'data/file_index': self._files,
            'dataset_from_index': self._frames, 'dataset_to_index': self._frames + count,
            'meta/episodes/chunk_index': 0, 'meta/episodes/file_index': 0,
            **_flat(statistics),
        })  # fmt: skip
        self._frames += count
        return pa.table(columns)

    def _write_images(
        self, session: Session, episode: Episode, videos: dict[str, VideoWriter], start: int
    ) -> None:
        row = self._rows[-1]
        pictures = {key: PixelStatistics() for key in videos}
        path = self.folder / RAW.format(episode_index=row['episode_index'])
        last: dict[str, NDArray[np.uint8]] = {}
        with RawWriter(path, raw_cameras(session), episode.stamps) as raw:
            for place, images in enumerate(episode_images(session, episode)):
                raw.add(images.raw)
                for key, video in videos.items():
                    name = key.removeprefix('observation.images.')
                    width, height = _even(session.rig.cameras[name].size)
                    black = np.zeros((height, width, 3), np.uint8)
                    # A camera that missed a moment shows what it saw last.
                    last[key] = images.video.get(name, last.get(key, black))[:height, :width]
                    video.add(last[key])
                    if place % _COUNTED_IMAGES == 0:
                        pictures[key].add(last[key])
        for key, pixels in pictures.items():
            row |= {
                f'videos/{key}/chunk_index': 0, f'videos/{key}/file_index': self._files,
                f'videos/{key}/from_timestamp': start / self.rate,
                f'videos/{key}/to_timestamp': (start + len(episode)) / self.rate,
            }  # fmt: skip
            row |= _flat({key: pixels.result()})


_INDEX = '__index_level_0__'
# What pandas writes beside a table whose index is the text of the tasks.
_PANDAS = {
    'index_columns': [_INDEX],
    'column_indexes': [{
        'name': None, 'field_name': None, 'pandas_type': 'unicode', 'numpy_type': 'object',
        'metadata': {'encoding': 'UTF-8'},
    }],
    'columns': [
        {'name': 'task_index', 'field_name': 'task_index', 'pandas_type': 'int64',
         'numpy_type': 'int64', 'metadata': None},
        {'name': None, 'field_name': _INDEX, 'pandas_type': 'unicode', 'numpy_type': 'object',
         'metadata': None},
    ],
    'creator': {'library': 'pyarrow'}, 'pandas_version': '2.2.0',
}  # fmt: skip


def _flat(statistics: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        f'stats/{feature}/{name}': value
        for feature, entries in statistics.items()
        for name, value in entries.items()
    }


def _statistics(rows: list[dict[str, Any]], features: dict[str, Any]) -> dict[str, Any]:
    """Return the statistics of the data set from those in the rows of its episodes."""
    found = {}
    for name in features:
        start = f'stats/{name}/'
        found[name] = together(
            [
                {
                    key.removeprefix(start): value
                    for key, value in row.items()
                    if key.startswith(start)
                }
                for row in rows
            ]
        )
    return found


def _even(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size videos can have: both sides even."""
    return size[0] // 2 * 2, size[1] // 2 * 2


def _whole(rate: float) -> int | float:
    return int(rate) if math.isclose(rate, round(rate)) else rate


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4, allow_nan=False) + '\n', encoding='utf-8')

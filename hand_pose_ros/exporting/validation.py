"""Validation: a written LeRobot data set read back and checked field by field."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting.lerobot import VERSION

# Within which LeRobot's reader must find the frame of a video, seconds.
_TIME_TOLERANCE = 1e-4
_KEYS = (
    'codebase_version', 'fps', 'features', 'data_path', 'video_path', 'splits', 'total_episodes',
    'total_frames', 'total_tasks', 'chunks_size', 'robot_type',
)  # fmt: skip
_MOMENTS: dict[str, Any] = {'min': np.min, 'max': np.max, 'mean': np.mean, 'std': np.std}
_STATISTICS = ('min', 'max', 'mean', 'std', 'count', 'q01', 'q10', 'q50', 'q90', 'q99')


def validate_lerobot(folder: Path) -> dict[str, int]:
    """Read a data set back and check it; return the numbers of episodes, frames and videos.

    Raises:
        DataError: naming the first field that is not as LeRobotDataset v3.0 wants it.
    """
    import pyarrow.parquet as pq

    info = json.loads((folder / 'meta' / 'info.json').read_text(encoding='utf-8'))
    _check(folder, 'meta/info.json', all(key in info for key in _KEYS), f'lacks one of {_KEYS}')
    _check(folder, 'meta/info.json', info['codebase_version'] == VERSION, 'is of another version')
    rows = pq.read_table(folder / 'meta/episodes/chunk-000/file-000.parquet').to_pylist()
    count = info['total_episodes']
    _check(folder, 'meta/episodes', len(rows) == count, f'has {len(rows)} rows, not {count}')
    tasks = pq.read_table(folder / 'meta' / 'tasks.parquet').to_pylist()
    _check(folder, 'meta/tasks.parquet', len(tasks) == info['total_tasks'], 'lacks tasks')
    start = 0
    for number, row in enumerate(rows):
        _check_episode(folder, info, number, row, start)
        start += row['length']
    _check(folder, 'meta/info.json', start == info['total_frames'], 'counts other frames')
    _check_statistics(folder, info, rows)
    return {'episodes': count, 'frames': start, 'videos': _check_videos(folder, info, rows)}


def _check_episode(
    folder: Path, info: dict[str, Any], number: int, row: dict[str, Any], start: int
) -> None:
    import pyarrow.parquet as pq

    where = f'episode {number}'
    end = start + row['length']
    _check(folder, where, row['episode_index'] == number, 'is out of order')
    span = (row['dataset_from_index'], row['dataset_to_index'])
    _check(folder, where, span == (start, end), f'claims frames {span}, not {(start, end)}')
    path = folder / info['data_path'].format(
        chunk_index=row['data/chunk_index'], file_index=row['data/file_index']
    )
    table = pq.read_table(path, filters=[('episode_index', '=', number)])
    _check(folder, where, table.num_rows == row['length'], 'has another number of rows')
    frames = table['frame_index'].to_numpy()
    _check(folder, where, np.array_equal(frames, np.arange(len(frames))), 'has frames out of order')
    index = table['index'].to_numpy()
    _check(folder, where, np.array_equal(index, np.arange(start, end)), 'has a wrong index')
    times = table['timestamp'].to_numpy()
    even = np.abs(times - frames / info['fps']).max(initial=0.0) <= _TIME_TOLERANCE
    _check(folder, where, even, 'has timestamps that are not frame_index / fps')
    _check(folder, where, bool(np.all(np.diff(times) > 0)), 'has timestamps that do not rise')
    for name, feature in info['features'].items():
        if feature['dtype'] == 'video':
            _check_span(folder, where, info, row, name)
            continue
        _check(folder, where, name in table.column_names, f'lacks {name}')
        right = _is_described(table.schema.field(name).type, feature)
        _check(folder, where, right, f'has {name} of another type or shape')
        values = np.array(table[name].to_pylist(), np.float64).reshape(len(frames), -1)
        _check(folder, where, bool(np.isfinite(values).all()), f'has {name} that is not finite')
        for key, function in _MOMENTS.items():
            told = np.array(row[f'stats/{name}/{key}'])
            close = np.allclose(told, function(values, axis=0), rtol=1e-3, atol=1e-4)
            _check(folder, where, close, f'has wrong statistics of {name}')
    tasks = table['task_index'].to_numpy()
    known = bool(np.all((tasks >= 0) & (tasks < info['total_tasks'])))
    _check(folder, where, known, 'has a task that meta/tasks.parquet lacks')


def _is_described(kind: Any, feature: dict[str, Any]) -> bool:
    """Whether a column's type is that of its feature: a scalar, or a list of a fixed size."""
    import pyarrow as pa

    [size] = feature['shape']
    scalar = pa.type_for_alias(feature['dtype'])
    if pa.types.is_fixed_size_list(kind):
        return kind.value_type == scalar and kind.list_size == size
    return kind == scalar and size == 1


def _check_span(
    folder: Path, where: str, info: dict[str, Any], row: dict[str, Any], name: str
) -> None:
    span = row[f'videos/{name}/to_timestamp'] - row[f'videos/{name}/from_timestamp']
    right = abs(span - row['length'] / info['fps']) < _TIME_TOLERANCE
    _check(folder, where, right, f'has a wrong span in {name}')


def _check_statistics(folder: Path, info: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    found = json.loads((folder / 'meta' / 'stats.json').read_text(encoding='utf-8'))
    for name, feature in info['features'].items():
        entries = found.get(name, {})
        complete = all(key in entries for key in _STATISTICS)
        _check(folder, 'meta/stats.json', complete, f'lacks statistics of {name}')
        shape = np.shape(entries['mean'])
        wanted = (3, 1, 1) if feature['dtype'] == 'video' else tuple(feature['shape'])
        _check(folder, 'meta/stats.json', shape == wanted, f'has {name} of shape {shape}')
        for key in ('min', 'max'):
            parts = np.array([row[f'stats/{name}/{key}'] for row in rows])
            right = np.allclose(_MOMENTS[key](parts, axis=0), entries[key])
            _check(folder, 'meta/stats.json', right, f'has another {key} of {name}')


def _check_videos(folder: Path, info: dict[str, Any], rows: list[dict[str, Any]]) -> int:
    """Decode every video and compare its frames with the episodes in it."""
    import av

    wanted: dict[str, int] = {}
    for name, feature in info['features'].items():
        if feature['dtype'] != 'video':
            continue
        for row in rows:
            path = info['video_path'].format(
                video_key=name, chunk_index=row[f'videos/{name}/chunk_index'],
                file_index=row[f'videos/{name}/file_index'],
            )  # fmt: skip
            wanted[path] = wanted.get(path, 0) + row['length']
    for path, count in wanted.items():
        key = path.split('/')[1]
        with av.open(str(folder / path)) as container:
            stream = container.streams.video[0]
            size = [stream.height, stream.width, 3]
            frames = sum(1 for _ in container.decode(stream))
        _check(folder, path, size == info['features'][key]['shape'], f'has frames of {size}')
        _check(folder, path, frames == count, f'has {frames} frames, not {count}')
    return len(wanted)


def _check(folder: Path, where: str, right: bool, problem: str) -> None:
    if not right:
        raise DataError(f'{folder}: {where} {problem}: export the sessions again.')

"""Exported sessions: LeRobot field by field, HDF5 and CSV, whole or not at all."""

import csv
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cameras.direct_recording import DirectRecording
from hand_pose_ros.cli.main import main
from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting import session_export
from hand_pose_ros.exporting.session_export import ExportOptions, export_sessions
from hand_pose_ros.exporting.validation import validate_lerobot
from hand_pose_ros.rig.description import load_rig
from hand_pose_ros.sessions.labels import labels_folder
from hand_pose_ros.sessions.session import Session

av, h5py = pytest.importorskip('av'), pytest.importorskip('h5py')
pq = pytest.importorskip('pyarrow.parquet')


@pytest.fixture(scope='module')
def sessions(repository, tmp_path_factory):
    """Two simulated sessions of half a second with thermal, depth and NIR images."""
    folder = tmp_path_factory.mktemp('sessions')
    rig = load_rig(repository / 'config' / 'simulated_head_rig.yaml')
    for seed in (1, 2):
        options = {'offline': True, 'scenario': 'normal', 'seed': seed, 'start': 10**18}
        cameras = {
            name: replace(rig.cameras[name], driver_options=options)
            for name in ('thermal', 'depth', 'nir')
        }
        synchronizer = replace(rig.synchronizer, streams=tuple(cameras))
        with BagWriter(folder / f's{seed}') as writer:
            small = replace(rig, cameras=cameras, synchronizer=synchronizer)
            DirectRecording(rig=small, writer=writer, duration=0.5).run()
    return [folder / 's1', folder / 's2']


def options(form='lerobot', **changes):
    return ExportOptions(format=form, truth=True, task='wave', **changes)


@pytest.fixture(scope='module')
def exported(sessions, tmp_path_factory):
    folder = tmp_path_factory.mktemp('out') / 'set'
    done = export_sessions(sessions, folder, options())
    return folder, done


def test_two_sessions_are_two_valid_episodes(exported):
    folder, done = exported
    assert done.episodes == 2
    assert validate_lerobot(folder) == {'episodes': 2, 'frames': done.moments, 'videos': 4}
    assert done.valid == (1.0, 1.0)


def test_info_and_tables_have_the_layout_of_version_3(exported):
    folder, _done = exported
    info = json.loads((folder / 'meta' / 'info.json').read_text())
    assert (info['codebase_version'], info['fps']) == ('v3.0', 30)
    assert info['splits'] == {'train': '0:2'}
    assert info['features']['observation.state']['shape'] == [22]
    video = info['features']['observation.images.thermal']
    assert (video['dtype'], video['shape']) == ('video', [256, 320, 3])
    assert 'observation.images.depth' not in info['features']
    tasks = pq.read_table(folder / 'meta' / 'tasks.parquet')
    assert tasks.to_pylist() == [{'task_index': 0, '__index_level_0__': 'wave'}]
    assert json.loads(tasks.schema.metadata[b'pandas'])['index_columns'] == ['__index_level_0__']
    rows = pq.read_table(folder / 'meta/episodes/chunk-000/file-000.parquet').to_pylist()
    assert [row['dataset_from_index'] for row in rows] == [0, rows[0]['length']]
    assert rows[1]['data/file_index'] == 1
    data = pq.read_table(folder / 'data/chunk-000/file-000.parquet')
    assert str(data.schema.field('observation.state').type).startswith('fixed_size_list<')
    assert str(data.schema.field('timestamp').type) == 'float'


def test_video_frames_show_the_recorded_images(exported, sessions):
    folder, _ = exported
    path = folder / 'videos/observation.images.nir/chunk-000/file-000.mp4'
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).to_ndarray(format='gray')
    with Session.open(sessions[0]) as session:
        nir = session.frame(0).streams['nir'].image
    assert np.abs(first.astype(float) - nir).mean() < 6.0


def test_sixteen_bits_survive(exported, sessions):
    folder, _ = exported
    with (
        h5py.File(folder / 'raw' / 'episode-000000.h5') as file,
        Session.open(sessions[0]) as session,
    ):
        frame = session.frame(0)
        np.testing.assert_array_equal(file['thermal'][0], frame.streams['thermal'].image)
        depth = file['depth'][0] * file['depth'].attrs['metres_per_count']
        np.testing.assert_allclose(depth, np.nan_to_num(frame.streams['depth'].image), atol=1e-6)
        assert file['thermal'].attrs['celsius_per_count'] == pytest.approx(0.04)
        assert file['thermal_present'][:].all()


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda f: rewrite(f, lambda t: t.set_column(*doubled(t, 'timestamp'))), 'timestamps'),
        (lambda f: rewrite(f, lambda t: t.slice(1)), 'number of rows'),
        (
            lambda f: (f / 'videos/observation.images.nir/chunk-000/file-000.mp4').unlink(),
            'No such',
        ),
        (lambda f: change_info(f, codebase_version='v2.1'), 'another version'),
        (lambda f: change_info(f, total_frames=3), 'counts other frames'),
        (lambda f: rewrite(f, lambda t: t.drop_columns(['action'])), 'lacks action'),
        (lambda f: rewrite(f, lambda t: t.set_column(*doubled(t, 'task_index', 7))), 'statistics'),
        (lambda f: rewrite(f, lambda t: t.set_column(*widened(t, 'index'))), 'another type'),
        (lambda f: change_stats(f, 'action', 'max'), 'another max of action'),
    ],
)
def test_validation_sees_what_is_wrong(exported, tmp_path, damage, message):
    shutil.copytree(exported[0], tmp_path / 'set')
    damage(tmp_path / 'set')
    with pytest.raises((DataError, OSError), match=message):
        validate_lerobot(tmp_path / 'set')


def rewrite(folder, change):
    path = folder / 'data/chunk-000/file-000.parquet'
    pq.write_table(change(pq.read_table(path)), path)


def doubled(table, name, more=0):
    import pyarrow as pa

    place = table.column_names.index(name)
    return place, name, pa.array(table[name].to_numpy() * 2 + more)


def widened(table, name):
    place = table.column_names.index(name)
    return place, name, table[name].cast('double')


def change_stats(folder, feature, key):
    path = folder / 'meta' / 'stats.json'
    content = json.loads(path.read_text())
    content[feature][key][0] += 1.0
    path.write_text(json.dumps(content))


def change_info(folder, **changes):
    path = folder / 'meta' / 'info.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_hdf5_as_robomimic_reads_it(sessions, tmp_path):
    done = export_sessions(sessions[:1], tmp_path / 'h', options('hdf5', rate=15.0))
    with h5py.File(tmp_path / 'h' / 'episodes.hdf5') as file:
        demo = file['data/demo_0']
        assert demo.attrs['num_samples'] == done.moments == len(demo['actions'])
        assert file['data'].attrs['total'] == done.moments
        assert demo['obs/thermal_image'].dtype == np.uint16
        assert demo['obs/nir_image'].shape[1:] == (480, 640, 3)
        assert demo['dones'][:].sum() == demo['dones'][-1] == 1


def test_csv_has_units_in_its_columns(sessions, tmp_path):
    done = export_sessions(sessions[:1], tmp_path / 'c', options('csv'))
    with (tmp_path / 'c' / 'episodes.csv').open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == done.moments
    assert float(rows[3]['time_s']) == pytest.approx(0.1)
    assert -2 < float(rows[0]['left_wrist_x_m']) < 2
    assert rows[0]['right_valid'] == '1'
    assert all(value is not None for row in rows for value in row.values())


def test_an_output_that_exists_is_not_touched(sessions, tmp_path):
    (tmp_path / 'set').mkdir()
    with pytest.raises(DataError, match='exists already'):
        export_sessions(sessions, tmp_path / 'set', options())


def test_every_session_has_its_calibration_and_episodes(exported, sessions):
    content = json.loads((exported[0] / 'rig.json').read_text())
    assert [entry['session'] for entry in content['sessions']] == ['s1', 's2']
    assert [entry['episodes'] for entry in content['sessions']] == [[0], [1]]
    assert content['sessions'][1]['rig']['cameras']['thermal']['driver_options']['seed'] == 2
    with Session.open(sessions[1]) as session:
        assert content['sessions'][1]['start_stamps'] == [int(session.stamps[0])]


def test_episodes_of_one_session_share_its_files(sessions, tmp_path):
    session = tmp_path / 's'
    shutil.copytree(sessions[0], session)
    with Session.open(session) as opened:
        labels = opened.truth()
    labels.origin[4:9] = 0
    labels.save(labels_folder(session))
    done = export_sessions([session], tmp_path / 'o', ExportOptions(split_gap=0.1))
    rows = pq.read_table(tmp_path / 'o/meta/episodes/chunk-000/file-000.parquet').to_pylist()
    assert done.episodes == len(rows) == 2
    key = 'videos/observation.images.nir'
    assert rows[1][f'{key}/file_index'] == rows[0][f'{key}/file_index'] == 0
    starts = [row[f'{key}/from_timestamp'] for row in rows]
    assert starts == [0.0, pytest.approx(rows[0]['length'] / 30)]
    with h5py.File(tmp_path / 'o/raw/episode-000001.h5') as raw, Session.open(session) as opened:
        first = opened.frame(9).streams['thermal'].image
        np.testing.assert_array_equal(raw['thermal'][0], first)


@pytest.mark.parametrize('package', ['pyarrow', 'av', 'h5py'])
def test_a_missing_package_names_the_extra(sessions, tmp_path, monkeypatch, package):
    for name in [*sys.modules, package]:
        if name.partition('.')[0] == package:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=rf'needs? the package {package}: .*requirements/export'):
        export_sessions(sessions[:1], tmp_path / 'set', options())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(sessions, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(session_export, 'validate_lerobot', full)
    with pytest.raises(DataError, match=r'cannot be written \(No space left'):
        export_sessions(sessions[:1], tmp_path / 'set', options())
    assert list(tmp_path.iterdir()) == []


def test_the_command(sessions, tmp_path, capsys):
    line = ['export', str(sessions[0]), '--format', 'csv', '--output', str(tmp_path / 'o')]
    assert main([*line, '--truth', '--json', str(tmp_path / 'o.json')]) == 0
    assert '1 episodes' in capsys.readouterr().out
    assert json.loads((tmp_path / 'o.json').read_text())['episodes'] == 1
    assert main([*line[:-1], str(tmp_path / 'p')]) == 1
    assert 'run `hand-pose annotate` first' in capsys.readouterr().err
    assert main(['export']) == 1
    assert 'nothing to export' in capsys.readouterr().err
    assert main(['export', 'a', '--onnx', 'b', 'c']) == 1
    assert 'do not go together' in capsys.readouterr().err

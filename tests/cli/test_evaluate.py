"""``hand-pose evaluate``: published figures printed, files written, problems in one sentence."""

import gzip
import json

import numpy as np
import pytest

from hand_pose_ros.cli.main import main
from hand_pose_ros.training.validation import Validation


def uvd(path, frames=3, joints=14, offset=0.0):
    line = ' '.join(f'320 240 {500 + offset + joint}' for joint in range(joints))
    text = (line + '\n') * frames
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == '.gz' else text.encode())
    return str(path)


@pytest.fixture
def pair(tmp_path):
    return uvd(tmp_path / 'mine.txt.gz', offset=7.5), uvd(tmp_path / 'truth.txt')


def evaluate(predictions, truth, *more, protocol='nyu'):
    return main(
        [
            'evaluate',
            '--protocol',
            protocol,
            '--predictions',
            predictions,
            '--ground-truth',
            truth,
            *more,
        ]
    )


def test_the_published_figure_of_nyu(test_data, capsys):
    folder = test_data / 'depth_benchmarks' / 'nyu'
    if not folder.is_dir():
        pytest.skip(f'{folder} is missing')
    names = ('CVPR18_NYU_denseReg.txt.gz', 'nyu_test_groundtruth_label.txt.gz')
    assert evaluate(*(str(folder / name) for name in names)) == 0
    text = capsys.readouterr().out
    assert 'mean joint error: 10.214 mm' in text
    assert 'frames with worst joint within 20 mm: 56.42 %' in text
    assert 'frames with worst joint within 40 mm: 85.79 %' in text
    assert 'fx 588.03, fy -587.07' in text
    assert '11.22  36.71  56.42  70.49  78.60  85.79  89.25  92.94  96.29' in text
    assert '27.78  69.10  85.61  92.16  96.54  97.95' in text
    assert 'error <= D' in text
    assert 'V2V-PoseNet' in text


def test_report_and_json(pair, tmp_path, capsys):
    out, figures = tmp_path / 'report', tmp_path / 'figures.json'
    assert evaluate(*pair, '--output', str(out), '--json', str(figures)) == 0
    captured = capsys.readouterr()
    assert 'mean joint error: 7.500 mm' in captured.out
    assert 'report.html' in captured.err
    assert json.loads(figures.read_text()) == json.loads((out / 'report.json').read_text())
    assert json.loads(figures.read_text())['headline']['mean_error_mm'] == pytest.approx(7.5)
    assert (out / 'report.png').stat().st_size > 10_000


def test_two_hands_from_lines_and_arrays(tmp_path, capsys):
    joints = np.random.default_rng(0).uniform(-0.1, 0.1, (3, 2, 21, 3)) + np.array([0, 0, 0.5])
    np.savez(tmp_path / 'truth.npz', joints=joints, stamps=np.array([1, 2, 3]))
    records = [
        {
            'stamp': stamp, 'frame_id': 'thermal_optical_frame',
            'hands': [{'side': 'left', 'score': 1.0, 'joints': (joints[n, 0] + 0.01).tolist()}],
        }
        for n, stamp in enumerate((1, 2))
    ]  # fmt: skip
    lines = tmp_path / 'hands.jsonl'
    lines.write_text('\n'.join(map(json.dumps, records)))
    assert evaluate(str(lines), str(tmp_path / 'truth.npz'), protocol='thermohands') == 0
    text = capsys.readouterr().out
    assert 'MEPE: 17.32 mm' in text
    assert 'left: 2 of 3 found, right: 0 of 3 found' in text
    assert '0-90 mm, 37 thresholds' in text
    assert '0-50 mm, 21 thresholds' in text


@pytest.mark.parametrize('protocol', ['arctic', 'thermohands', 'epic'])
def test_image_size_and_protocols_of_two_hands(tmp_path, capsys, protocol):
    joints = np.random.default_rng(0).uniform(-0.1, 0.1, (3, 2, 21, 3)) + np.array([0, 0, 0.5])
    np.savez(tmp_path / 'a.npz', joints=joints, pixels=joints[..., :2] * 100 + 100)
    path = str(tmp_path / 'a.npz')
    assert evaluate(path, path, '--image-size', '320', '240', protocol=protocol) == 0
    assert '0.00' in capsys.readouterr().out


def test_problems_are_one_sentence(pair, tmp_path, capsys):
    mine, truth = pair
    (tmp_path / 'broken.txt.gz').write_bytes(gzip.compress(b'1 2 3 ' * 99)[:-9])
    cases = (
        ((mine, str(tmp_path / 'none.txt')), {}, 'none.txt cannot be read (No such file'),
        ((mine, uvd(tmp_path / 'b.txt', joints=16)), {}, 'needs 42'),
        ((mine, uvd(tmp_path / 'c.txt', frames=4)), {}, 'has 3 frames and'),
        ((mine, truth), {'protocol': 'kinect'}, "protocol 'kinect' does not exist: use one of nyu"),
        ((str(tmp_path / 'broken.txt.gz'), truth), {}, 'is a damaged gzip file'),
        ((mine, truth), {'protocol': 'arctic'}, 'neither .npz nor .jsonl'),
    )
    for files, options, sentence in cases:
        assert evaluate(*files, **options) == 1
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count('\n') == 1


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ([], '--protocol is missing'),
        (['--protocol', 'nyu'], '--predictions is missing'),
        (['--checkpoint', 'a', '--protocol', 'nyu'], '--checkpoint and --protocol do not go'),
        (['--checkpoint', 'none.safetensors'], 'card none.json cannot be read'),
    ],
)
def test_half_a_question_says_what_is_missing(options, sentence, capsys):
    assert main(['evaluate', *options]) == 1
    assert sentence in capsys.readouterr().err


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint file whose evaluation is replaced; what it was asked for."""
    import torch

    from hand_pose_ros.networks.checkpoint import save_checkpoint
    from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig

    path = tmp_path / 'dense.safetensors'
    config = DenseRegConfig(joints=21, stacks=1, channels=16, branch_channels=8, vote_channels=8)
    torch.manual_seed(0)
    save_checkpoint(path, DenseReg(config), 'densereg', config, {})
    asked = {}
    joints = np.random.default_rng(0).uniform(-0.1, 0.1, (4, 2, 21, 3)) + np.array([0, 0, 0.5])

    def evaluated(path, data, **options):
        asked.update(options, path=path, data=data)
        options['report'](1, 2)
        guess, truth = {'joints': joints + np.array([0.006, 0, 0])}, {'joints': joints}
        return Validation(metrics={}, predicted=guess, truth=truth)

    monkeypatch.setattr('hand_pose_ros.training.evaluate.evaluate_checkpoint', evaluated)
    return path, asked


def test_a_checkpoint_on_simulated_data(checkpoint, capsys, tmp_path):
    path, asked = checkpoint
    status = main(
        [
            'evaluate',
            '--checkpoint',
            str(path),
            '--setting',
            'darkness',
            '--clips',
            '5',
            '--output',
            str(tmp_path / 'report'),
        ]
    )
    assert status == 0
    assert (asked['path'], asked['data'], asked['setting']) == (path, 'simulated:test', 'darkness')
    assert (asked['clips'], asked['seed']) == (5, 0)
    text = capsys.readouterr().out
    assert 'densereg on simulated:test' in text
    assert 'mean joint error: 6.000 mm' in text
    assert 'setting darkness' in text
    assert 'Published' not in text
    assert 'wrist' in (tmp_path / 'report' / 'report.html').read_text()


def test_a_checkpoint_on_recorded_data(checkpoint, capsys, tmp_path):
    path, asked = checkpoint
    status = main(
        [
            'evaluate',
            '--checkpoint',
            str(path),
            '--data',
            'thermohands:test',
            '--root',
            str(tmp_path),
            '--clips',
            '0',
        ]
    )
    assert status == 0
    assert asked['root'] == tmp_path
    text = capsys.readouterr().out
    assert 'clips: all' in text
    assert 'setting' not in text

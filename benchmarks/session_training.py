"""Share of a fine-tuning's time that it waits for images of sessions. Target: at most 10 %.

    python benchmarks/session_training.py [SESSIONS] [--json FILE]

Without SESSIONS (a folder with splits.yaml) it records two of 5 s first. Also prints what it takes
to open a session and to read a set of images somewhere in it.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

from hand_pose_ros.cli.main import main as hand_pose
from hand_pose_ros.datasets.session_splits import SPLITS_FILE
from hand_pose_ros.networks.precision import mixed_precision
from hand_pose_ros.sessions.labels import labels_folder
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.training.config import load_config
from hand_pose_ros.training.data import TrainingData
from hand_pose_ros.training.distributed import World
from hand_pose_ros.training.initialise import initialise
from hand_pose_ros.training.seeds import generator
from hand_pose_ros.training.tasks.registry import make_task

_RECIPES = Path(__file__).resolve().parent.parent / 'config' / 'train'
# Steps before the clock starts.
_WARM_UP = 3
_WAITING, _MOST = 'waiting, %', 10.0


def main() -> int:
    """Measure some steps of each recipe, then opening and single images of a session."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', type=Path, nargs='?', help='sessions with splits.yaml')
    parser.add_argument('--networks', nargs='+', default=['densereg', 'therformer', 'wildhands'])
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root or _recorded(Path(folder))
        results = {
            name: _network(name, root, arguments.steps) for name in arguments.networks
        }  # fmt: skip
        results['bag'] = _bag(next(root.glob('**/metadata.yaml')).parent)
    for name, values in results.items():
        print(f'{name}: ' + ', '.join(f'{key} {value:.4g}' for key, value in values.items()))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + '\n')
    return int(any(results[name][_WAITING] > _MOST for name in arguments.networks))


def _recorded(root: Path) -> Path:
    """Record two sessions of the simulated head rig with their truth as labels."""
    for number in (1, 2):
        path = root / f'subject_{number}' / 'a'
        command = ['record', 'simulated_head_rig', str(path), '--direct', '--offline']
        if hand_pose([*command, '--duration', '5', '--seed', str(number)]):
            raise SystemExit('recording failed')
        with Session.open(path) as session:
            labels = session.truth()
            assert labels is not None
            labels.save(labels_folder(path))
    (root / SPLITS_FILE).write_text('train: [subject_1/a]\nval: [subject_2/a]\n')
    return root


def _network(name: str, root: Path, steps: int) -> dict[str, float]:
    config = load_config(_RECIPES / f'{name}_sessions_cpu.yaml', root)
    task = make_task(config)
    network = task.build_network()
    initialise(network, task, Path('shipped'))
    network = network.to(memory_format=torch.channels_last).train()
    data = TrainingData(config.data, task, seed=0, world=World())
    waited = total = reading = 0.0
    try:
        for step in range(steps + _WARM_UP):
            begin = time.perf_counter()
            batch = data.take(step)
            taken = time.perf_counter()
            with mixed_precision(config.precision, torch.device('cpu')):
                loss, _ = task.loss(network, batch, generator(0, 3, step, 0))
            loss.backward()
            network.zero_grad(set_to_none=True)
            if step >= _WARM_UP:
                waited += taken - begin
                total += time.perf_counter() - begin
    finally:
        data.close()
    for step in range(5):
        begin = time.perf_counter()
        data.make(step)
        reading += (time.perf_counter() - begin) / 5
    return {
        'seconds a step': total / steps, _WAITING: 100.0 * waited / total,
        'seconds to make a batch alone': reading,
    }  # fmt: skip


def _bag(path: Path) -> dict[str, float]:
    begin = time.perf_counter()
    session = Session.open(path)
    opened = time.perf_counter() - begin
    numbers = torch.randperm(len(session.sets), generator=torch.Generator().manual_seed(0))[:100]
    begin = time.perf_counter()
    for number in numbers.tolist():
        session.frame(number)
    each = (time.perf_counter() - begin) / len(numbers)
    gigabytes = sum(file.stat().st_size for file in path.glob('*.mcap')) / 1e9
    session.close()
    return {'gigabytes': gigabytes, 'open, s': opened, 'random set of all cameras, ms': 1e3 * each}


if __name__ == '__main__':
    sys.exit(main())

"""Trains the small networks side by side on one GPU, as those that ship were trained.

    python scripts/train_small_models.py [--minutes 9] [--cache FOLDER] [--output output/train]
        [--scale 1.0]

All clips are rendered first, by a process per source; each training begins when its clips are
there and ends in time. TherFormer takes two runs, the second from the weights of the first. With
NVIDIA's multi-process service running (``nvidia-cuda-mps-control -d``) the trainings share the
GPU at once instead of taking turns.
"""

import argparse
import dataclasses
import multiprocessing
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from hand_pose_ros.training.config import load_config  # noqa: E402

RECIPES = REPOSITORY / 'config' / 'train'
# Recipes in the order they run, and the share of the time that each takes.
PLANS: tuple[tuple[tuple[str, float], ...], ...] = (
    (('therformer_small_start_h200', 0.6), ('therformer_small_h200', 0.4)),
    (('densereg_small_h200', 1.0),),
    (('wildhands_small_h200', 1.0),),
)


def render(recipe: Path, number: int) -> None:
    """Render one source of a recipe into its cache; the last number is the validation."""
    import torch

    from hand_pose_ros.training.sources import make_source

    config = load_config(recipe)
    source = (*config.data.train, config.data.validation)[number]
    began = time.monotonic()
    make_source(source, config.data, torch.device('cuda'))
    frames = source.clips * config.data.frames
    passed = time.monotonic() - began
    print(f'{recipe.stem} {number}: {frames} frames in {passed:.1f} s', flush=True)


def prepared(name: str, *, cache: Path, output: Path, scale: float) -> Path:
    """Write a recipe with the places of this run, and all sizes scaled, and return its path."""
    content = yaml.safe_load((RECIPES / f'{name}.yaml').read_text(encoding='utf-8'))
    content['data']['cache'] = str(cache)
    for source in (*content['data']['train'], content['data']['validation']):
        source['clips'] = max(8, int(source['clips'] * scale))
    if 'initialise_from' in content:
        content['initialise_from'] = str(
            output / Path(content['initialise_from']).relative_to('output/train')
        )
    path = output / f'{name}.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    return path


def wait_for_clips(recipes: list[Path]) -> None:
    """Render every source of some recipes, each in a process of its own."""
    context = multiprocessing.get_context('spawn')
    wanted: dict[str, tuple[Path, int]] = {}
    for recipe in recipes:
        data = load_config(recipe).data
        for number, source in enumerate((*data.train, data.validation)):
            key = repr(dataclasses.replace(source, weight=1.0))
            wanted.setdefault(key, (recipe, number))
    processes = [context.Process(target=render, args=job) for job in wanted.values()]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            sys.exit(f'clips of {recipes[0].stem} could not be rendered')


def run_plan(plan: list[tuple[Path, float]], end: float, output: Path) -> None:
    """Render the clips of a plan and run its recipes one after the other."""
    wait_for_clips([recipe for recipe, _ in plan])
    left = sum(share for _, share in plan)
    for recipe, share in plan:
        minutes = (end - time.monotonic()) / 60.0 * share / left
        left -= share
        began = time.monotonic()
        log = output / f'{recipe.stem}.log'
        with log.open('w', encoding='utf-8') as file:
            status = subprocess.run(  # noqa: S603 - our own command
                [
                    sys.executable, '-m', 'hand_pose_ros.cli.main', 'train', str(recipe),
                    '--output', str(output / recipe.stem), '--time-limit', f'{minutes:.3f}',
                    '--device', 'cuda', '--threads', '2',
                ],
                cwd=REPOSITORY, stdout=file, stderr=subprocess.STDOUT, check=False,
            ).returncode  # fmt: skip
        passed = time.monotonic() - began
        print(f'{recipe.stem}: status {status}, {passed:.0f} s of {60 * minutes:.0f}', flush=True)
        print(log.read_text(encoding='utf-8')[-2000:], flush=True)


def main() -> int:
    """Train everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--minutes', type=float, default=9.0, help='for everything')
    parser.add_argument('--cache', type=Path, default=Path('/dev/shm/hand_pose_clips'))  # noqa: S108
    parser.add_argument('--output', type=Path, default=REPOSITORY / 'output' / 'train')
    parser.add_argument('--scale', type=float, default=1.0, help='of the numbers of clips')
    given = parser.parse_args()
    end = time.monotonic() + 60.0 * given.minutes
    output = given.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    plans = [
        [
            (prepared(name, cache=given.cache, output=output, scale=given.scale), share)
            for name, share in plan
        ]
        for plan in PLANS
    ]
    with ThreadPoolExecutor(len(plans)) as pool:
        list(pool.map(lambda plan: run_plan(plan, end, output), plans))
    return 0


if __name__ == '__main__':
    sys.exit(main())

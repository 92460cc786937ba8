"""Runs the fake task in a process of its own, which a test may kill or start several times.

Usage: fake_run.py FOLDER STEPS [--resume] [--die-at STEP] [--state-free]
"""

import os
import signal
import sys
from pathlib import Path

import hand_pose_ros.training.data as data
from hand_pose_ros.training.distributed import joined
from hand_pose_ros.training.trainer import Trainer
from tests.training import fakes


def main(folder, steps, *options):
    data.make_source = lambda *_, **__: fakes.FakeClips()
    die_at = int(options[options.index('--die-at') + 1]) if '--die-at' in options else -1
    task = fakes.FakeTask(state_free='--state-free' in options)
    with joined('cpu') as world:
        trainer = Trainer(
            fakes.make_config(validate_every=4),
            task,
            Path(folder),
            world=world,
            resume='--resume' in options,
        )

        def killed():
            if trainer.step == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return False

        trainer.run(steps=int(steps), stopped=killed)


if __name__ == '__main__':
    main(*sys.argv[1:])

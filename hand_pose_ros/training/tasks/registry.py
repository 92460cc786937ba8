"""The tasks by name."""

import importlib

from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.tasks.base import Task

# Name -> module and class; imported only when asked for.
TASKS: dict[str, tuple[str, str]] = {
    'therformer': ('hand_pose_ros.training.tasks.therformer', 'TherFormerTask'),
    'wildhands': ('hand_pose_ros.training.tasks.wildhands', 'WildHandsTask'),
    'densereg': ('hand_pose_ros.training.tasks.densereg', 'DenseRegTask'),
}


def make_task(config: TrainingConfig) -> Task:
    """Return the task of a configuration.

    Raises:
        TrainingError: the options of its network or its loss cannot be used.
    """
    module, name = TASKS[config.task]
    task: Task = getattr(importlib.import_module(module), name)(config)
    return task

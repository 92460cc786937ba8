"""Learning rates as pure functions of the progress, so that a resumed run needs no state."""

import math

from hand_pose_ros.training.config import ScheduleConfig


def rate_factor(config: ScheduleConfig, step: int, progress: float) -> float:
    """Return the learning rate at a step as a share of the highest.

    Args:
        config: the schedule.
        step: optimiser steps done.
        progress: share of the run that is done, in 0..1.

    Source: methods specification, sections 1.5, 2.7 and 3.5.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < config.warm_up:
        return max(progress / config.warm_up, 1e-3)
    if config.name == 'constant':
        return 1.0
    if config.name == 'exponential':
        return config.factor ** (step / config.every)
    if config.name == 'step':
        return config.factor ** (step // config.every)
    rest = (progress - config.warm_up) / (1.0 - config.warm_up)
    return config.final + (1.0 - config.final) * (1.0 + math.cos(math.pi * rest)) / 2.0

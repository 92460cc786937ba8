"""Make hand_pose_ros/assets/finger_prior.json: how fingers lie in the simulator's training split.

    python scripts/make_finger_prior.py [--clips 3000]

Clips are planned, not rendered: a minute on one CPU core.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import hand_pose_ros
from hand_pose_ros.hand_model.finger_prior import NAME
from hand_pose_ros.hand_model.kinematics import FittingModel
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_planner import draw

_PART = 100  # clips drawn at once
_FRAMES = 3


def angles(model: FittingModel, clips: int) -> np.ndarray:
    """Return the free angles (N, D) of all hands of the first clips, settings mixed."""
    config = SimulationConfig(setting='mixed', split='train', rate_range=(1.0, 2.0))
    found = []
    for first in range(0, clips, _PART):
        numbers = range(first, min(first + _PART, clips))
        for plan in draw(config, numbers, _FRAMES).plans:
            for side in np.flatnonzero(plan.present):
                sides = np.full(_FRAMES, side)
                found.append(model.angles(plan.hand_pose[:, side], sides))
    return np.concatenate(found)


def main() -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--clips', type=int, default=3000)
    arguments = parser.parse_args()
    model = FittingModel(load_hand_model('right'))
    values = angles(model, arguments.clips)
    content = {
        'source': f'{len(values)} hands of {arguments.clips} clips of the training split',
        'degrees': model.degrees.tolist(),
        'mean': values.mean(axis=0).round(4).tolist(),
        'covariance': np.cov(values.T).round(6).tolist(),
    }
    lines = ',\n'.join(
        f' {json.dumps(name)}: {json.dumps(value)}' for name, value in content.items()
    )
    path = Path(hand_pose_ros.__file__).parent / 'assets' / NAME
    path.write_text(f'{{\n{lines}\n}}\n', encoding='utf-8')
    print(f'{path}: {content["source"]}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

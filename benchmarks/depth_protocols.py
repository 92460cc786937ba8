"""DenseReg's released NYU predictions: the mean error and success rates of the publication.

    python benchmarks/depth_protocols.py [--data FOLDER] [--json FILE]

Reads `depth_benchmarks/nyu` of the test data (HAND_POSE_TEST_DATA). Every rate must agree to the
last digit with what is published; the speed is that of one evaluation, reading included.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from hand_pose_ros.evaluation.depth_protocol import evaluate_files
from hand_pose_ros.evaluation.published import published_curves

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get('HAND_POSE_TEST_DATA', ROOT.parent / 'shared' / 'data'))
MEAN_MM = 10.214


def main(arguments: list[str] | None = None) -> int:
    """Compare and report; the exit status is 1 when a figure differs, 2 without the data."""
    parser = argparse.ArgumentParser(description="DenseReg's published figures on NYU.")
    parser.add_argument('--data', type=Path, default=DATA, help='folder of the test data')
    parser.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args(arguments)
    folder = options.data / 'depth_benchmarks' / 'nyu'
    predictions = folder / 'CVPR18_NYU_denseReg.txt.gz'
    if not predictions.exists():
        print(f'{predictions} is missing: set HAND_POSE_TEST_DATA')
        return 2
    start = time.perf_counter()
    result = evaluate_files(predictions, folder / 'nyu_test_groundtruth_label.txt.gz', 'nyu')
    seconds = time.perf_counter() - start
    mean = result.headline['mean_error_mm']
    reached = abs(mean - MEAN_MM) < 5e-4
    print(f'mean joint error {mean:.3f} mm, published {MEAN_MM} mm ({seconds:.2f} s)')
    figures: dict[str, object] = {'mean_error_mm': mean, 'seconds': seconds}
    own = {curve.name: curve for curve in result.curves}
    for curve in published_curves('nyu'):
        name = curve.name.removeprefix('DenseReg, ')
        mine = np.interp(curve.thresholds, own[name].thresholds, own[name].percent)
        difference = float(np.abs(mine - curve.percent).max())
        reached = reached and difference < 5.1e-3
        print(f'{name:14} {" ".join(f"{value:6.2f}" for value in mine)}  ({difference:.4f} off)')
        figures[name] = dict(zip(curve.thresholds.tolist(), mine.tolist(), strict=True))
    print('ok' if reached else 'MISSED')
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0 if reached else 1


if __name__ == '__main__':
    sys.exit(main())

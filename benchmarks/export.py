"""Export of a simulated session: every format, the LeRobot set checked field by field, sizes, time.

    python benchmarks/export.py [--seconds 10] [--urdf dex-urdf/robots/hands] [--json FILE]

With ``--urdf`` and requirements/retargeting.txt a LEAP hand follows as well, and its angles are
compared with its joint limits.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cameras.direct_recording import DirectRecording
from hand_pose_ros.exporting.episodes import episodes_of
from hand_pose_ros.exporting.retargeting import Retargeter
from hand_pose_ros.exporting.session_export import FORMATS, ExportOptions, export_sessions
from hand_pose_ros.exporting.validation import validate_lerobot
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.sessions.session import Session

_START = 1_700_000_000_000_000_000


def main() -> int:
    """Record, export, check; 0 when everything is as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--urdf', type=Path, help='folder with leap_hand/')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        session = record(Path(scratch) / 'session', arguments.seconds)
        for form in FORMATS:
            folder = Path(scratch) / form
            began = time.perf_counter()
            done = export_sessions([session], folder, ExportOptions(format=form, truth=True))
            took = time.perf_counter() - began
            size = sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())
            results[form] = {'moments': done.moments, 'seconds': took, 'megabytes': size / 1e6}
            rate = done.moments / took
            print(f'{form}: {done.moments} moments, {rate:.0f} a second, {size / 1e6:.1f} MB')
        results['lerobot'] |= validate_lerobot(Path(scratch) / 'lerobot')
        print(f'lerobot: every field as LeRobotDataset v3.0 wants it, {results["lerobot"]}')
        if arguments.urdf is not None:
            results['retargeting'] = retargeted(session, arguments.urdf)
            print(f'leap hand: {results["retargeting"]}')
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + '\n')
    return 0


def record(folder: Path, seconds: float) -> Path:
    """Record the simulated head rig; return the bag."""
    rig = find_rig('simulated_head_rig')
    options = {'offline': True, 'scenario': 'normal', 'start': _START}
    cameras = {
        name: replace(camera, driver_options=options) for name, camera in rig.cameras.items()
    }
    with BagWriter(folder) as writer:
        DirectRecording(rig=replace(rig, cameras=cameras), writer=writer, duration=seconds).run()
    return folder


def retargeted(path: Path, urdf: Path) -> dict[str, float]:
    """Let a LEAP hand follow; return its speed and the largest step between moments."""
    with Session.open(path) as session:
        labels = session.truth()
        assert labels is not None
        [episode] = episodes_of(labels, session.rig, session.stamps, rate=30.0, split_gap=9.0)
    began = time.perf_counter()
    motions = Retargeter('leap', urdf).moved(episode)  # raises beyond a joint limit
    took = time.perf_counter() - began
    steps = [float(np.abs(np.diff(motion.angles, axis=0)).max()) for motion in motions]
    return {'milliseconds_a_hand': took / len(episode) / 2 * 1e3, 'largest_step_rad': max(steps)}


if __name__ == '__main__':
    sys.exit(main())

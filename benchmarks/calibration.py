"""How exactly simulated rigs are calibrated, from nothing but the size of their images.

    python benchmarks/calibration.py [--seeds 5] [--views 24] [--target T] [--json FILE]

Every seed: another motion of the target, surroundings, noise, phases and time offsets (up to
100 ms), the thermal target warm or cold, depth off by up to half a percent. The recording is
written to a bag whose rig knows neither intrinsics nor poses, and calibrated as
`hand-pose calibrate` does.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.calibrate import Calibration, Options, calibrate
from hand_pose_ros.calibration.projection import parameters
from hand_pose_ros.calibration.recording import Recording
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.rig.target import parse_target
from hand_pose_ros.simulation.boards import BoardScene, write_board_session

GOALS = {
    'focal length, %': 0.3, 'position, mm': 1.0, 'rotation, degrees': 0.1, 'thermal k1': 0.01,
    'time offset, ms': 3.0, 'depth scale, %': 0.1,
}  # fmt: skip


def unknown(rig: RigDescription) -> RigDescription:
    """Return a rig of which only the pose of the reference camera is known."""
    cameras = {
        name: replace(
            camera, camera=None,
            T_rig_cam=camera.T_rig_cam if name == rig.reference else np.eye(4),
        )
        for name, camera in rig.cameras.items()
    }  # fmt: skip
    return replace(rig, cameras=cameras)


def errors(found: Calibration, scene: BoardScene) -> dict[str, float]:
    """Return the largest error of all cameras in the units of ``GOALS``, and how it was stated."""
    largest = dict.fromkeys(GOALS, 0.0)
    stated: list[float] = []
    true_rig, solution = scene.rig, found.solutions['']
    reference = true_rig.reference
    T_cam_ref = {
        name: inverse(camera.T_rig_cam) @ true_rig.cameras[reference].T_rig_cam
        for name, camera in true_rig.cameras.items()
    }
    for name, eye in solution.bundle.eyes.items():
        camera = true_rig.cameras[name].camera
        assert camera is not None
        true = np.zeros(9)
        true[: 4 + camera.distortion.size] = parameters(camera)
        off = parameters(eye.camera) - true
        spread = solution.deviations[name]
        stated += list(off[list(eye.free)] / spread[: len(eye.free)])
        focal = 100 * float(np.abs(off[:2] / true[:2]).max())
        largest['focal length, %'] = max(largest['focal length, %'], focal)
        if name == 'thermal':
            largest['thermal k1'] = abs(float(off[4]))
        if name == reference:
            continue
        away = eye.T_cam_ref @ inverse(T_cam_ref[name])
        turn = Rotation.from_matrix(away[:3, :3])
        place = 1e3 * np.linalg.norm(
            inverse(eye.T_cam_ref)[:3, 3] - inverse(T_cam_ref[name])[:3, 3]
        )
        late = scene.offsets.get(name, 0) - scene.offsets.get(reference, 0)
        largest['position, mm'] = max(largest['position, mm'], float(place))
        angle = float(np.degrees(turn.magnitude()))
        largest['rotation, degrees'] = max(largest['rotation, degrees'], angle)
        delay = abs(1e3 * eye.offset - late * 1e-6)
        largest['time offset, ms'] = max(largest['time offset, ms'], delay)
        stated += list(turn.as_rotvec() / spread[-7:-4])
    scale = found.depth['depth'].scale
    largest['depth scale, %'] = 100 * abs(scale / scene.depth_scale - 1)
    return largest | {
        'error over stated deviation (RMS)': float(np.sqrt(np.mean(np.square(stated))))
    }


def run(seed: int, views: int, target: str) -> dict[str, float]:
    """Record and calibrate one rig."""
    generator = np.random.default_rng([seed, 61])
    rig = find_rig('simulated_head_rig')
    late = {name: int(generator.integers(-100, 100)) * 1_000_000 for name in ('nir', 'rgb')}
    scene = BoardScene(
        rig=rig, target=parse_target(target), seed=100 + seed, views=views,
        heat='cold' if seed % 2 else 'warm', offsets=late | {'depth': late['nir']},
        depth_scale=float(generator.uniform(0.995, 1.005)),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / 'board'
        write_board_session(scene, bag, described=unknown(rig))
        start = time.perf_counter()
        with Recording(bag) as recording:
            options = Options(target=scene.target, ties={'depth': 'nir'})
            found = calibrate(recording, options)
        return errors(found, scene) | {'seconds': time.perf_counter() - start}


def main() -> int:
    """Print a table; 0 when every goal is met by every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--views', type=int, default=24)
    parser.add_argument('--target', default='chessboard:9x6:0.025')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        rows.append(run(seed, arguments.views, arguments.target))
        print(f'seed {seed}: ' + ', '.join(f'{k} {v:.4g}' for k, v in rows[-1].items()), flush=True)
    print(f'\n| largest error of any camera | goal | mean | worst of {len(rows)} |')
    print('| --- | --- | --- | --- |')
    for name in rows[0]:
        values = [row[name] for row in rows]
        goal = GOALS.get(name, '')
        print(f'| {name} | {goal} | {np.mean(values):.3g} | {max(values):.3g} |')
    machine = f'{platform.processor() or platform.machine()}, Python {platform.python_version()}'
    print(f'\n{arguments.target}, {arguments.views} views, {machine}')
    if arguments.json:
        content = {'machine': machine, 'rows': rows, 'goals': GOALS}
        arguments.json.write_text(json.dumps(content, indent=2) + '\n')
    return 0 if all(row[name] <= goal for row in rows for name, goal in GOALS.items()) else 1


if __name__ == '__main__':
    sys.exit(main())

"""What a reviewer waits for: frames, images, refits, and what is saved of a session of 10k frames.

example: python benchmarks/review.py sessions/subject_01/wave --json review.json
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.label_masks import ImagePlace, image_places
from hand_pose_ros.review.adding import PALM
from hand_pose_ros.review.work import Drag, NewHand, ReviewWork
from hand_pose_ros.sessions.labels import SessionLabels, labels_folder

_DRAG = 10.0  # pixels
_FRAMES = 10_000
_DRAGGED = (0, 5, 17, 4, 8, 12, 16, 20)  # wrist, two knuckles and the tips

Array = NDArray[np.float64]


def main() -> None:
    """Review a copy of a session's labels, then save long ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('session', type=Path, help='annotated session')
    parser.add_argument('--tries', type=int, default=20)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'session'
        path.symlink_to(arguments.session.resolve())
        shutil.copytree(labels_folder(arguments.session), labels_folder(path))
        results = _added(path, arguments.tries // 2) | _waits(path, arguments.tries)
        results |= _saves(SessionLabels.load(labels_folder(path)), Path(folder) / 'long')
    for name, value in results.items():
        print(f'{name}: {value:.3g}')
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + '\n')


def _waits(path: Path, tries: int) -> dict[str, float]:
    """Milliseconds of each answer, and how far beside its pixel a dragged joint ends."""
    work = ReviewWork(path)
    generator = np.random.default_rng(0)
    rows = generator.permutation(np.flatnonzero((work.labels.origin != 0).all(axis=1)))[:tries]
    results = {
        'frame_ms': _median(work.frame, rows),
        'cloud_ms': _median(work.cloud, rows),
    }
    cameras = list(work.frame(int(rows[0]))['views'])
    for camera in cameras:
        results[f'image_{camera}_ms'] = _median(partial(work.image, camera), rows)
    beside, seconds = [], []
    for row in rows.tolist():
        side, joint = int(generator.integers(2)), int(generator.integers(21))
        camera = cameras[int(generator.integers(len(cameras)))]
        # The set may lack an image of the camera.
        view = work.frame(row)['views'].get(camera, {'pixels': [None, None]})
        joints = view['pixels'][side]
        if joints is None or joints[joint] is None:
            continue
        angle = generator.uniform(0, 2 * np.pi)
        x, y = np.array(joints[joint]) + _DRAG * np.array([np.cos(angle), np.sin(angle)])
        start = time.perf_counter()
        work.drag(Drag(row=row, side=side, joint=joint, camera=camera, x=x, y=y))
        seconds.append(time.perf_counter() - start)
        now = work.frame(row)['views'][camera]['pixels'][side][joint]
        beside.append(float(np.hypot(now[0] - x, now[1] - y)))
    work.close()
    return results | {
        'drag_ms': 1e3 * float(np.median(seconds)), 'drag_most_ms': 1e3 * max(seconds),
        'drag_beside_px': float(np.median(beside)), 'drag_most_beside_px': max(beside),
    }  # fmt: skip


def _added(path: Path, tries: int) -> dict[str, float]:
    """Millimetres from its label to a hand added in a session without any, and after its drags."""
    folder = labels_folder(path)
    true = SessionLabels.load(folder)
    SessionLabels.empty(true.stamps, true.numbers, true.frame_id).save(folder)
    work = ReviewWork(path)
    hands = np.random.default_rng(1).permutation(np.argwhere(true.usable))[:tries]
    errors = [_errors(work, true.joints[row, side], row, side) for row, side in hands.tolist()]
    work.close()
    true.save(folder)
    names = ('added_mm', 'added_drags_in_one_view_mm', 'added_drags_in_two_views_mm')
    return dict(zip(names, 1e3 * np.median(errors, axis=0), strict=True))


def _errors(work: ReviewWork, true: Array, row: int, side: int) -> list[float]:
    """Add a hand, drag its wrist, knuckles and tips in two views, and take it all back."""
    places = list(image_places(work.session, int(work.labels.numbers[row])))
    places = [place for place in places if np.isfinite(_pixels(place, true)).all()]

    def error() -> float:
        return float(np.linalg.norm(work.labels.joints[row, side] - true, axis=1).mean())

    x, y = _pixels(places[0], true[PALM].mean(axis=0, keepdims=True))[0]
    work.add(NewHand(row=row, side=side, camera=places[0].camera, x=x, y=y))
    errors = [error()]
    for place in (places[0], places[-1]):
        for joint in _DRAGGED:
            x, y = _pixels(place, true)[joint]
            work.drag(
                Drag(row=row, side=side, joint=joint, camera=place.camera, x=float(x), y=float(y))
            )
        errors.append(error())
    while work.undo() is not None:
        pass
    return errors


def _pixels(place: ImagePlace, joints: Array) -> Array:
    T = place.T_cam_world
    return place.intrinsics.project(joints @ T[:3, :3].T + T[:3, 3])


def _saves(labels: SessionLabels, folder: Path) -> dict[str, float]:
    """Milliseconds of saving a session of many frames, all of them judged."""
    folder.mkdir()
    long = labels.take(np.arange(_FRAMES) % len(labels.stamps))
    long.stamps[:] = 1_700_000_000_000_000_000 + np.arange(_FRAMES) * 33_333_333
    long.verdict[:] = 1
    rows = np.arange(5)
    return {
        'save_verdicts_ms': _median(lambda _: long.save_verdicts(folder), rows),
        'save_correction_ms': _median(lambda row: long.save_correction(folder, row, 0), rows),
        'save_table_ms': _median(lambda _: long.save(folder), rows[:2]),
    }  # fmt: skip


def _median(work: Callable[[int], Any], rows: Any) -> float:
    seconds = []
    for row in rows:
        start = time.perf_counter()
        work(int(row))
        seconds.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seconds))


if __name__ == '__main__':
    main()

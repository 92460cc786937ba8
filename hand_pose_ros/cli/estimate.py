"""``hand-pose estimate``: hands in recorded images or videos, one JSON line a frame."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hand_pose_ros.cli.common import (
    CommandError,
    Verbs,
    add_json_option,
    notices,
    progress,
    write_json,
)

if TYPE_CHECKING:
    from hand_pose_ros.cli.offline import OfflineResult
    from hand_pose_ros.rig.description import RigDescription
    from hand_pose_ros.rig.frame import Modality

_EXAMPLE = """examples:
  hand-pose estimate frames/ --rig ego_calib.json --modality thermal --output hands.jsonl
  hand-pose estimate photos/ --modality rgb --independent --output hands.jsonl --overlay seen/
  hand-pose estimate session/ --rig rig.yaml --modality all --estimator fusion --output hands.jsonl
      (session/ has one folder a camera: thermal, nir, depth, rgb)
"""
MODALITY_CHOICES = ('thermal', 'nir', 'depth', 'rgb', 'all')


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'estimate',
        help='hands in an image, an image folder or a video',
        description='Estimates the hands in recorded images and writes one JSON line a frame. '
        'Without --rig only 2D joints are known and `joints` is null.',
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('input', type=Path, metavar='INPUT', help='image, folder or video')
    parser.add_argument(
        '--rig', metavar='FILE', help='rig file (YAML), ThermoHands calibration (JSON) or the '
        'name of a rig that comes with the package'
    )  # fmt: skip
    parser.add_argument(
        '--modality', required=True, choices=MODALITY_CHOICES, help='what the images show'
    )
    parser.add_argument('--output', required=True, type=Path, metavar='FILE.jsonl')
    parser.add_argument(
        '--estimator', metavar='NAME', default='',
        help='landmarks, therformer, wildhands, densereg or fusion; default: what the rig names',
    )  # fmt: skip
    parser.add_argument('--overlay', type=Path, metavar='DIR', help='also draw the hands here')
    parser.add_argument(
        '--independent', action='store_true', help='unrelated photographs: track nothing between'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


@dataclass(kw_only=True)
class Tally:
    """What a run found so far."""

    frames: int = 0
    frames_with_hands: int = 0
    frames_with_both: int = 0
    left: int = 0
    right: int = 0
    metric: int = 0
    remarks: list[str] = field(default_factory=list)

    def add(self, hands: list[dict[str, Any]]) -> None:
        """Count the hands of one frame's record."""
        sides = [hand['side'] for hand in hands]
        self.frames += 1
        self.frames_with_hands += bool(sides)
        self.frames_with_both += {'left', 'right'} <= set(sides)
        self.left += sides.count('left')
        self.right += sides.count('right')
        self.metric += sum(hand['joints'] is not None for hand in hands)


def run(arguments: argparse.Namespace) -> int:
    """Estimate, write the lines, and say what was found."""
    from hand_pose_ros.cli import offline
    from hand_pose_ros.estimators import registry

    console, tally = notices(), Tally()

    def say(remark: str) -> None:
        tally.remarks.append(remark)
        console.print(f'note: {remark}')

    recordings = offline.recordings(arguments.input, arguments.modality)
    rig = _rig(arguments.rig, tuple(recordings), say)
    name = arguments.estimator or rig.estimator
    options = rig.estimator_options if name == rig.estimator else {}
    estimator = registry.create(name, options, rig)
    named = zip(rig.cameras, recordings.values(), strict=True)
    sets = offline.sets_of(rig, {name: recording.images() for name, recording in named})
    results = offline.estimate_sets(
        offline.FrameBuilder(rig, say), estimator, sets, independent=arguments.independent
    )
    total = max(recording.count for recording in recordings.values()) or None
    started = time.monotonic()
    with progress(console, 'frames') as bar:
        shown = bar.track(results, total=total, description='estimating')
        _write(arguments, rig, shown, tally)
    seconds = time.monotonic() - started
    if not tally.frames:
        raise CommandError(f'{arguments.input}: no set of images could be put together by stamp.')
    _report(arguments, tally, seconds)
    return 0


def _rig(
    name: str | None, cameras: tuple[Modality, ...], say: Callable[[str], None]
) -> RigDescription:
    """The rig to use: the given one cut down to what there is, or one nothing is known about."""
    from hand_pose_ros.cli import offline
    from hand_pose_ros.rig.description import find_rig

    if name is None:
        say('no --rig: without a calibration only 2D joints are known, `joints` is null')
        return offline.uncalibrated_rig(cameras)
    rig = find_rig(name)
    return offline.matching_rig(rig, cameras)


def _write(
    arguments: argparse.Namespace,
    rig: RigDescription,
    results: Iterable[OfflineResult],
    tally: Tally,
) -> None:
    """Write a line, and when asked for a picture per stream, for every frame as it comes."""
    from hand_pose_ros.cli.records import frame_record, json_line

    try:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        stream = arguments.output.open('w', encoding='utf-8')
    except OSError as error:
        raise CommandError(
            f'{arguments.output} cannot be written ({error.strerror}): name another --output.'
        ) from None
    with stream:
        for result in results:
            record = frame_record(result.frame, result.source, result.hands)
            stream.write(json_line(record))
            tally.add(record['hands'])
            if arguments.overlay is not None:
                _draw(arguments.overlay, rig, result)


def _draw(folder: Path, rig: RigDescription, result: OfflineResult) -> None:
    """Save the frame's overlays, one folder a camera when there are several."""
    from hand_pose_ros.cli.overlay import overlay, save_picture

    source = result.source.replace('#', '_')
    name = source if source.endswith('.png') else f'{source}.png'
    for camera in result.frame.streams:
        image = overlay(result.frame, camera, rig.cameras[camera].modality, result.hands)
        inner = folder / camera if len(rig.cameras) > 1 else folder
        save_picture(inner / name, image)


def _report(arguments: argparse.Namespace, tally: Tally, seconds: float) -> None:
    """Print one line of results and write the JSON summary."""
    hands = tally.left + tally.right
    rate = tally.frames / seconds if seconds > 0 else 0.0
    print(
        f'{tally.frames} frames, {hands} hands ({tally.left} left, {tally.right} right; '
        f'{tally.metric} metric), hands in {tally.frames_with_hands} frames, '
        f'{rate:.1f} frames/s -> {arguments.output}'
    )
    if arguments.overlay is not None:
        print(f'overlays -> {arguments.overlay}')
    write_json(
        arguments.json,
        {
            'input': str(arguments.input),
            'modality': arguments.modality,
            'rig': arguments.rig,
            'output': str(arguments.output),
            'seconds': round(seconds, 3),
            'frames_per_second': round(rate, 2),
            **asdict(tally),
        },
    )

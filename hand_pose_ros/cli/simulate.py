"""``hand-pose simulate``: writes a labelled data set of simulated hands."""

import argparse
from pathlib import Path

from hand_pose_ros.cli.common import CommandError, Verbs, add_json_option, write_json

# Written out, so that the command starts without loading the simulation.
_SETTINGS = ('office', 'darkness', 'sun_glare', 'gloves', 'kitchen', 'mixed')
_SPLITS = ('train', 'val', 'test')
_LAYOUTS = ('training', 'released')
_EXAMPLE = 'example: hand-pose simulate /tmp/hands --clips 20 --setting mixed'


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'simulate',
        help='write a labelled data set of simulated hands',
        description='Renders clips of two hands before the head rig (thermal, NIR, depth, RGB) '
        'and writes them with exact labels in the folders and files of ThermoHands.',
        epilog=_EXAMPLE,
    )
    parser.add_argument('output', type=Path, metavar='OUTPUT', help='new or empty folder')
    parser.add_argument('--clips', type=int, default=20, help='number of clips (default: 20)')
    parser.add_argument('--frames', type=int, default=32, help='images per clip (default: 32)')
    parser.add_argument(
        '--setting', default='office', choices=_SETTINGS,
        help='surroundings; mixed draws one per clip (default: office)',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, default=0, help='another seed, other clips')
    parser.add_argument(
        '--split', default='train', choices=_SPLITS,
        help='the splits share no hands and no motions (default: train)',
    )  # fmt: skip
    parser.add_argument(
        '--first', type=int, default=0, metavar='N',
        help='number of the first clip, to make a data set in parts (default: 0)',
    )  # fmt: skip
    parser.add_argument(
        '--layout', default='training', choices=_LAYOUTS,
        help='training: half size, masks and split list; released: full size (default: training)',
    )  # fmt: skip
    parser.add_argument(
        '--rate', type=float, default=8.5, metavar='HZ', help='images per second (default: 8.5)'
    )
    parser.add_argument(
        '--rig', default='simulated_head_rig',
        help='rig file, ego_calib.json or name of a rig with the cameras of ThermoHands '
        '(default: simulated_head_rig)',
    )  # fmt: skip
    parser.add_argument(
        '--device', default='cpu', choices=('cpu', 'cuda'), help='where to render (default: cpu)'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the data set."""
    _check(arguments)
    import torch

    from hand_pose_ros.cli.common import notices, progress
    from hand_pose_ros.rig.description import find_rig
    from hand_pose_ros.simulation.batch_config import SimulationConfig
    from hand_pose_ros.simulation.thermohands_writer import ThermoHandsWriter

    if arguments.device == 'cuda' and not torch.cuda.is_available():
        raise CommandError('--device cuda: torch finds no GPU here, use --device cpu.')
    config = SimulationConfig(
        rig=find_rig(arguments.rig), seed=arguments.seed, setting=arguments.setting,
        split=arguments.split, rectified=False,
    )  # fmt: skip
    writer = ThermoHandsWriter(
        arguments.output, config, layout=arguments.layout, rate=arguments.rate,
        device=arguments.device,
    )  # fmt: skip
    numbers = range(arguments.first, arguments.first + arguments.clips)
    settings: dict[str, int] = {}
    with progress(notices(), 'clips') as bar:
        for number in bar.track(numbers, description='simulating'):
            clip = writer.write_clip(number, arguments.frames)
            settings[clip.setting] = settings.get(clip.setting, 0) + 1
    writer.finish()
    count = arguments.clips * arguments.frames
    shares = ', '.join(f'{number} {name}' for name, number in sorted(settings.items()))
    print(f'{arguments.output}: {arguments.clips} clips ({shares}), {count} frames')
    write_json(
        arguments.json,
        {
            'folder': str(arguments.output), 'layout': arguments.layout,
            'split': arguments.split, 'seed': arguments.seed, 'clips': arguments.clips,
            'frames': count, 'settings': settings,
        },
    )  # fmt: skip
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse numbers nothing can be rendered from."""
    for name in ('clips', 'frames'):
        if getattr(arguments, name) < 1:
            raise CommandError(f'--{name} is {getattr(arguments, name)}: use 1 or more.')
    if arguments.first < 0:
        raise CommandError(f'--first is {arguments.first}: use 0 or more.')
    if not 0 < arguments.rate <= 1000:
        raise CommandError(f'--rate is {arguments.rate} Hz: use a rate above 0, up to 1000.')

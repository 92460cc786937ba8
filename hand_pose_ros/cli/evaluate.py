"""``hand-pose evaluate``: errors of predictions or of a checkpoint, by published protocols."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from hand_pose_ros.cli.common import (
    CommandError,
    Verbs,
    add_json_option,
    notices,
    progress,
    write_json,
)
from hand_pose_ros.evaluation.protocols import PROTOCOLS, evaluate_network, evaluate_protocol
from hand_pose_ros.evaluation.published import published_tables
from hand_pose_ros.evaluation.report import headline_text, report_json, write_report
from hand_pose_ros.evaluation.results import ProtocolResult

_EXAMPLE = (
    'example: hand-pose evaluate --protocol nyu --predictions mine.txt.gz '
    '--ground-truth nyu_test_groundtruth_label.txt.gz --output report/'
)
# Of tables in files and pipes, where no terminal says how wide it is.
_WIDTH = 120
_DATA, _CLIPS = 'simulated:test', 128
# By whether a session carries its exact hands.
_LABELS = {True: 'exact hands of the simulation', False: 'hand-pose annotate'}
_FILES = ('protocol', 'predictions', 'ground_truth')


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'evaluate',
        help='measure predictions, or a trained network, by published protocols',
        description='Compares a file of predictions with labels (--protocol, --predictions, '
        '--ground-truth), or runs a checkpoint over a data set (--checkpoint, --data) or a session '
        '(--checkpoint, --session), or a live estimator over one (--estimator, --session). '
        'Protocols: '
        + '; '.join(f'{name}: {what}' for name, what in PROTOCOLS.items()) + '.',
        epilog=_EXAMPLE,
    )  # fmt: skip
    files = parser.add_argument_group('files')
    files.add_argument('--protocol', metavar='NAME', help=', '.join(PROTOCOLS))
    files.add_argument(
        '--predictions', type=Path, metavar='FILE',
        help='u v depth text for nyu, icvl, msra; else .npz, or .jsonl of `hand-pose estimate`',
    )  # fmt: skip
    files.add_argument('--ground-truth', type=Path, metavar='FILE', help='the labels, alike')
    files.add_argument(
        '--image-size', type=int, nargs=2, metavar=('W', 'H'),
        help='of the labelled images: for the ARCTIC rule of valid hands and 2D errors',
    )  # fmt: skip
    network = parser.add_argument_group('checkpoint')
    network.add_argument('--checkpoint', type=Path, metavar='FILE', help='weights (.safetensors)')
    network.add_argument(
        '--data', metavar='NAME:SPLIT', help=f'what to run it on (default: {_DATA})'
    )  # fmt: skip
    network.add_argument(
        '--setting', default='office', help='of the simulation (default: %(default)s)'
    )
    network.add_argument(
        '--clips',
        type=int,
        help=f'how many, 0 for all (default: {_CLIPS}; all of a session)',
    )
    network.add_argument('--seed', type=int, default=0, help='of the simulation')
    network.add_argument('--root', type=Path, metavar='FOLDER', help='where recorded data lie')
    network.add_argument(
        '--session', type=Path, metavar='BAG',
        help='run it on this session: against its exact hands if it is simulated, else its labels',
    )  # fmt: skip
    network.add_argument(
        '--estimator', metavar='NAME',
        help='measure this whole live estimator on --session, instead of a checkpoint',
    )  # fmt: skip
    network.add_argument(
        '--truth', action='store_true',
        help='--data sessions: compare with the exact hands of simulated ones instead of labels',
    )  # fmt: skip
    network.add_argument(
        '--against', metavar='FILE',
        help='another checkpoint, or `shipped`, whose figures are shown beside',
    )  # fmt: skip
    network.add_argument('--cache', type=Path, metavar='FOLDER', help='of rendered clips')
    network.add_argument('--device', choices=('cpu', 'cuda'), help='default: a GPU if there is one')
    parser.add_argument(
        '--output', type=Path, metavar='DIR', help='write report.html, report.png and report.json'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables and write what was asked for."""
    given = [name for name in _FILES if getattr(arguments, name) is not None]
    if arguments.estimator is not None:
        result = _estimator(arguments)
    elif arguments.checkpoint is not None:
        if given:
            raise CommandError(
                f'--checkpoint and --{given[0].replace("_", "-")} do not go together: measure a '
                'checkpoint or files.'
            )
        _choose_data(arguments)
        result = _checkpoint(arguments, arguments.checkpoint)
    elif arguments.session is not None:
        raise CommandError('--session needs what to run on it: give --checkpoint or --estimator.')
    elif len(given) == len(_FILES):
        size = arguments.image_size
        result = evaluate_protocol(
            arguments.protocol, arguments.predictions, arguments.ground_truth,
            None if size is None else (size[0], size[1]),
        )  # fmt: skip
    else:
        missing = next(name for name in _FILES if name not in given)
        raise CommandError(
            f'--{missing.replace("_", "-")} is missing: give --protocol, --predictions and '
            '--ground-truth, or --checkpoint, or --estimator.'
        )
    show(result)
    document = report_json(result)
    if arguments.checkpoint is not None and arguments.against is not None:
        document['against'] = _show_against(arguments, result)
    if arguments.output is not None:
        page, picture, data = write_report(arguments.output, result)
        notices().print(f'report: {page}, {picture.name}, {data.name}')
    write_json(arguments.json, document)
    return 0


def show(result: ProtocolResult) -> None:
    """Print the headline, the tables and what others have published."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(result.title, style='bold')
    for name, value in result.headline.items():
        label, text = headline_text(name, value)
        console.print(f'{label}: {text}')
    for name, condition in result.conditions.items():
        console.print(f'{name}: {condition}', style='dim')
    for table in result.tables:
        grid = Grid(title=table.title, title_justify='left', box=None)
        grid.add_column('')
        for column in table.columns:
            grid.add_column(column, justify='right')
        for row in table.rows:
            cells = ['-' if v != v else f'{v:.{row.digits}f}' for v in row.values]
            grid.add_row(f'{row.name}, {row.unit}' if row.unit else row.name, *cells)
        console.print(grid)
    if result.comparable:
        _show_published(console, result)


def _show_published(console: Console, result: ProtocolResult) -> None:
    for table in published_tables(result.protocol):
        grid = Grid(title=f'Published: {table.title}', title_justify='left', box=None)
        grid.add_column('')
        for column in table.columns:
            grid.add_column(column, justify='right')
        for row in table.rows:
            grid.add_row(row.name, *('-' if v is None else f'{v:g}' for v in row.values))
        own = [result.headline.get(metric, float('nan')) for metric in table.metrics]
        cells = ['-' if value != value else f'{value:.3f}' for value in own]
        grid.add_row('this run', *cells, style='bold')
        console.print(grid)


def _show_against(arguments: argparse.Namespace, result: ProtocolResult) -> dict[str, float]:
    """Measure another checkpoint on the same data and print both; return its figures."""
    from hand_pose_ros.networks.checkpoint import card_modality, read_card, shipped_weights

    path = Path(arguments.against)
    if arguments.against == 'shipped':
        card = read_card(arguments.checkpoint)
        path = shipped_weights(card['network'], card_modality(card))
    other = _checkpoint(arguments, path)
    print(f'against {path}:')
    for name, value in result.headline.items():
        label, text = headline_text(name, value)
        before = other.headline[name]
        change = f' ({(value / before - 1) * 100:+.1f} %)' if before else ''
        print(f'  {label}: {headline_text(name, before)[1]} -> {text}{change}')
    return dict(other.headline)


def _estimator(arguments: argparse.Namespace) -> ProtocolResult:
    """Run a live estimator over a session and measure it by the two-hand protocol."""
    from hand_pose_ros.estimators import registry
    from hand_pose_ros.estimators.session_run import run_over
    from hand_pose_ros.evaluation.thermohands_protocol import evaluate_thermohands
    from hand_pose_ros.sessions.session import Session

    if arguments.session is None or arguments.checkpoint is not None:
        raise CommandError('--estimator goes with --session and without --checkpoint.')
    name = arguments.estimator
    with Session.open(arguments.session) as session, progress(notices(), 'frames') as bar:
        rig = session.rig
        options = rig.estimator_options if name == rig.estimator else {}
        estimator = registry.create(name, options, rig)
        exact = session.truth() is not None
        task = bar.add_task(name, total=None)
        joints, labels = run_over(
            session, estimator, truth=exact, limit=arguments.clips or 0,
            report=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    found, labelled = np.isfinite(joints).any((2, 3)), np.isfinite(labels).any((2, 3))
    result = evaluate_thermohands(
        joints, labels, title=f'{name} on {arguments.session}',
        conditions={
            'frames': str(len(labels)), 'labels': _LABELS[exact],
            'hands found': f'{100 * (found & labelled).sum() / labelled.sum():.1f} %',
        },
    )  # fmt: skip
    return dataclasses.replace(result, comparable=False)


def _choose_data(arguments: argparse.Namespace) -> None:
    """Turn ``--session`` into a data set: its exact hands are preferred to labels."""
    if arguments.session is not None:
        from hand_pose_ros.sessions.session import Session

        if arguments.data is not None or arguments.root is not None:
            raise CommandError('--session says what to run it on: leave out --data and --root.')
        with Session.open(arguments.session) as session:
            arguments.truth = session.truth() is not None
        arguments.data, arguments.root = 'sessions:test', arguments.session
        arguments.clips = arguments.clips or 0
    arguments.data = arguments.data or _DATA
    arguments.clips = _CLIPS if arguments.clips is None else arguments.clips


def _checkpoint(arguments: argparse.Namespace, path: Path) -> ProtocolResult:
    """Run a checkpoint over a data set and measure it."""
    import torch

    from hand_pose_ros.networks.checkpoint import read_card
    from hand_pose_ros.training.evaluate import evaluate_checkpoint

    device = arguments.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    card = read_card(path)
    with progress(notices(), 'clips') as bar:
        task = bar.add_task('rendering', total=None)
        validation = evaluate_checkpoint(
            path, arguments.data, setting=arguments.setting,
            clips=arguments.clips, seed=arguments.seed, root=arguments.root,
            truth=arguments.truth, cache=arguments.cache, device=device,
            report=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    simulated = arguments.data.startswith('simulated')
    conditions = {
        'checkpoint': f'{path.name}, SHA-256 {str(card["sha256"])[:12]}',
        'data': arguments.data + (f', setting {arguments.setting}' if simulated else ''),
        'clips': str(arguments.clips or 'all'),
        'device': device,
    }
    if arguments.session is not None:
        conditions['data'] = str(arguments.session)
    if arguments.data.startswith('sessions'):
        conditions['labels'] = _LABELS[arguments.truth]
    return evaluate_network(
        card['network'], validation.predicted, validation.truth, data=arguments.data,
        conditions=conditions,
    )  # fmt: skip

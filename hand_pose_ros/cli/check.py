"""``hand-pose check``: says what a bag is worth, repairs and compresses it."""

import argparse
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
    from hand_pose_ros.bags.repair import Repair
    from hand_pose_ros.sessions.checks.bag_check import BagCheck

# Exit status when something is missing.
_LOSSY = 3


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'check',
        help='check a recorded bag for losses and other problems, and repair it',
        description='Reads a bag once and reports rates, losses, clocks, exposure, frozen images, '
        'calibration and how well the streams go together. Exit status: 0 good, 3 something is '
        'missing, 1 unusable.',
        epilog='example: hand-pose check /data/session1 --html /data/session1.html',
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='rosbag2 folder or mcap file')
    parser.add_argument(
        '--rig', type=Path, metavar='FILE', help='rig file to use instead of the recorded one'
    )
    parser.add_argument('--html', type=Path, metavar='FILE', help='also write a page with plots')
    parser.add_argument(
        '--repair', action='store_true',
        help='first make the bag of an interrupted recording whole; the old file is kept as '
        '<file>.damaged',
    )  # fmt: skip
    parser.add_argument(
        '--compress', action='store_true',
        help='afterwards compress the bag with zstd, in place, unless it is unusable',
    )  # fmt: skip
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Repair when asked, check, report, compress when asked."""
    from hand_pose_ros.bags.repair import repair

    results: dict[str, Any] = {}
    lost = False
    if arguments.repair:
        repaired = repair(arguments.bag)
        check = _checked(arguments)
        if check.damaged:
            # The summary looked fine but the content is not.
            repaired = repair(arguments.bag, thorough=True)
            check = _checked(arguments)
        _report_repair(repaired)
        results['repair'] = repaired.as_dict()
        lost = any(entry.lost_bytes or entry.damaged_chunks for entry in repaired.files.values())
    else:
        check = _checked(arguments)
    _report(check)
    results |= check.as_dict()
    if arguments.html is not None:
        _write_page(arguments.html, check)
    if arguments.compress and check.exit_status != 1:
        results['compressed'] = _compress(arguments.bag)
    write_json(arguments.json, results)
    return check.exit_status or (_LOSSY if lost else 0)


def _checked(arguments: argparse.Namespace) -> 'BagCheck':
    from hand_pose_ros.sessions.checks.bag_check import check_bag

    with progress(notices(), '%') as bar:
        task = bar.add_task('checking', total=100)
        return check_bag(
            arguments.bag,
            arguments.rig,
            lambda share: bar.update(task, completed=int(100 * share)),
        )


def _report_repair(repaired: 'Repair') -> None:
    if not repaired.changed:
        print(f'{repaired.path}: nothing to repair')
        return
    for name, entry in repaired.files.items():
        print(
            f'{name}: repaired, {entry.messages} messages kept ({entry.from_pieces} of unfinished '
            f'chunks), {entry.damaged_chunks} damaged chunks and {entry.lost_bytes} bytes lost; '
            f'the old file is {name}.damaged'
        )
    print(f'{repaired.path}: metadata.yaml {repaired.metadata}')


def _report(check: 'BagCheck') -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, header_style='dim')
    table.add_column('stream')
    for title in ('images', '1/s', 'lost', 'gap ms', 'jitter ms', 'late ms', 'over', 'dark',
                  'frozen', 'MB'):  # fmt: skip
        table.add_column(title, justify='right')
    for name, stream in check.streams.items():
        times, images = stream.times, stream.images
        longest = max((seconds for _, seconds in times.gaps), default=0.0)
        table.add_row(
            name, str(times.messages), f'{times.rate:.2f}', str(times.lost),
            f'{1000 * longest:.0f}', f'{times.jitter_ms:.1f}', f'{times.latency_ms:.1f}',
            f'{100 * images.over:.0f} %', f'{100 * images.under:.0f} %',
            str(sum(count for _, count, _ in images.frozen)), f'{times.megabytes:.1f}',
        )  # fmt: skip
    console.print(table)
    sync = check.synchronisation
    if sync is not None:
        middle, high, most = sync.spread_ms
        console.print(
            f'{sync.sets} sets, {sync.partial} of them lack a stream; spread {middle:.1f} ms, '
            f'95 % below {high:.1f} ms, at most {most:.1f} ms'
        )
    for finding in check.findings:
        subject = f'{finding.subject}: ' if finding.subject else ''
        console.print(f'{finding.severity}: {subject}{finding.text}', markup=False)
    console.print(f'{check.path}: {check.verdict}, {check.seconds:.1f} s', markup=False)


def _write_page(path: Path, check: 'BagCheck') -> None:
    from hand_pose_ros.sessions.checks.page import page

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(check), encoding='utf-8')
    except OSError as error:
        raise CommandError(
            f'{path} cannot be written ({error.strerror}): name another file with --html.'
        ) from None


def _compress(bag: Path) -> dict[str, float]:
    from hand_pose_ros.bags.compress import compress

    with progress(notices(), 'MB') as bar:
        task = bar.add_task('compressing', total=None)
        before, after = compress(bag, progress=lambda done: bar.update(task, completed=done))
    print(f'{bag}: compressed from {before / 1e6:.0f} to {after / 1e6:.0f} MB')
    return {'before': before, 'after': after}

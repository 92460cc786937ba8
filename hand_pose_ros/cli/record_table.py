"""The table that ``hand-pose record`` shows while it records, and its lines at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hand_pose_ros.cli.common import notices

_SHOWN_EVERY = 0.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one stream.

    Attributes:
        name: camera or topic.
        images: messages written.
        lost: by the source, before they reached us.
        dropped: by us, because the disk was too slow.
        rate: messages a second.
        bytes: of them.
    """

    name: str
    images: int
    lost: int
    dropped: int
    rate: float
    bytes: int


@contextmanager
def recording_table(
    rows: Callable[[], list[Row]], duration: float
) -> Iterator[Callable[[float], None]]:
    """Show the streams while they are recorded, on stderr; gives what to tell the seconds to."""
    from rich.live import Live
    from rich.table import Table

    with Live(console=notices(), transient=True, auto_refresh=False) as live:
        shown = 0.0

        def tell(seconds: float) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < _SHOWN_EVERY:
                return
            shown = now
            end = f' of {duration:.0f}' if duration else ''
            table = Table('stream', box=None, header_style='dim', title=f'{seconds:.1f}{end} s')
            for title in ('messages', '1/s', 'lost', 'dropped', 'MB'):
                table.add_column(title, justify='right')
            for row in rows():
                table.add_row(
                    row.name, str(row.images), f'{row.rate:.1f}', str(row.lost), str(row.dropped),
                    f'{row.bytes / 1e6:.0f}',
                )  # fmt: skip
            live.update(table, refresh=True)

        yield tell


def print_rows(output: Path, rows: list[Row]) -> None:
    """Print what became of each stream."""
    for row in rows:
        print(
            f'{row.name}: {row.images} messages, {row.rate:.1f}/s, {row.bytes / 1e6:.0f} MB, '
            f'{row.lost} lost by the source, {row.dropped} dropped here'
        )
    print(f'{output}: recorded')

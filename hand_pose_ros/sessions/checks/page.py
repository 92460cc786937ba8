"""The check of a bag as one HTML page that needs no network, with its plots inside."""

import base64
import html
import io
from typing import Any

import numpy as np

from hand_pose_ros.sessions.checks.bag_check import BagCheck, StreamCheck

_COLOURS = ('#1666c5', '#d9660a', '#2f9155', '#8a4fbf', '#b3261e', '#5c6673')
_VERDICTS = {'good': '#2f9155', 'lossy': '#d9660a', 'unusable': '#b3261e'}
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 1060px; background: #f6f7f9;
  color: #1c2430; font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2rem 0 .6rem; font-size: 1.1rem; }
p { color: #5c6673; } .verdict { color: #fff; border-radius: 6px; padding: .1rem .6rem; }
.wide { overflow-x: auto; background: #fff; border: 1px solid #e3e7ec; border-radius: 10px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .8rem; text-align: right; border-top: 1px solid #eef1f4; }
tr:first-child > * { border-top: 0; } th:first-child, td:first-child { text-align: left; }
th { color: #5c6673; font-weight: 500; } td { white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; }
img { width: 100%; display: block; padding: .6rem; }
"""
# Points of a plot: more are not seen.
_MOST_POINTS = 4000


def page(check: BagCheck) -> str:
    """Return the page."""
    name = html.escape(str(check.path))
    rig = f', rig {html.escape(check.rig)}' if check.rig else ''
    colour = _VERDICTS[check.verdict]
    verdict = f'<span class="verdict" style="background:{colour}">{check.verdict}</span>'
    return '\n'.join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            f'<title>Check of {name}</title><style>{_STYLE}</style>',
            f'<h1>{html.escape(check.path.name)} {verdict}</h1>',
            f'<p>{name}{rig}: {check.seconds:.1f} s, {sum(check.topics.values())} messages on '
            f'{len(check.topics)} topics</p>',
            _findings(check),
            '<h2>Streams</h2>',
            _streams(check),
            *_plots(check),
            '<h2>Topics</h2>',
            _topics(check),
            '</html>',
        ]
    )


def _findings(check: BagCheck) -> str:
    if not check.findings:
        return '<h2>Findings</h2><p>None: nothing is missing.</p>'
    rows = [
        [finding.severity, finding.subject or 'bag', finding.text] for finding in check.findings
    ]
    return '<h2>Findings</h2>' + _table(['severity', 'stream', 'finding'], rows, text=True)


def _streams(check: BagCheck) -> str:
    titles = ['stream', 'size', 'encoding', 'images', '1/s', 'nominal', 'lost', 'longest gap',
              'jitter', 'late', 'over', 'dark', 'frozen', 'MB']  # fmt: skip
    rows = []
    for name, stream in check.streams.items():
        times, images = stream.times, stream.images
        longest = max((seconds for _, seconds in times.gaps), default=0.0)
        rows.append(
            [
                name, f'{images.size[0]} x {images.size[1]}', images.encoding,
                str(times.messages), f'{times.rate:.2f}', f'{times.nominal:.4g}', str(times.lost),
                f'{1000 * longest:.0f} ms', f'{times.jitter_ms:.1f} ms',
                f'{times.latency_ms:.1f} ms', f'{100 * images.over:.0f} %',
                f'{100 * images.under:.0f} %', str(sum(count for _, count, _ in images.frozen)),
                f'{times.megabytes:.1f}',
            ]
        )  # fmt: skip
    return _table(titles, rows)


def _topics(check: BagCheck) -> str:
    return _table(
        ['topic', 'messages'], [[name, str(count)] for name, count in sorted(check.topics.items())]
    )


def _table(titles: list[str], rows: list[list[str]], *, text: bool = False) -> str:
    kind = ' class="text"' if text else ''
    head = ''.join(f'<th{kind}>{html.escape(title)}</th>' for title in titles)
    cell = f'<td{kind}>'
    body = ''.join(
        f'<tr>{"".join(f"{cell}{html.escape(value)}</td>" for value in row)}</tr>' for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _plots(check: BagCheck) -> list[str]:
    """Return intervals, reception, sets and thermal levels over time as pictures."""
    streams = {name: entry for name, entry in check.streams.items() if len(entry.stamps) > 1}
    if not streams:
        return []
    start = min(int(entry.stamps.min()) for entry in streams.values())
    parts = [
        '<h2>Intervals between images</h2>',
        _picture('ms', {name: _intervals(entry, start) for name, entry in streams.items()}),
        '<h2>Reception after acquisition</h2>',
        _picture('ms', {name: _latency(entry, start) for name, entry in streams.items()}),
    ]
    sync = check.synchronisation
    if sync is not None and sync.sets:
        seconds = (sync.stamps - start) * 1e-9
        parts += ['<h2>Spread of the sets</h2>', _picture('ms', {'sets': (seconds, sync.spreads)})]
    levels = {
        name: ((entry.levels[0] - start) * 1e-9, entry.levels[1])
        for name, entry in streams.items()
        if len(entry.levels[0]) > 1
    }
    if levels:
        parts += ['<h2>Level of thermal images</h2>', _picture('median, counts', levels)]
    return parts


def _intervals(stream: StreamCheck, start: int) -> tuple[Any, Any]:
    return (stream.stamps[1:] - start) * 1e-9, np.diff(stream.stamps) * 1e-6


def _latency(stream: StreamCheck, start: int) -> tuple[Any, Any]:
    return (stream.stamps - start) * 1e-9, (stream.received - stream.stamps) * 1e-6


def _picture(unit: str, series: dict[str, tuple[Any, Any]]) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.6), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, (seconds, values)) in enumerate(series.items()):
        chosen = _extremes(values)
        axes.plot(
            seconds[chosen], values[chosen], '.', markersize=2.5, label=name,
            color=_COLOURS[number % len(_COLOURS)],
        )  # fmt: skip
    axes.set_xlabel('s')
    axes.set_ylabel(unit)
    axes.grid(color='#eef1f4')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(loc='center left', bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=4)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<div class="wide"><img alt="plot" src="data:image/png;base64,{data}"></div>'


def _extremes(values: Any) -> Any:
    """Return the places of values to draw: of many, the largest and smallest of each stretch."""
    if len(values) <= _MOST_POINTS:
        return np.arange(len(values))
    stretches = np.array_split(np.arange(len(values)), _MOST_POINTS // 2)
    places = [
        place
        for stretch in stretches
        for place in (stretch[np.argmin(values[stretch])], stretch[np.argmax(values[stretch])])
    ]
    return np.unique(places)

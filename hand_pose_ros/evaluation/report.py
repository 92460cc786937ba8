"""The report of an evaluation: one HTML page that needs no network, one picture, one JSON file."""

import html
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.published import (
    PublishedTable,
    published_curves,
    published_tables,
)
from hand_pose_ros.evaluation.results import Curve, ProtocolResult, Table, finite

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 1060px; background: #f6f7f9;
  color: #1c2430; font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2rem 0 .6rem; font-size: 1.1rem; }
p, footer { color: #5c6673; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1.2rem 0; }
.tile { background: #fff; border: 1px solid #e3e7ec; border-radius: 10px; padding: .7rem 1.1rem; }
.tile b { display: block; font-size: 1.4rem; } .tile span { color: #5c6673; font-size: .85rem; }
.wide { overflow-x: auto; background: #fff; border: 1px solid #e3e7ec; border-radius: 10px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem .8rem; text-align: right; border-top: 1px solid #eef1f4; }
tr:first-child > * { border-top: 0; } th:first-child, td:first-child { text-align: left; }
th { color: #5c6673; font-weight: 500; } td.source { text-align: left; color: #5c6673;
  font-size: .82rem; } tr.own { background: #e8f1fd; font-weight: 600; }
h3 { margin: 1.2rem 0 .5rem; font-size: 1rem; font-weight: 600; }
svg { width: 100%; height: auto; padding: .6rem; max-width: 1060px; }
"""
_COLOURS = ('#1666c5', '#d9660a', '#2f9155', '#8a4fbf')
_HEADLINES = {
    'mean_error_mm': ('mean joint error', 'mm', 3),
    'visible_error_mm': ('mean error of visible joints', 'mm', 3),
    'worst_joint_20_mm': ('frames with worst joint within 20 mm', '%', 2),
    'worst_joint_40_mm': ('frames with worst joint within 40 mm', '%', 2),
    'mepe_mm': ('MEPE', 'mm', 2),
    'mepe_ra_mm': ('MEPE-RA', 'mm', 2),
    'auc_camera_0_90': ('AUC 0-90 mm', '', 3),
    'auc_camera_0_80': ('AUC 0-80 mm', '', 3),
    'auc_aligned_0_50': ('AUC 0-50 mm, wrist-aligned', '', 3),
    'mpjpe_mm': ('MPJPE', 'mm', 2),
    'mrrpe_mm': ('MRRPE', 'mm', 2),
    'pa_mpjpe_mm': ('PA-MPJPE', 'mm', 2),
    'pixels_224': ('2D error, 224 px frame', 'px', 2),
}


def headline_text(name: str, value: float) -> tuple[str, str]:
    """Return a headline figure's label and its value with unit."""
    label, unit, digits = _HEADLINES[name]
    return label, f'{_number(value, digits)} {unit}'.strip()


def report_json(result: ProtocolResult) -> dict[str, Any]:
    """The result and what was published on its data, fit for JSON."""
    return {
        **result.as_dict(),
        'published': [
            {
                'title': table.title,
                'columns': list(table.columns),
                'rows': [{'name': row.name, 'values': list(row.values)} for row in table.rows],
                'this_run': list(_own(table, result)),
                'source': table.source,
                'note': table.note,
            }
            for table in _published(result)
        ],
    }


def write_report(folder: Path, result: ProtocolResult) -> tuple[Path, Path, Path]:
    """Write ``report.html``, ``report.png`` and ``report.json`` and return their paths.

    Raises:
        DataError: they cannot be written.
    """
    paths = tuple(folder / f'report.{suffix}' for suffix in ('html', 'png', 'json'))
    page, picture, data = paths
    try:
        folder.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(draw(result, 'png'))
        page.write_text(page_text(result), encoding='utf-8')
        text = json.dumps(report_json(result), indent=2, allow_nan=False)
        data.write_text(text + '\n', encoding='utf-8')
    except OSError as error:
        raise DataError(
            f'the report cannot be written to {folder} ({error.strerror}): name another --output'
        ) from error
    return page, picture, data


def page_text(result: ProtocolResult) -> str:
    """The whole page; everything it shows is inside it."""
    tiles = ''.join(
        '<div class="tile"><b>{1}</b><span>{0}</span></div>'.format(
            *map(html.escape, headline_text(name, value))
        )
        for name, value in result.headline.items()
    )
    body = [
        f'<h1>{html.escape(result.title)}</h1>',
        f'<p>Protocol <code>{html.escape(result.protocol)}</code></p>',
        f'<div class="tiles">{tiles}</div>',
    ]
    if result.curves or result.joints:
        body.append('<div class="wide">' + draw(result, 'svg').decode() + '</div>')
    for table in result.tables:
        body += [f'<h2>{html.escape(table.title)}</h2>', _table(table)]
    published = _published(result)
    if published:
        body.append('<h2>Published results beside this run</h2>')
        body += [_published_table(table, result) for table in published]
    conditions = ''.join(
        f'<tr><td>{html.escape(name)}</td><td class="source">{html.escape(value)}</td></tr>'
        for name, value in result.conditions.items()
    )
    body.append(f'<h2>Conditions</h2><div class="wide"><table>{conditions}</table></div>')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(result.title)}</title><style>{_STYLE}</style></head>\n<body>'
        + '\n'.join(body)
        + '\n</body></html>\n'
    )


def draw(result: ProtocolResult, form: str) -> bytes:
    """Draw the curves and the errors by joint.

    Args:
        result: of a protocol.
        form: ``svg`` (the element alone) or ``png``.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {
        'svg.fonttype': 'none', 'svg.hashsalt': result.protocol, 'font.size': 9.5,
        'font.family': 'sans-serif', 'axes.spines.top': False, 'axes.spines.right': False,
        'axes.grid': True, 'axes.axisbelow': True, 'grid.color': '#e8ebef',
        'legend.frameon': False, 'axes.titlelocation': 'left', 'axes.titlesize': 10.5,
    }  # fmt: skip
    with rc_context(style):
        parts = [bool(result.curves), bool(result.joints)]
        figure = Figure(figsize=(5.2 * max(sum(parts), 1), 3.9), dpi=150, layout='constrained')
        axes = iter(figure.subplots(1, max(sum(parts), 1), squeeze=False)[0])
        if parts[0]:
            _draw_curves(next(axes), result)
        if parts[1]:
            _draw_joints(next(axes), result)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, metadata={'Date': None} if form == 'svg' else None)
    if form == 'png':
        return buffer.getvalue()
    text = buffer.getvalue()
    return text[text.index(b'<svg') :]


def _draw_curves(axes: Any, result: ProtocolResult) -> None:
    for curve, colour in zip(result.curves, _COLOURS * len(result.curves), strict=False):
        axes.plot(curve.thresholds, curve.percent, label=curve.name, color=colour, linewidth=1.8)
    for curve, colour in zip(published_curves(result.protocol), _COLOURS, strict=False):
        axes.plot(
            curve.thresholds, curve.percent, 'o', label=f'published: {curve.name}',
            markerfacecolor='none', markeredgecolor=_colour_of(curve, result.curves, colour),
            markersize=5,
        )  # fmt: skip
    axes.set(
        title='Share within an error',
        xlabel='threshold, mm',
        ylabel='%',
        ylim=(0, 101),
        xlim=(0, None),
    )
    axes.legend(loc='lower right', fontsize=8.5)


def _colour_of(published: Curve, own: tuple[Curve, ...], otherwise: str) -> str:
    """The colour of this run's curve that counts the same."""
    for curve, colour in zip(own, _COLOURS, strict=False):
        if published.name.endswith(curve.name):
            return colour
    return otherwise


def _draw_joints(axes: Any, result: ProtocolResult) -> None:
    names = [name.replace('_', ' ') for name in result.joints]
    places = np.arange(len(names))
    axes.barh(places, list(result.joints.values()), color=_COLOURS[0], height=0.7)
    axes.set(title=f'Mean error by joint, {result.joints_space}', xlabel='mm')
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=False, axis='y')


def _published(result: ProtocolResult) -> tuple[PublishedTable, ...]:
    return published_tables(result.protocol) if result.comparable else ()


def _table(table: Table) -> str:
    head = ''.join(f'<th>{html.escape(column)}</th>' for column in table.columns)
    rows = ''.join(
        f'<tr><td>{html.escape(_labelled(row.name, row.unit))}</td>'
        + ''.join(f'<td>{_number(value, row.digits)}</td>' for value in row.values)
        + '</tr>'
        for row in table.rows
    )
    return f'<div class="wide"><table><tr><th></th>{head}</tr>{rows}</table></div>'


def _published_table(table: PublishedTable, result: ProtocolResult) -> str:
    """One table with this run as its last row."""
    rows = [(row.name, row.values, '') for row in table.rows]
    rows.append(('this run', _own(table, result), ' class="own"'))
    lines = ''.join(
        f'<tr{kind}><td>{html.escape(name)}</td>'
        + ''.join(f'<td>{"&ndash;" if value is None else f"{value:g}"}</td>' for value in values)
        + '</tr>'
        for name, values, kind in rows
    )
    head = ''.join(f'<th>{html.escape(column)}</th>' for column in table.columns)
    remarks = ' '.join(filter(None, (f'Source: {table.source}.', table.note)))
    return (
        f'<h3>{html.escape(table.title)}</h3><div class="wide"><table><tr><th></th>{head}</tr>'
        f'{lines}</table></div><p>{html.escape(remarks)}</p>'
    )


def _own(table: PublishedTable, result: ProtocolResult) -> tuple[float | None, ...]:
    """This run's values for the columns of a table, with as many digits as any source has."""
    values = [finite(result.headline.get(metric, np.nan)) for metric in table.metrics]
    return tuple(None if value is None else round(value, 3) for value in values)


def _labelled(name: str, unit: str) -> str:
    return f'{name}, {unit}' if unit else name


def _number(value: float, digits: int) -> str:
    return f'{value:.{digits}f}' if np.isfinite(value) else '–'

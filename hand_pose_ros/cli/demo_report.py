"""The demo's report: one HTML page that needs no network, and one picture."""

import base64
import html
import json
from pathlib import Path
from typing import Any

import cv2

from hand_pose_ros.cli.common import CommandError
from hand_pose_ros.cli.demo_figures import (
    chart_svg,
    draw_errors,
    draw_latency,
    whole_picture,
)
from hand_pose_ros.cli.demo_views import View
from hand_pose_ros.evaluation.live_run import LiveRun
from hand_pose_ros.evaluation.live_summary import LiveSummary
from hand_pose_ros.evaluation.summary import AccuracySummary

_STYLE = """
:root { color-scheme: dark; --bg: #0f1318; --panel: #171c23; --text: #e8ebef; --muted: #8b95a3; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 1180px; background: var(--bg);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2.2rem 0 .8rem; font-size: 1.1rem; }
p, footer, figcaption { color: var(--muted); } a { color: #56b4ff; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: .7rem;
  margin-top: 1.4rem; }
.tile { background: var(--panel); border-radius: 10px; padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.35rem; white-space: nowrap; }
.tile span { color: var(--muted); font-size: .85rem; }
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); gap: .7rem; }
figure { margin: 0; } img { width: 100%; border-radius: 10px; display: block; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: .7rem; }
.charts > div { background: var(--panel); border-radius: 10px; padding: .5rem; }
svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; background: var(--panel); border-radius: 10px; }
th, td { padding: .45rem .9rem; text-align: right; } th:first-child, td:first-child
{ text-align: left; } th { color: var(--muted); font-weight: 500; }
code { background: var(--panel); padding: .1rem .4rem; border-radius: 5px; }
"""

_ROWS = (
    ('frames with the hand in view', 'frames', '{:d}'),
    ('of these, hand found', 'found', '{:d}'),
    ('MEPE (21 joints, camera frame), mm', 'mepe_mm', '{:.1f}'),
    ('MEPE-RA (20 joints, wrist-aligned), mm', 'mepe_ra_mm', '{:.1f}'),
    ('wrist error, mm', 'wrist_mm', '{:.1f}'),
    ('PA-MPJPE, mm', 'pa_mpjpe_mm', '{:.1f}'),
    ('AUC 0-90 mm, 37 thresholds, camera frame', 'auc_camera_0_90', '{:.3f}'),
    ('AUC 0-50 mm, 21 thresholds, wrist-aligned', 'auc_aligned_0_50', '{:.3f}'),
    ('errors within one published sigma', 'sigma_share', '{:.2f}'),
)


def write_report(
    folder: Path, run: LiveRun, summary: LiveSummary, views: list[View], facts: dict[str, str]
) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.png`` into a folder and return their paths.

    Args:
        folder: where to.
        run: the recorded run.
        summary: its figures.
        views: camera pictures of one moment.
        facts: how the run was made, by name; shown at the end of the page.

    Raises:
        CommandError: if the files cannot be written.
    """
    page, image = folder / 'report.html', folder / 'report.png'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        image.write_bytes(whole_picture(run, summary, views))
        page.write_text(page_text(run, summary, views, facts), encoding='utf-8')
    except OSError as error:
        raise CommandError(
            f'the report cannot be written to {folder} ({error.strerror}): name another --output.'
        ) from None
    return page, image


def page_text(run: LiveRun, summary: LiveSummary, views: list[View], facts: dict[str, str]) -> str:
    """The whole page; everything it shows is inside it."""
    body = [
        '<h1>Hand poses, live over ROS 2</h1>',
        '<p>Simulated head rig &rarr; camera nodes &rarr; DDS &rarr; synchroniser &rarr; inference '
        'node &rarr; messages, recorded to a bag and compared with the exact truth of the '
        'simulation.</p>',
        _tiles(summary),
        '<h2>What the cameras saw</h2><p>Estimate in blue (left) and orange (right), true bones '
        'as thin pale lines.</p>',
        '<div class="views">' + ''.join(map(_view, views)) + '</div>',
        '<h2>Over time</h2><div class="charts">',
        f'<div>{chart_svg(draw_errors, run)}</div>',
        f'<div>{chart_svg(draw_latency, run, summary)}</div></div>',
        '<h2>Accuracy</h2>' + _accuracy_table(summary),
        '<h2>Time per stage</h2>' + _stage_table(summary),
        '<h2>How this was made</h2>' + _facts(facts),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>hand_pose_ros demo</title><style>{_STYLE}</style></head>\n<body>'
        + '\n'.join(body)
        + '\n</body></html>\n'
    )


def _tiles(summary: LiveSummary) -> str:
    tiles = (
        (f'{summary.rate:.1f} Hz', 'poses'),
        (f'{summary.latency_p50_ms:.0f} / {summary.latency_p99_ms:.0f} ms', 'latency p50 / p99'),
        (f'{summary.both.mepe_mm:.1f} mm', 'mean joint error (MEPE)'),
        (f'{summary.both.wrist_mm:.1f} mm', 'wrist error'),
        (f'{summary.spread_mean_ms:.1f} ms', 'mean spread of a set'),
        (f'{100 * summary.found_share:.0f} %', 'visible hands found'),
    )
    inner = ''.join(
        f'<div class="tile"><b>{big}</b><span>{small}</span></div>' for big, small in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _view(view: View) -> str:
    image = cv2.cvtColor(view.image, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    data = base64.b64encode(encoded.tobytes()).decode()
    name = html.escape(view.camera)
    return (
        f'<figure><img alt="{name}" src="data:image/jpeg;base64,{data}">'
        f'<figcaption>{name}</figcaption></figure>'
    )


def _accuracy_table(summary: LiveSummary) -> str:
    columns: dict[str, AccuracySummary] = {'both hands': summary.both}
    columns.update({str(side): figures for side, figures in summary.sides.items()})
    head = ''.join(f'<th>{name}</th>' for name in columns)
    rows = [
        f'<tr><td>{label}</td>'
        + ''.join(f'<td>{_cell(figures, name, form)}</td>' for figures in columns.values())
        + '</tr>'
        for label, name, form in _ROWS
    ]
    return f'<table><tr><th></th>{head}</tr>{"".join(rows)}</table>'


def _cell(figures: AccuracySummary, name: str, form: str) -> str:
    value: Any = getattr(figures, name)
    return form.format(value) if value == value else '&ndash;'


def _stage_table(summary: LiveSummary) -> str:
    rows = ''.join(
        f'<tr><td>{html.escape(name)}</td><td>{value:.1f}</td></tr>'
        for name, value in summary.stages_ms.items()
    )
    return f'<table><tr><th>stage</th><th>mean, ms</th></tr>{rows}</table>'


def _facts(facts: dict[str, str]) -> str:
    rows = ''.join(
        f'<tr><td>{html.escape(name)}</td><td><code>{html.escape(value)}</code></td></tr>'
        for name, value in facts.items()
    )
    return f'<table>{rows}</table>'


def json_results(summary: LiveSummary, facts: dict[str, str]) -> dict[str, Any]:
    """The figures and how they were made, with what is undefined as null."""
    text = json.dumps({**summary.as_dict(), 'facts': facts})
    return json.loads(text, parse_constant=lambda _: None)

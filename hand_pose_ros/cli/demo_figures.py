"""The demo's picture: camera views, error over time, latency, drawn with matplotlib."""

import io
from typing import Any

import matplotlib
import numpy as np

from hand_pose_ros.cli.demo_views import View
from hand_pose_ros.estimators.drawing import SIDE_COLOURS
from hand_pose_ros.evaluation.live_run import LiveRun
from hand_pose_ros.evaluation.live_summary import LiveSummary
from hand_pose_ros.evaluation.metrics import joint_errors
from hand_pose_ros.skeleton import SIDES

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

BACKGROUND, PANEL, TEXT, MUTED = '#0f1318', '#171c23', '#e8ebef', '#8b95a3'
_STYLE = {
    'figure.facecolor': BACKGROUND,
    'axes.facecolor': PANEL,
    'axes.edgecolor': '#2a313b',
    'axes.labelcolor': MUTED,
    'axes.titlecolor': TEXT,
    'axes.titlesize': 11,
    'axes.titlelocation': 'left',
    'axes.titleweight': 'bold',
    'axes.grid': True,
    'axes.axisbelow': True,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'grid.color': '#242b35',
    'xtick.color': MUTED,
    'ytick.color': MUTED,
    'text.color': TEXT,
    'legend.frameon': False,
    'font.size': 9.5,
    'svg.fonttype': 'path',
}


def hex_colour(rgb: tuple[int, int, int]) -> str:
    """An 8-bit colour as ``#rrggbb``."""
    return '#{:02x}{:02x}{:02x}'.format(*rgb)


def whole_picture(run: LiveRun, summary: LiveSummary, views: list[View]) -> bytes:
    """The picture of a run as PNG: four views, two charts and the headline figures."""
    with plt.rc_context(_STYLE):
        figure = plt.figure(figsize=(13.0, 7.1), dpi=100)
        grid = figure.add_gridspec(
            2, 3, width_ratios=(1, 1, 1.25), left=0.012, right=0.985, top=0.9, bottom=0.075,
            wspace=0.03, hspace=0.05,
        )  # fmt: skip
        for index, view in enumerate(views[:4]):
            _show_view(figure.add_subplot(grid[divmod(index, 2)]), view)
        charts = grid[:, 2].subgridspec(2, 1, hspace=0.32)
        outer = figure.add_subplot(charts[0])
        _pad_left(outer)
        draw_errors(outer, run)
        lower = figure.add_subplot(charts[1])
        _pad_left(lower)
        draw_latency(lower, run, summary)
        figure.text(0.012, 0.945, 'hand_pose_ros', fontsize=17, fontweight='bold')
        figure.text(0.172, 0.947, headline(summary), fontsize=11, color=MUTED)
        return _png(figure)


def _pad_left(axes: Any) -> None:
    box = axes.get_position()
    axes.set_position((box.x0 + 0.045, box.y0, box.width - 0.045, box.height))


def _show_view(axes: Any, view: View) -> None:
    axes.imshow(view.image, interpolation='lanczos')
    axes.axis('off')
    axes.set_anchor('N')
    axes.text(
        0.02, 0.97, view.camera, transform=axes.transAxes, va='top', fontsize=10.5,
        fontweight='bold', bbox={'facecolor': BACKGROUND, 'edgecolor': 'none', 'alpha': 0.75},
    )  # fmt: skip


def headline(summary: LiveSummary) -> str:
    """The run in one line."""
    return (
        f'{summary.rate:.1f} poses/s   latency p50 {summary.latency_p50_ms:.0f} ms, '
        f'p99 {summary.latency_p99_ms:.0f} ms   MEPE {summary.both.mepe_mm:.1f} mm   '
        f'wrist {summary.both.wrist_mm:.1f} mm   spread {summary.spread_mean_ms:.1f} ms   '
        f'hands found {100 * summary.found_share:.0f} %'
    )


def draw_errors(axes: Any, run: LiveRun) -> None:
    """Mean joint error of each hand over time, with its gaps, in millimetres."""
    seconds = (run.stamps - run.stamps[0]) / 1e9
    highest = 20.0
    for side in SIDES:
        errors = 1e3 * joint_errors(run.joints(side), run.true_joints(side)).mean(axis=1)
        axes.plot(seconds, errors, color=hex_colour(SIDE_COLOURS[side]), lw=1.2, label=side)
        if np.isfinite(errors).any():
            highest = max(highest, float(np.nanpercentile(errors, 99)))
    axes.set(
        title='Error against the simulated truth', xlabel='seconds', ylabel='mean over joints, mm',
        ylim=(0, 1.15 * highest), xlim=(0, max(float(seconds[-1]), 1e-3)),
    )  # fmt: skip
    axes.legend(loc='upper right', ncols=2)


def draw_latency(axes: Any, run: LiveRun, summary: LiveSummary) -> None:
    """Histogram of the time from acquisition to reception, in milliseconds."""
    latencies = 1e3 * run.latencies
    edge = float(np.percentile(latencies, 99.5)) * 1.1
    axes.hist(np.clip(latencies, 0, edge), bins=60, range=(0, edge), color='#5fd0a5', alpha=0.9)
    for value, name in ((summary.latency_p50_ms, 'p50'), (summary.latency_p99_ms, 'p99')):
        axes.axvline(value, color=TEXT, lw=1.0, ls='--')
        left = value > 0.8 * edge
        axes.annotate(
            f'{name} {value:.0f}',
            (value, 0.94),
            xycoords=('data', 'axes fraction'),
            xytext=(-4 if left else 4, 0),
            textcoords='offset points',
            ha='right' if left else 'left',
            fontsize=9,
        )
    axes.set(title='Latency, image stamp to received pose', xlabel='ms', ylabel='results')


def chart_svg(draw: Any, *arguments: Any) -> str:
    """One chart as an SVG element for the page."""
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(7.2, 3.0), layout='constrained')
        figure.patch.set_alpha(0.0)
        draw(axes, *arguments)
        stream = io.StringIO()
        figure.savefig(stream, format='svg', metadata={'Date': None})
        plt.close(figure)
    text = stream.getvalue()
    return text[text.index('<svg') :]


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format='png')
    plt.close(figure)
    return stream.getvalue()

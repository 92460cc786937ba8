"""Pictures of a calibration: where the target was in each image, and what errors are left."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from hand_pose_ros.calibration.solve import Solution

_MAGNIFIED = 100  # times an error is drawn larger
_MOST_ARROWS = 2500
_ARROW = '#c0392b'


def coverage_pictures(solution: Solution, folder: Path) -> dict[str, Path]:
    """Draw one picture a camera into a folder and return their paths by camera."""
    paths = {}
    for name in solution.bundle.eyes:
        paths[name] = folder / f'{name}.png'
        with mpl.rc_context({'font.size': 9}):
            _figure(solution, name).savefig(paths[name], dpi=100)
    return paths


def _figure(solution: Solution, name: str) -> Figure:
    bundle, (width, height) = solution.bundle, solution.request.sizes[name]
    own = [
        (s.detection.pixels, errors)
        for s, errors in zip(bundle.sightings, bundle.residuals(), strict=True)
        if s.detection.camera == name
    ]
    pixels = np.concatenate([pair[0] for pair in own])
    errors = np.concatenate([pair[1] for pair in own])
    figure = Figure(figsize=(10, 4.4), layout='constrained')
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
    left.scatter(*pixels.T, s=2, color='#2c6fbb', alpha=0.25, linewidths=0)
    some = np.linspace(0, len(pixels) - 1, min(len(pixels), _MOST_ARROWS)).astype(int)
    left.quiver(
        *pixels[some].T, *(_MAGNIFIED * errors[some]).T, angles='xy', scale_units='xy', scale=1,
        width=0.0012, color=_ARROW,
    )  # fmt: skip
    left.set(
        xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect='equal', xlabel='px',
        ylabel='px', title=f'{name}: {len(own)} images, errors drawn {_MAGNIFIED} times larger',
    )  # fmt: skip
    reach = max(0.05, 1.3 * float(np.percentile(np.abs(errors), 99.5)))
    right.scatter(*errors.T, s=2, color=_ARROW, alpha=0.25, linewidths=0)
    right.set(
        xlim=(-reach, reach), ylim=(reach, -reach), aspect='equal', xlabel='px', ylabel='px',
        title=f'reprojection errors, {solution.rms[name]:.3f} px RMS',
    )  # fmt: skip
    right.axhline(0, color='#999', linewidth=0.6)
    right.axvline(0, color='#999', linewidth=0.6)
    return figure

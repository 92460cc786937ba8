"""What a calibration is worth: figures as a dictionary, as lines for the terminal, as a page."""

import html
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.calibrate import Calibration
from hand_pose_ros.calibration.projection import parameters
from hand_pose_ros.calibration.solve import Solution
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import inverse

_NAMES = {
    'plumb_bob': ('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'p1', 'p2', 'k3'),
    'equidistant': ('fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'k3', 'k4'),
    'rational_polynomial': (
        'fx', 'fy', 'cx', 'cy', 'k1', 'k2', 'p1', 'p2', 'k3', 'k4', 'k5', 'k6',
    ),
}  # fmt: skip
_STYLE = (
    'body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em}'
    'table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:right}'
    'td:first-child,th:first-child{text-align:left}img{max-width:100%}.warn{color:#a00}'
)


def report(calibration: Calibration, source: str) -> dict[str, Any]:
    """Return the figures of a calibration, ready for JSON.

    Args:
        calibration: the result.
        source: the bag it was made from.
    """
    cameras: dict[str, Any] = {}
    for body, solution in calibration.solutions.items():
        for name in solution.bundle.eyes:
            cameras[name] = _camera(solution, name) | {'body': body}
    return {
        'bag': source,
        'rig': calibration.rig.name,
        'target': str(next(iter(calibration.solutions.values())).request.target),
        'cameras': cameras,
        'ties': calibration.ties,
        'depth': {
            name: {
                'views': scale.views, 'scale': scale.scale, 'bias_m': scale.bias,
                'rms_m': scale.rms, 'near_m': scale.near, 'far_m': scale.far,
            }
            for name, scale in calibration.depth.items()
        },
        'notes': calibration.notes,
    }  # fmt: skip


def _camera(solution: Solution, name: str) -> dict[str, Any]:
    eye, deviations = solution.bundle.eyes[name], solution.deviations[name]
    names = _NAMES[eye.camera.distortion_model]
    values, count = parameters(eye.camera), len(eye.free)
    free = dict(zip(eye.free, deviations[:count], strict=True))
    entry: dict[str, Any] = {
        'reference': solution.request.reference,
        'model': eye.camera.distortion_model,
        'intrinsics': {
            label: {'value': float(value), 'deviation': float(free[k]) if k in free else None}
            for k, (label, value) in enumerate(zip(names, values, strict=False))
        },
        'rms_px': solution.rms[name],
        'views': solution.coverage[name].views,
        'image_covered': solution.coverage[name].share,
        'tilt_degrees': solution.coverage[name].tilt,
        'distances_m': [solution.coverage[name].near, solution.coverage[name].far],
        'contrast_turned': name in solution.turned,
        'rejected': {str(s): e for s, e in sorted(solution.rejected.get(name, {}).items())},
    }
    if eye.placed:
        T_ref_cam = inverse(eye.T_cam_ref)
        entry |= {
            'translation_mm': (1e3 * T_ref_cam[:3, 3]).tolist(),
            'translation_deviation_mm': (1e3 * deviations[count + 3 : count + 6]).tolist(),
            'rotation_degrees': np.degrees(
                Rotation.from_matrix(T_ref_cam[:3, :3]).as_rotvec()
            ).tolist(),
            'rotation_deviation_degrees': np.degrees(deviations[count : count + 3]).tolist(),
            'time_offset_ms': 1e3 * eye.offset,
            'time_offset_deviation_ms': 1e3 * float(deviations[count + 6]) if eye.timed else None,
        }
    return entry


def lines(content: dict[str, Any]) -> list[str]:
    """Return a report as lines for the terminal."""
    rows = []
    for name, camera in content['cameras'].items():
        numbers = camera['intrinsics']
        rows.append(
            f'{name}: {camera["rms_px"]:.3f} px over {camera["views"]} views, '
            f'{100 * camera["image_covered"]:.0f} % of the image; '
            f'{_value(numbers, "fx", 2)}, {_value(numbers, "fy", 2)}, {_value(numbers, "cx", 2)}, '
            f'{_value(numbers, "cy", 2)}, {_value(numbers, "k1", 4)}, {_value(numbers, "k2", 4)}'
        )
        if 'translation_mm' in camera:
            place = ', '.join(f'{value:+.2f}' for value in camera['translation_mm'])
            spread = max(camera['translation_deviation_mm'])
            turn = float(np.linalg.norm(camera['rotation_degrees']))
            text = (
                f'  in {camera["reference"]}: {place} mm (± {spread:.2f}), turned {turn:.3f} '
                f'degrees (± {max(camera["rotation_deviation_degrees"]):.3f})'
            )
            if camera['time_offset_deviation_ms'] is not None:
                text += (
                    f', stamps {camera["time_offset_ms"]:+.2f} ms late '
                    f'(± {camera["time_offset_deviation_ms"]:.2f})'
                )
            rows.append(text)
        if camera['rejected']:
            worst = max(camera['rejected'].values())
            rows.append(f'  {len(camera["rejected"])} images left out, the worst {worst:.2f} px')
    for name, tied in content['ties'].items():
        rows.append(f'{name}: shares the sensor of {tied}')
    for name, depth in content['depth'].items():
        bias = '' if depth['bias_m'] is None else f' and {1e3 * depth["bias_m"]:+.1f} mm'
        rows.append(
            f'{name}: measures {100 * (depth["scale"] - 1):+.2f} %{bias} against the target at '
            f'{depth["near_m"]:.2f} to {depth["far_m"]:.2f} m'
        )
    return rows + [
        note if note.startswith('WARNING') else f'note: {note}' for note in content['notes']
    ]


def write_page(content: dict[str, Any], pictures: dict[str, Path], path: Path) -> None:
    """Write a report with its pictures as one HTML page; pictures lie beside it.

    Raises:
        DataError: if it cannot be written.
    """
    parts = [
        f'<h1>Calibration of {html.escape(content["rig"])}</h1>',
        f'<p>{html.escape(content["bag"])}, target {html.escape(content["target"])}</p>',
    ]
    parts += [
        f'<p{" class=warn" if row.startswith("WARNING") else ""}>{html.escape(row)}</p>'
        for row in lines(content)
    ]
    for name, camera in content['cameras'].items():
        parts.append(f'<h2>{html.escape(name)}</h2><table>')
        parts.append('<tr><th>parameter</th><th>value</th><th>standard deviation</th></tr>')
        for label, entry in camera['intrinsics'].items():
            spread = 'fixed' if entry['deviation'] is None else f'{entry["deviation"]:.2g}'
            value = f'{entry["value"]:.6g}'
            parts.append(f'<tr><td>{label}</td><td>{value}</td><td>{spread}</td></tr>')
        parts.append('</table>')
        if name in pictures:
            parts.append(f'<img src="{html.escape(pictures[name].name)}" alt="coverage of {name}">')
    body = '\n'.join(parts)
    page = f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style>\n{body}\n'
    try:
        path.write_text(page, encoding='utf-8')
    except OSError as error:
        raise DataError(
            f'{path} cannot be written ({error.strerror}): name another folder.'
        ) from None


def _value(numbers: dict[str, Any], name: str, digits: int) -> str:
    entry = numbers.get(name)
    if entry is None:
        return ''
    spread = '' if entry['deviation'] is None else f' ± {entry["deviation"]:.{digits}f}'
    return f'{name} {entry["value"]:.{digits}f}{spread}'

"""Lines of the offline estimate output: one JSON object a frame."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import RigFrame

# Micrometres, hundredths of a pixel: below anything that is measured.
_METRES, _PIXELS, _SHARES = 6, 2, 4


def frame_record(frame: RigFrame, source: str, hands: list[HandPose]) -> dict[str, Any]:
    """Describe one frame and its hands.

    Returns:
        ``stamp`` (ns), ``source``, ``frame_id``, ``spread_ms`` and ``hands``; lengths in metres,
        image points in pixels of the native image, what is unknown is None.
    """
    return {
        'stamp': int(frame.stamp),
        'source': source,
        'frame_id': frame.frame_id,
        'spread_ms': round(frame.spread / 1e6, 3),
        'hands': [hand_record(hand) for hand in hands if hand.state != 'lost'],
    }


def hand_record(hand: HandPose) -> dict[str, Any]:
    """Describe one hand; ``joints``, ``sigma`` and ``betas`` are None when only 2D is known."""
    betas = None if hand.parameters is None else hand.parameters.betas
    return {
        'side': hand.side,
        'track_id': int(hand.track_id),
        'state': hand.state,
        'score': round(float(hand.score), _SHARES),
        'joints': _numbers(hand.joints, _METRES),
        'joints_2d': {name: _numbers(points, _PIXELS) for name, points in hand.joints_2d.items()},
        'confidence': _numbers(hand.confidence, _SHARES),
        'sigma': _numbers(hand.sigma, _METRES),
        'betas': _numbers(betas, _SHARES),
    }


def json_line(record: dict[str, Any]) -> str:
    """One line of JSON, newline included."""
    return json.dumps(record, separators=(',', ':'), allow_nan=False) + '\n'


def _numbers(values: NDArray[np.float64] | None, digits: int) -> Any:
    """Nested lists of rounded numbers, None for what is not finite."""
    if values is None:
        return None
    if np.ndim(values):
        return [_numbers(value, digits) for value in values]
    return round(float(values), digits) if np.isfinite(values) else None

"""Small rigs for the tests of this room."""

import copy
from typing import Any

import pytest
import yaml

RIG = """
name: small
cameras:
  thermal:
    driver: simulated
    size: [8, 6]
    rate: 9
    intrinsics: {fx: 10, fy: 11, cx: 3.5, cy: 2.5}
    distortion: [-0.3, 0.1, 0, 0, 0]
    T_rig_cam: {translation: [0, 0.05, 0], mounting_degrees: [0, 30, 0]}
    values: {kind: tlinear, gain: 0.01}
  depth:
    size: [4, 3]
    encoding: 16UC1
    intrinsics: [5, 5, 2, 1.5]
    T_rig_cam: {translation: [0, 0, 0], quaternion: [-0.5, 0.5, -0.5, 0.5]}
    time_offset: 0.008
    values: {scale: 0.000125, minimum: 0.1, maximum: 2}
  rgb:
    size: [8, 6]
    intrinsics: camera_info
    T_rig_cam: tf
synchronizer: {max_spread: 0.02, timeout: 0.3, required: [thermal]}
estimator_options: {max_hands: 1}
"""


@pytest.fixture()
def document() -> dict[str, Any]:
    """A parsed rig file that uses most of what there is."""
    return copy.deepcopy(yaml.safe_load(RIG))

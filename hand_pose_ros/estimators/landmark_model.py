"""Landmark model: where the landmark network sees the joints of the hand model, and how surely."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ModelError
from hand_pose_ros.resources import asset
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

NAME = 'landmark_model.json'
_MODALITIES: tuple[Modality, ...] = ('thermal', 'nir', 'rgb')


@dataclass(frozen=True, kw_only=True, eq=False)
class LandmarkModel:
    """How landmarks differ from joints.

    Attributes:
        offsets: (21, 3) metres from each joint to its landmark, in the rest axes of the bone that
            carries it, for a right hand.
        sigma: (21,) standard deviation of a landmark as a part of its region's side.
        depth_sigma: the same of the network's relative depth, by modality.
    """

    offsets: Array
    sigma: Array
    depth_sigma: dict[Modality, float]


@lru_cache(maxsize=4)
def load_landmark_model(path: Path | None = None) -> LandmarkModel:
    """Read the shipped landmark model, or another one made by scripts/calibrate_landmarks.py.

    Raises:
        ModelError: the file is missing or has other contents.
    """
    file = asset(NAME) if path is None else path
    fix = 'make it again with scripts/calibrate_landmarks.py'
    try:
        values = json.loads(file.read_text(encoding='utf-8'))
        offsets = np.array(values['offsets'], dtype=np.float64)
        sigma = np.array(values['sigma'], dtype=np.float64)
        depth_sigma = {name: float(values['depth_sigma'][name]) for name in _MODALITIES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f'landmark model {file} cannot be read ({error!r}): {fix}') from error
    right = offsets.shape == (JOINT_COUNT, 3) and sigma.shape == (JOINT_COUNT,)
    if (
        not right
        or not np.isfinite(offsets).all()
        or not np.all(sigma > 0)
        or not min(depth_sigma.values()) > 0
    ):
        raise ModelError(f'landmark model {file} is not of {JOINT_COUNT} joints: {fix}')
    return LandmarkModel(offsets=offsets, sigma=sigma, depth_sigma=depth_sigma)

"""Weights: how far each kind of measurement may stray from the truth in the session fit."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How far measurements stray.

    Attributes:
        point_reach: landmarks count less beyond this many standard deviations.
        point: factor on the landmarks' deviations, which err alike from frame to frame.
        joint: deviation of triangulated joints beside the one they claim, metres; infinite to
            leave them out, where the landmarks they are made of say the same more exactly.
        cloud: deviation of a surface point from the cloud, along its normal, metres.
        cloud_reach: a point farther from the cloud has no part of it, metres.
        outline: deviation of hand and mask from each other, cells of the mask's grid; infinite to
            leave masks out.
        outline_reach: the same from which they count less, cells.
        angle: factor on the deviations of how fingers usually lie.
    """

    point_reach: float = 4.0
    point: float = 1.5
    joint: float = math.inf
    cloud: float = 0.008
    cloud_reach: float = 0.02
    outline: float = 6.0
    outline_reach: float = 12.0
    angle: float = 1.0

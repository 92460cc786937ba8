"""Evidence of a small session with its exact truth, made once for the tests of this room."""

from functools import lru_cache

import numpy as np

from hand_pose_ros.annotation.synthetic import NONE, EvidenceNoise, synthetic_session
from hand_pose_ros.resources import share_file
from hand_pose_ros.rig.description import load_rig

PERIOD = 33_333_333
EGO = ('thermal', 'nir', 'rgb', 'depth')


@lru_cache
def rig():
    return load_rig(share_file('config/simulated_two_view_rig.yaml'))


@lru_cache
def exact(frames=2, views=None):
    """Noise-free evidence."""
    stamps = 2_000_000_000 + PERIOD * np.arange(frames)
    return synthetic_session(rig(), stamps, noise=NONE, seed=3, views=views)


@lru_cache
def noisy(frames=16, views=None, seed=3):
    """Evidence with the usual noise."""
    stamps = 2_000_000_000 + PERIOD * np.arange(frames)
    return synthetic_session(rig(), stamps, noise=EvidenceNoise(), seed=seed, views=views)

"""Which images of a recording belong together, by the rig's own synchroniser."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.rig.synchronizer import Synchronizer
from hand_pose_ros.rig.synchronizer_types import SynchronizedSet


def synchronised(
    rig: RigDescription, stamps: Mapping[str, NDArray[np.int64]]
) -> list[SynchronizedSet]:
    """Put streams together as they are live; the items of a set are image numbers.

    Args:
        rig: whose synchroniser is used.
        stamps: (N,) acquisition stamps (ns) by stream, of two or more of the synchroniser's.
    """
    limits = rig.synchronizer
    streams = [name for name in limits.streams if name in stamps]
    config = replace(
        limits,
        streams=tuple(streams),
        reference=limits.reference if limits.reference in streams else streams[0],
        required=tuple(name for name in limits.required if name in streams),
        offsets={name: value for name, value in limits.offsets.items() if name in streams},
        policy='adaptive',
    )
    synchronizer = Synchronizer(config)
    arrivals = [
        (stamp, place, name)
        for name in streams
        for place, stamp in enumerate(stamps[name].tolist())
    ]
    sets: list[SynchronizedSet] = []
    for stamp, place, name in sorted(arrivals):
        sets += synchronizer.add(name, stamp, place)
    return sets + synchronizer.flush()

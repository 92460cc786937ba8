"""ClipPlan: everything that happens in one clip, as numbers in the scene's frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NO_GRASP = 8  # the class of a hand that holds nothing


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid:
    """A thing with volume: one of ``batch_objects.KINDS``.

    Attributes:
        kind: its name in ``gbuffer.MATERIALS``.
        size: (3,) metres along its own axes.
        T_scene_item: (T, 4, 4) its pose at every moment.
    """

    kind: str
    size: Array
    T_scene_item: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """What is behind the hands: a table in a room.

    Attributes:
        T_scene_table: (4, 4) x and y along the table top from its middle, z up from it.
        table: half length and half width (m); zeros without a table.
        flats: (F, 5) sheets on the table: middle x, y, half sizes x, y (m), 1 = round.
        walls: (6, 4) planes of the room, inward normal (3) and offset: n . p + offset >= 0 inside;
            the first is the floor.
    """

    T_scene_table: Array
    table: Array
    flats: Array
    walls: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipPlan:
    """One clip of T moments. Two of a thing are (left, right).

    Attributes:
        rate: images per second.
        betas: (10,) shape of the person's hands.
        present: (2,) bool whether the hand is in the clip at all.
        rotations: (T, 2, 3, 3) hands, from rest axes into the scene.
        forearms: (T, 2, 3, 3) forearms, likewise.
        hand_pose: (T, 2, 15, 3) axis-angle, rad.
        translation: (T, 2, 3) metres in the scene, added after skinning.
        grasp: (T, 2) int classes (methods specification 2.3), 8 = holds nothing.
        T_scene_rig: (T, 4, 4) pose of the head rig.
        solids: things with volume.
        room: the background.
    """

    rate: float
    betas: Array
    present: NDArray[np.bool_]
    rotations: Array
    forearms: Array
    hand_pose: Array
    translation: Array
    grasp: NDArray[np.int64]
    T_scene_rig: Array
    solids: tuple[Solid, ...]
    room: Room

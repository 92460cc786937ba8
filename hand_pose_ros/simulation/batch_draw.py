"""Draws the plan of a clip from its number: the same for any batch, device and machine."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.hand_model.model_files import MIRROR_POINTS
from hand_pose_ros.simulation import batch_motion as motion
from hand_pose_ros.simulation.batch_arms import arm_rotations, forearm_directions
from hand_pose_ros.simulation.batch_config import SPLITS, SimulationConfig
from hand_pose_ros.simulation.batch_holding import Hold, draw_holds
from hand_pose_ros.simulation.batch_paths import wander
from hand_pose_ros.simulation.batch_plan import NO_GRASP, ClipPlan, Solid
from hand_pose_ros.simulation.batch_poses import draw_pose, models
from hand_pose_ros.simulation.batch_room import draw_room
from hand_pose_ros.simulation.batch_things import clutter, occluder
from hand_pose_ros.simulation.motion import PALM, mirror_rotation
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

# What a generator of a clip is for; each purpose has its own, so that one's needs do not change
# what another draws.
_PURPOSES = (
    'person', 'head', 'place', 'palms', 'turns', 'fingers', 'grip', 'things', 'room', 'cameras',
)  # fmt: skip
_TOGETHER, _HOLDING = 0.28, 0.38  # shares of clips with hands that work together, that hold
_CLEARANCE = 0.09  # metres that a hand needs below its palm


def generator(config: SimulationConfig, number: int, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose of a clip (see ``_PURPOSES``)."""
    key = [config.seed, SPLITS.index(config.split), number, _PURPOSES.index(purpose)]
    return np.random.default_rng(key)


def draw_plan(config: SimulationConfig, number: int, frames: int) -> ClipPlan:
    """Draw everything that happens in one clip.

    A clip with more frames begins with those of the shorter one.

    Args:
        config: what varies.
        number: the clip.
        frames: moments.
    """
    person = generator(config, number, 'person')
    betas = np.clip(person.normal(0, 0.8, 10), -2, 2)
    rate = float(np.exp(person.uniform(*np.log(config.rate_range))))
    present = np.ones(2, bool)
    if person.random() < config.absent:
        present[person.integers(2)] = False
    times = np.arange(frames) / rate
    mean, T_scene_rig = motion.head(generator(config, number, 'head'), times)
    T_scene_view = mean @ config.rig.reference_camera.T_rig_cam
    place = generator(config, number, 'place')
    manner = place.random()
    where = motion.anchors(place, T_scene_view, near=manner < _TOGETHER)
    hold: list[Hold | None] = [None, None]
    grip = generator(config, number, 'grip')
    if manner > 1 - _HOLDING:
        hold = draw_holds(grip, betas)
    arms = _arms(config, number, times, where, hold, betas)
    room_draws = generator(config, number, 'room')
    lowest = where.points[present, 2].min() - 1.8 * where.amplitude - _CLEARANCE
    room = draw_room(room_draws, lowest - room_draws.uniform(0.0, 0.15))
    things = generator(config, number, 'things')
    solids = [solid for solid, there in zip(arms.held, present, strict=True) if solid and there]
    solids += occluder(things, T_scene_view[:3, 3], where.points[present], frames)
    solids += clutter(things, room, frames)
    return ClipPlan(
        rate=rate,
        betas=betas,
        present=present,
        rotations=arms.rotations,
        forearms=arms.forearms,
        hand_pose=arms.hand_pose,
        translation=arms.translation,
        grasp=np.where(present, arms.grasp, NO_GRASP),
        T_scene_rig=T_scene_rig,
        solids=tuple(solids),
        room=room,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Arms:
    """What ``ClipPlan`` says of the arms, and what each hand holds."""

    rotations: Array
    forearms: Array
    hand_pose: Array
    translation: Array
    grasp: NDArray[np.int64]
    held: list[Solid | None]


def _arms(
    config: SimulationConfig, number: int, times: Array, where: motion.Anchors,
    hold: list[Hold | None], betas: Array,
) -> _Arms:  # fmt: skip
    """Move both arms."""
    # The moments at which the hands close follow those of the images.
    moments = np.append(times, [one.start if one else 0.0 for one in hold])
    paths = motion.palms(generator(config, number, 'palms'), moments, where)
    turns = generator(config, number, 'turns').spawn(2)
    fingers = generator(config, number, 'fingers').spawn(2)
    parts = []
    held: list[Solid | None] = []
    for index, side in enumerate(SIDES):
        holds, palm = hold[index], paths[:, index]
        if holds:
            palm = palm + holds.distance(moments)[:, None] * holds.away
            angles = holds.angles(fingers[index], moments)
            grasp = holds.labels(times)
        else:
            angles = _free_fingers(fingers[index], moments, config)
            grasp = np.full(len(times), NO_GRASP)
        rotation, forearm = _wrist(turns[index], moments, palm, where.points[index], index)
        translation = _translation(betas, palm, rotation, index)
        poses = models()[side].pose_from_angles(angles)
        if holds:
            T = _hand_frames(betas, rotation, translation, index)
            held.append(holds.solid(index, T[: len(times)], T[len(times) + index], times))
        else:
            held.append(None)
        arm = (rotation, forearm, poses, translation)
        parts.append((*(array[: len(times)] for array in arm), grasp))
    rotations, forearms, poses, translations, grasps = (
        np.stack(p, 1) for p in zip(*parts, strict=True)
    )
    return _Arms(rotations=rotations, forearms=forearms, hand_pose=poses,
                 translation=translations, grasp=grasps, held=held)  # fmt: skip


def _free_fingers(child: np.random.Generator, moments: Array, config: SimulationConfig) -> Array:
    """Return the finger angles (T, 15, 3) of a hand that holds nothing."""
    slow = child.uniform(0.3, 1.2)
    gap = (0.5 * slow, 1.5 * slow)
    return wander(child, moments, lambda: draw_pose(child, config.split), gap)


def _wrist(
    child: np.random.Generator, moments: Array, palm: Array, place: Array, index: int
) -> tuple[Array, Array]:
    """Return rotations of hand and forearm (T, 3, 3) for a palm path (T, 3) about ``place``."""
    left = SIDES[index] == 'left'
    if left:
        palm, place = motion.mirrored(palm), motion.mirrored(place)
    elbow = place + motion.elbow_of(child, place) + motion.ELBOW_FOLLOWS * (palm - place)
    turns = motion.turns(child, moments)
    forearm, hand = arm_rotations(forearm_directions(palm, elbow), turns)
    if left:
        return mirror_rotation(hand, 1), mirror_rotation(forearm, 1)
    return hand, forearm


def _translation(betas: Array, palm: Array, rotation: Array, index: int) -> Array:
    """Return MANO's translation (T, 3) that puts the palm on its path."""
    wrist = models()[SIDES[index]].rest_joints(betas[None])[0, 0]
    middle = PALM * (MIRROR_POINTS if SIDES[index] == 'left' else 1)
    return palm - rotation @ (middle - wrist) - wrist


def _hand_frames(betas: Array, rotation: Array, translation: Array, index: int) -> Array:
    """Return where the rest axes of a hand are (T, 4, 4): it turns about its rest wrist."""
    wrist = models()[SIDES[index]].rest_joints(betas[None])[0, 0]
    frames = np.tile(np.eye(4), (len(rotation), 1, 1))
    frames[:, :3, :3] = rotation
    frames[:, :3, 3] = wrist + translation - rotation @ wrist
    return frames


def rotation_vectors(matrices: Array) -> Array:
    """Return axis-angle vectors (..., 3) of rotation matrices (..., 3, 3)."""
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec()
    return flat.reshape(*matrices.shape[:-1])

"""Synthetic evidence: what views would say of simulated hands, from their exact truth and noise.

For tests and for the annotator's benchmark. Bodies are drawn with a depth buffer, so that fingers,
arms and the other hand hide joints, surfaces and masks as they would in images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from hand_pose_ros.annotation.evidence import CLOUD_POINTS, Evidence
from hand_pose_ros.annotation.poses import Poses, hand_model
from hand_pose_ros.annotation.silhouettes import silhouette
from hand_pose_ros.annotation.states import state_of
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.simulation.rasterizer import rasterize
from hand_pose_ros.simulation.rig import SimulatedRig
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

_HIDDEN = 0.02  # metres behind the visible surface, from where a joint counts as hidden
_LEAST_INSIDE = 11  # joints in an image
_SLOW = 0.3  # seconds over which slow errors change


@dataclass(frozen=True, kw_only=True)
class EvidenceNoise:
    """How far synthetic measurements stray from the truth.

    Landmarks are as the landmark networks measured on rendered sessions: they err alike for a
    third of a second, and from the front twice as far as they claim.

    Attributes:
        point: deviation of a landmark, as a part of the hand's extent in the image.
        common: the same of a shift that all landmarks of a hand share in one image.
        slow: share of the landmarks' variance that changes over a third of a second rather than
            from frame to frame, as networks err alike on images that are alike.
        exo: factor on both in views from another body, which their deviations do not tell.
        hidden: factor on both for joints that something hides.
        outliers: share of landmarks that are anywhere in the hand's box.
        lost: share of hands that a view misses altogether.
        depth: deviation of depth at one metre, growing with its square, metres.
        holes: share of depth pixels without a value.
        mask: deviation of the mask's border, pixels.
        start: deviation of the start's place (metres) and of all its angles (ten times, rad).
    """

    point: float = 0.02
    common: float = 0.012
    slow: float = 0.85
    exo: float = 2.0
    hidden: float = 2.0
    outliers: float = 0.02
    lost: float = 0.05
    depth: float = 0.004
    holes: float = 0.1
    mask: float = 1.0
    start: float = 0.02


NONE = EvidenceNoise(
    point=0.0, common=0.0, slow=0.0, exo=1.0, hidden=1.0, outliers=0.0, lost=0.0, depth=0.0,
    holes=0.0, mask=0.0, start=0.0,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class SyntheticSession:
    """A session that was never rendered.

    Attributes:
        evidence: what its views say.
        truth: exact parameters in the reference camera's frame.
        joints: (N, 2, 21, 3) exact, metres, world.
        vertices: (N, 2, V, 3) exact, metres, world.
    """

    evidence: Evidence
    truth: Poses
    joints: Array
    vertices: Array


@dataclass(kw_only=True, eq=False)
class _Scene:
    """One frame: the mesh in the world, and which vertices are of which hand."""

    rig: SimulatedRig
    stamp: int
    mesh: Array
    owners: NDArray[np.float32]


def synthetic_session(
    rig: RigDescription,
    stamps: NDArray[np.int64],
    *,
    noise: EvidenceNoise | None = None,
    seed: int = 0,
    scenario: str = 'normal',
    views: Sequence[str] | None = None,
    offsets: Array | None = None,
) -> SyntheticSession:
    """Return a session's evidence.

    Args:
        rig: its cameras, such as ``config/simulated_two_view_rig.yaml``.
        stamps: (N,) nanoseconds of simulated time.
        noise: of what is measured; the default when None.
        seed: of the person, of what the hands do, and of the noise.
        scenario: of the simulation.
        views: cameras to use; all of the rig when None.
        offsets: (21, 3) from joints to landmarks, see ``FittingModel``; zeros when None.
    """
    noise = EvidenceNoise() if noise is None else noise
    names = [name for name in rig.cameras if views is None or name in views]
    kinds = {name: rig.cameras[name].modality for name in names}
    looks = [name for name in names if kinds[name] != 'depth']
    depths = [name for name in names if kinds[name] == 'depth']
    simulated = SimulatedRig(rig, seed=seed, scenario=scenario)
    generator = np.random.default_rng([seed, 5])
    count = len(stamps)
    exo = [bool(rig.cameras[name].body) for name in looks]
    evidence = Evidence.empty(stamps, np.arange(count), looks, exo, len(depths))
    hands = [simulated.truth(int(stamp)) for stamp in stamps]
    truth = Poses.of(stamps, [dict(enumerate(pair)) for pair in hands])
    joints = np.array([[hand.joints for hand in pair] for pair in hands])
    vertices = np.array([[hand.vertices for hand in pair] for pair in hands])
    marks = joints if offsets is None else _landmarks(truth, offsets)
    T_world_rig = inverse(rig.reference_camera.T_rig_cam)
    errors = _errors(len(looks), stamps, noise, generator)
    for row, stamp in enumerate(stamps):
        scene = _scene(simulated, int(stamp), vertices[row], T_world_rig)
        for place, name in enumerate(looks):
            _look(
                evidence, (place, row), name, scene, marks[row], errors[place, row],
                noise, generator,
            )  # fmt: skip
        _gather(evidence, row, depths, scene, noise, generator)
    _start(evidence, truth, noise, generator)
    return SyntheticSession(evidence=evidence, truth=truth, joints=joints, vertices=vertices)


def _scene(simulated: SimulatedRig, stamp: int, vertices: Array, T_world_rig: Array) -> _Scene:
    bodies = simulated.bodies
    state = simulated.motion.at(stamp * 1e-9)
    T_rig_world = inverse(T_world_rig)
    mesh = bodies.vertices([apply(T_rig_world, hand) for hand in vertices], state)
    owners = np.zeros((len(mesh), 2), np.float32)
    for side in range(2):
        owners[bodies.hand_vertices(side), side] = 1.0
    return _Scene(rig=simulated, stamp=stamp, mesh=apply(T_world_rig, mesh), owners=owners)


def _drawn(scene: _Scene, name: str) -> tuple[Array, Array, Array]:
    """Return ``T_cam_world`` (4, 4), depth (H, W), 0 = nothing, and owners (H, W, 2)."""
    rig = scene.rig.rig
    description = rig.cameras[name]
    camera = description.camera
    assert camera is not None
    T_cam_world = inverse(scene.rig.T_rig_cam(name, scene.stamp)) @ rig.reference_camera.T_rig_cam
    points = apply(T_cam_world, scene.mesh)
    fragments = rasterize(
        camera.project(points), points[:, 2], scene.rig.bodies.faces, scene.owners,
        (camera.width, camera.height),
    )  # fmt: skip
    depth = np.zeros((camera.height, camera.width))
    owners = np.zeros((camera.height, camera.width, 2))
    depth[fragments.box] = fragments.depth
    owners[fragments.box] = fragments.attributes
    return T_cam_world, depth, owners


def _look(
    evidence: Evidence, place: tuple[int, int], name: str, scene: _Scene,
    marks: Array, errors: Array, noise: EvidenceNoise, generator: np.random.Generator,
) -> None:  # fmt: skip
    """Add the landmarks and masks of one view and frame, with unit errors (2, 22, 2)."""
    camera = scene.rig.rig.cameras[name].camera
    assert camera is not None
    T_cam_world, depth, owners = _drawn(scene, name)
    evidence.T_cam_world[place] = T_cam_world
    focal = (camera.intrinsics[0, 0] + camera.intrinsics[1, 1]) / 2
    evidence.focal[place[0]] = focal
    size = np.array([camera.width, camera.height])
    for side in range(2):
        seen = apply(T_cam_world, marks[side])
        pixels = camera.project(seen)
        inside = camera.contains(pixels)
        if inside.sum() < _LEAST_INSIDE or generator.random() < noise.lost:
            continue
        nearest = np.clip(np.rint(np.nan_to_num(pixels)), 0, size - 1).astype(int)
        surface = depth[nearest[:, 1], nearest[:, 0]]
        hidden = (surface > 0) & (seen[:, 2] > surface + _HIDDEN)
        extent = float(np.ptp(pixels[inside], axis=0).max())
        scale = extent * (noise.exo if evidence.exo[place[0]] else 1.0)
        sigma = np.where(hidden, noise.hidden, 1.0) * noise.point * scale
        shift = noise.common * scale * errors[side, 21]
        found = pixels + sigma[:, None] * errors[side, :21] + shift
        wrong = generator.random(21) < noise.outliers
        box = pixels[inside].min(axis=0), pixels[inside].max(axis=0)
        found[wrong] = generator.uniform(*box, (int(wrong.sum()), 2))
        found[~inside] = np.nan
        usable = np.isfinite(found).all(axis=1)
        where = (*place, side)
        evidence.points[where][usable] = camera.undistort(found[usable])
        told = max(float(np.hypot(noise.point, noise.common)), 1e-3) * extent / focal
        evidence.sigma[where] = np.where(usable, told, np.inf)
        evidence.presence[where] = 1.0
        masks = [_mask(owners[..., who] > 0.5, noise, generator) for who in (side, 1 - side)]
        if masks[0].any() and usable.any():
            around = camera.undistort(found[usable])
            evidence.enter_silhouette(*where, silhouette(masks[0], masks[1], camera, around))


def _errors(
    views: int, stamps: NDArray[np.int64], noise: EvidenceNoise, generator: np.random.Generator
) -> Array:
    """Return errors (V, N, 2, 22, 2) of unit variance: of 21 landmarks and of what they share."""
    period = float(np.median(np.diff(stamps))) * 1e-9 if len(stamps) > 1 else 1.0
    width = _SLOW / period
    count, margin = len(stamps), int(np.ceil(4 * width))
    fast = generator.normal(size=(views, count, 2, 22, 2))
    slow = generator.normal(size=(views, count + 2 * margin, 2, 22, 2))
    slow = gaussian_filter1d(slow, width, axis=1)[:, margin : margin + count]
    slow *= np.sqrt(2 * np.sqrt(np.pi) * max(width, 0.3))  # unit variance again
    return np.sqrt(1 - noise.slow) * fast + np.sqrt(noise.slow) * slow


def _mask(
    mask: NDArray[np.bool_], noise: EvidenceNoise, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Return a mask (H, W) whose border strays smoothly."""
    if noise.mask == 0:
        return mask
    waves = generator.normal(0, 0.15, (2, 4, 2))
    phases = generator.uniform(0, 2 * np.pi, (2, 4))
    known_rows, known_columns = np.nonzero(mask)
    if not len(known_rows):
        return mask
    # No pixel of the mask comes from farther than four waves reach.
    reach = int(np.ceil(4 * noise.mask / np.sqrt(2))) + 1
    height, width = mask.shape
    box = tuple(
        slice(max(int(places.min()) - reach, 0), min(int(places.max()) + reach + 1, size))
        for places, size in ((known_rows, height), (known_columns, width))
    )
    rows, columns = np.indices(mask.shape, dtype=np.float64)[:, box[0], box[1]]
    # Sums of four waves have the deviation of the square root of two.
    shifts = noise.mask / np.sqrt(2) * np.stack([
        sum(np.sin(columns * u + rows * v + phase) for (u, v), phase in zip(*ripple, strict=True))
        for ripple in zip(waves, phases, strict=True)
    ])  # fmt: skip
    y = np.clip(np.rint(rows + shifts[0]).astype(int), 0, height - 1)
    x = np.clip(np.rint(columns + shifts[1]).astype(int), 0, width - 1)
    moved = np.zeros_like(mask)
    moved[box] = mask[y, x]
    return moved


def _gather(
    evidence: Evidence, row: int, depths: Sequence[str], scene: _Scene, noise: EvidenceNoise,
    generator: np.random.Generator,
) -> None:  # fmt: skip
    """Add the clouds of all depth cameras of one frame."""
    clouds: list[list[Array]] = [[], []]
    for place, name in enumerate(depths):
        camera = scene.rig.rig.cameras[name].camera
        assert camera is not None
        T_cam_world, depth, owners = _drawn(scene, name)
        T_world_cam = inverse(T_cam_world)
        evidence.depth_eyes[place, row] = T_world_cam[:3, 3]
        for side in range(2):
            rows, columns = np.nonzero(owners[..., side] > 0.5)
            kept = generator.random(len(rows)) >= noise.holes
            rows, columns = rows[kept], columns[kept]
            true = depth[rows, columns]
            seen = true + noise.depth * true**2 * generator.normal(size=len(true))
            pixels = np.column_stack([columns, rows]).astype(np.float64)
            clouds[side].append(apply(T_world_cam, camera.unproject(pixels, seen)))
    for side, parts in enumerate(clouds):
        points = np.concatenate(parts) if parts else np.zeros((0, 3))
        if len(points) > CLOUD_POINTS:
            points = points[generator.choice(len(points), CLOUD_POINTS, replace=False)]
        evidence.cloud[row, side, : len(points)] = points


def _start(
    evidence: Evidence, truth: Poses, noise: EvidenceNoise, generator: np.random.Generator
) -> None:
    """Let a tracker that errs slowly tell where hands are that some view saw."""
    seen = np.isfinite(evidence.points).any(axis=(0, 3, 4))

    def error(values: Array, scale: float) -> Array:
        steps = gaussian_filter1d(generator.normal(size=values.shape), 4.0, axis=0, mode='wrap')
        return values + scale * steps / max(float(steps.std()), 1e-9)

    evidence.global_orient[:] = error(truth.global_orient, 10 * noise.start)
    evidence.hand_pose[:] = error(truth.hand_pose, 10 * noise.start)
    evidence.translation[:] = error(truth.translation, noise.start)
    evidence.betas[:] = 0.0 if noise.start else truth.betas
    for name in MODEL_PARAMETERS:
        getattr(evidence, name)[~seen] = np.nan
    evidence.tracked[:] = seen


def _landmarks(truth: Poses, offsets: Array) -> Array:
    """Return where landmarks with offsets from the joints are, (N, 2, 21, 3)."""
    model = FittingModel(hand_model('right').data, offsets)
    return np.stack(
        [model.landmarks(true_state(model, truth, side), np.full(len(truth.stamps), side))
         for side in range(len(SIDES))], axis=1,
    )  # fmt: skip


def true_state(model: FittingModel, poses: Poses, side: int) -> HandState:
    """Return the poses of one side as the fit has them; shapes are cut to the model's."""
    return state_of(
        model, side, poses.global_orient[:, side], poses.hand_pose[:, side], poses.betas[:, side],
        poses.translation[:, side],
    )  # fmt: skip

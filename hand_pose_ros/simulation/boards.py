"""Simulated calibration recordings: a target moved before a rig's cameras, warm or cold."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.rig.target import Target
from hand_pose_ros.rig.thermal import ThermalValues
from hand_pose_ros.sessions.recorded_rig import RIG_TOPIC, image_topic, info_topic
from hand_pose_ros.simulation import depth, nir, rgb, thermal
from hand_pose_ros.simulation.board_kernels import draw_board, pixel_rays
from hand_pose_ros.simulation.board_motion import BoardMotion
from hand_pose_ros.simulation.board_room import room_depth
from hand_pose_ros.simulation.scene import smooth_noise
from hand_pose_ros.simulation.sensors import NoiseTable

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Heat = Literal['warm', 'cold', 'none']

START = 1_700_000_000_000_000_000
WHITE, BLACK = 0.85, 0.07  # reflectances
HEAT = {'warm': 5.0, 'cold': -4.0, 'none': 0.0}  # kelvin of the dark parts against the bright ones
_RESOLUTION = 32  # pixels of the target's picture a spacing
_SAMPLES = 4
_WALL = 2.5  # metres to what is behind the target
_SPREAD = 0.0008  # metres that heat spreads across an edge of the pattern


@dataclass(kw_only=True)
class BoardScene:
    """What a rig's cameras see of a moving target, exactly known; deterministic in its seed.

    Attributes:
        rig: the true rig; every camera needs intrinsics.
        target: what is moved.
        seed: varies motion, surroundings and noise.
        heat: whether the dark parts of the target are warmer or colder than the bright ones.
        offsets: how late the stamps of a camera are, ns; 0 where not given.
        depth_scale: factor by which depth cameras measure too far.
        motion: ``T_rig_board`` at a time in seconds; by default a target held by hand.
        other_body: ``T_rig_body`` of the rig's exo cameras at a time in seconds; with it, depth
            cameras see a room that is fixed to that body.
        noise: factor on the noise of all sensors.
    """

    rig: RigDescription
    target: Target
    seed: int = 0
    heat: Heat = 'warm'
    offsets: dict[str, int] = field(default_factory=dict)
    depth_scale: float = 1.0
    motion: Callable[[float], Array] | None = None
    other_body: Callable[[float], Array] | None = None
    views: int = 40
    noise: float = 1.0

    def __post_init__(self) -> None:
        """Draw the motion and the surroundings."""
        held = BoardMotion(
            [c for c in self.rig.own_cameras.values() if c.modality != 'depth'], self.target,
            seed=self.seed, views=self.views,
        )  # fmt: skip
        self.duration = held.duration
        self.T_rig_board = self.motion or held.at
        picture, self._origin = self.target.picture(_RESOLUTION)
        self._picture: Floats = picture.astype(np.float32) / np.float32(255)
        spread = _SPREAD / self.target.spacing * _RESOLUTION
        self._heat_map: Floats = np.asarray(
            cv2.GaussianBlur(self._picture, (0, 0), spread), np.float32
        )
        self._generator = np.random.default_rng([self.seed, 43])
        self._eyes: dict[str, _Eye] = {}

    def pose(self, stream: str, stamp: int) -> Array:
        """Return ``T_cam_board`` (4, 4) at a true stamp."""
        return inverse(self._T_rig_cam(stream, stamp)) @ self.T_rig_board((stamp - START) * 1e-9)

    def image(self, stream: str, stamp: int) -> NDArray[Any]:
        """Return the image a camera takes at a true stamp (ns), in its encoding."""
        if stream not in self._eyes:
            self._eyes[stream] = _Eye(self.rig.cameras[stream], self.seed)
        description, eye = self.rig.cameras[stream], self._eyes[stream]
        picture: Floats = self._heat_map if description.modality == 'thermal' else self._picture
        drawn = eye.draw(self.pose(stream, stamp), picture, self._origin, self.target)
        noise: Floats = np.float32(self.noise) * eye.noise.window(stamp)
        if description.modality == 'depth':
            behind: Floats = np.full(eye.shape, _WALL, np.float32)
            if self.other_body is not None:
                T_rig_body = self.other_body((stamp - START) * 1e-9)
                behind = room_depth(eye.rays, inverse(T_rig_body) @ self._T_rig_cam(stream, stamp))
            return _depth_image(description, drawn, behind, noise, self.depth_scale)
        if description.modality == 'thermal':
            return _thermal_image(description, eye, drawn, noise, HEAT[self.heat])
        return _light_image(description, eye, drawn, noise)

    def _T_rig_cam(self, stream: str, stamp: int) -> Array:
        camera = self.rig.cameras[stream]
        if not camera.body or self.other_body is None:
            return camera.T_rig_cam
        return self.other_body((stamp - START) * 1e-9) @ camera.T_rig_cam


@dataclass(frozen=True, kw_only=True, eq=False)
class _Drawn:
    """The target in one image: mean picture value, share of the pixel covered, distance."""

    value: NDArray[np.float32]
    share: NDArray[np.float32]
    depth: NDArray[np.float32]
    facing: float


class _Eye:
    """What stays the same of one camera: its rays, what is behind the target, its noise."""

    def __init__(self, description: CameraDescription, seed: int) -> None:
        camera = description.camera
        if camera is None:
            raise CameraError(f'{description.name} has no intrinsics to simulate a target with')
        self.rays, self.slopes = pixel_rays(camera)
        self.shape = (camera.height, camera.width)
        salt = sum(description.name.encode()) + 1000 * seed
        generator = np.random.default_rng([salt, 47])
        self.texture = smooth_noise(self.shape, generator).astype(np.float32)
        self.pattern = generator.normal(0, thermal.FIXED_PATTERN, self.shape).astype(np.float32)
        sigma = {'thermal': thermal.NETD, 'nir': nir.NOISE, 'rgb': rgb.NOISE, 'depth': 1.0}
        self.noise = NoiseTable(self.shape, sigma[description.modality], np.float32, salt)

    def draw(self, pose: Array, picture: Floats, origin: Array, target: Target) -> _Drawn:
        """Draw a target at a pose (4, 4)."""
        value, share, distance = (np.zeros(self.shape, np.float32) for _ in range(3))
        draw_board(
            self.rays, self.slopes, pose, picture, origin, _RESOLUTION / target.spacing, _SAMPLES,
            value, share, distance,
        )  # fmt: skip
        centre = pose[:3, 3] / np.linalg.norm(pose[:3, 3])
        return _Drawn(value=value, share=share, depth=distance, facing=abs(centre @ pose[:3, 2]))


def _light_image(
    description: CameraDescription, eye: _Eye, drawn: _Drawn, noise: Floats
) -> NDArray[Any]:
    """Render what a colour or NIR camera sees; NIR carries its own lamp."""
    albedo = BLACK + (WHITE - BLACK) * drawn.value
    behind = 0.42 + 0.12 * eye.texture
    if description.modality == 'nir':
        distance = np.where(drawn.depth > 0, drawn.depth, 0.5)
        board = nir.EXPOSURE * albedo * drawn.facing / distance**2
        level = board * drawn.share + (1 - drawn.share) * nir.EXPOSURE * behind / _WALL**2
        level = level + nir.DARK
    else:
        board = 230 * albedo * (0.45 + 0.55 * drawn.facing)
        level = board * drawn.share + (1 - drawn.share) * 230 * behind
    grey = cv2.GaussianBlur(level.astype(np.float32), (0, 0), rgb.BLUR) + noise
    grey8 = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    if description.encoding == 'mono16':
        return grey8.astype(np.uint16) << 8
    if description.modality == 'nir':
        return grey8
    image = np.repeat(grey8[..., None], 4 if description.encoding.endswith('a8') else 3, axis=2)
    if image.shape[2] == 4:
        image[..., 3] = 255
    return image


def _thermal_image(
    description: CameraDescription,
    eye: _Eye,
    drawn: _Drawn,
    noise: Floats,
    heat: float,
) -> NDArray[Any]:
    """Render what a thermal camera sees: the dark parts of the target warmed or cooled."""
    board = thermal.AMBIENT + 1.0 + heat * (1 - drawn.value) * (1 + 0.1 * eye.texture)
    behind = thermal.AMBIENT + 0.4 * eye.texture
    celsius = board * drawn.share + behind * (1 - drawn.share)
    celsius = cv2.GaussianBlur(celsius.astype(np.float32), (0, 0), thermal.BLUR)
    celsius = celsius + eye.pattern + noise
    values = description.values
    if description.encoding == 'mono8':
        gain, offset = 25.0 / 255, 15.0
    elif isinstance(values, ThermalValues) and values.kind == 'tlinear':
        gain, offset = values.gain, values.offset
    else:
        gain, offset = 0.04, -273.15
    dtype = np.uint8 if description.encoding == 'mono8' else np.uint16
    top = np.iinfo(dtype).max
    counts = np.clip(np.rint((celsius - offset) / gain), 0, top).astype(dtype)
    return counts if description.white_hot else top - counts


def _depth_image(
    description: CameraDescription, drawn: _Drawn, behind: Floats, noise: Floats, scale: float
) -> NDArray[Any]:
    """Render what a depth camera measures, nothing where the target ends within a pixel."""
    distance = np.where(drawn.share > 0, drawn.depth, behind)
    distance = scale * (distance + depth.NOISE_AT_METRE * distance**2 * noise)
    distance[(drawn.share > 0) & (drawn.share < 1)] = 0
    if description.encoding == '32FC1':
        return np.where(distance > 0, distance, np.nan).astype(np.float32)
    values = description.values
    step = values.scale if isinstance(values, DepthValues) else 0.001
    return np.clip(np.rint(distance / step), 0, 65535).astype(np.uint16)


def write_board_session(
    scene: BoardScene,
    folder: Path,
    *,
    described: RigDescription | None = None,
    duration: float | None = None,
    phases: dict[str, int] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a session in which a target moves before the rig; each camera runs freely.

    Args:
        scene: the true rig, the target and its motion.
        folder: the bag, a new folder.
        described: the rig that the bag says it has been recorded with, by default the true one.
        duration: seconds; by default until every view was shown.
        phases: nanoseconds by which a camera fires later than the others; drawn when not given.
        progress: told the number of images written so far.

    Raises:
        BagError: if the folder exists already.
    """
    described = described or scene.rig
    generator = np.random.default_rng([scene.seed, 53])
    length = int(1e9 * (scene.duration if duration is None else duration))
    firings = []
    for name, camera in scene.rig.cameras.items():
        period = round(1e9 / camera.rate)
        drawn = int(generator.integers(0, period))
        phase = drawn if phases is None else phases.get(name, 0)
        firings += [(START + phase + k * period, name) for k in range(length // period)]
    with BagWriter(folder) as writer:
        _announce(writer, described)
        for number, (stamp, name) in enumerate(sorted(firings), start=1):
            camera = described.cameras[name]
            late = stamp + scene.offsets.get(name, 0)
            image = messages.image(scene.image(name, stamp), camera.encoding, late, camera.frame_id)
            info = messages.camera_info(camera.camera, camera.size, late, camera.frame_id)
            writer.write(image_topic(name), messages.serialised(image), stamp)
            writer.write(info_topic(name), messages.serialised(info), stamp)
            progress(number)


def _announce(writer: BagWriter, rig: RigDescription) -> None:
    for name in rig.cameras:
        writer.add_topic(image_topic(name), messages.IMAGE)
        writer.add_topic(info_topic(name), messages.CAMERA_INFO)
    writer.add_topic(RIG_TOPIC, messages.STRING)
    writer.write(RIG_TOPIC, messages.serialised(messages.text(rig_text(rig))), START)


def true_pixels(scene: BoardScene, stream: str, stamp: int) -> Array:
    """Return where a camera sees the target's points (N, 2) at a true stamp."""
    camera: Camera | None = scene.rig.cameras[stream].camera
    assert camera is not None
    pose = scene.pose(stream, stamp)
    return camera.project(apply(pose, scene.target.points))

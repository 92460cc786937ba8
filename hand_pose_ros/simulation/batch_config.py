"""SimulationConfig: what a batched simulation renders and how it varies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.model import RigDescription

Split = Literal['train', 'val', 'test']
SPLITS: tuple[Split, ...] = ('train', 'val', 'test')

Setting = Literal['office', 'darkness', 'sun_glare', 'gloves', 'kitchen', 'mixed']
SETTINGS: tuple[Setting, ...] = (
    'office', 'darkness', 'sun_glare', 'gloves', 'kitchen', 'mixed',
)  # fmt: skip

# Training sizes (width, height) in pixels by modality.
_SIZES = {'thermal': (320, 256), 'nir': (320, 240), 'depth': (320, 240), 'rgb': (320, 240)}


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulationConfig:
    """A simulation; together with a clip's number it fixes everything in that clip.

    Attributes:
        rig: the cameras.
        seed: varies people, motions, scenes and noise.
        setting: surroundings; ``mixed`` draws one of the others per clip.
        split: train, val and test share no shapes and no motions.
        image_size: (width, height) in pixels by stream; the training size where a stream is not
            named. The camera is scaled to it.
        rectified: pinhole images without distortion; False renders through the lens.
        rate_range: images per second (lowest, highest); one rate is drawn per clip.
        vary_intrinsics: whether each clip has its own focal lengths (factor 0.85-1.2) and
            principal point (+-3 % of the size); None means in the train split only. It takes no
            effect through the lens, whose distortion is calibrated with its K.
        absent: share of the clips that show one hand only.
    """

    rig: RigDescription = field(default_factory=lambda: find_rig('simulated_head_rig'))
    seed: int = 0
    setting: Setting = 'mixed'
    split: Split = 'train'
    image_size: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rectified: bool = True
    rate_range: tuple[float, float] = (8.0, 30.0)
    vary_intrinsics: bool | None = None
    absent: float = 0.12

    def __post_init__(self) -> None:
        """Refuse values nothing can be rendered from."""
        if self.setting not in SETTINGS:
            raise DataError(f'setting {self.setting!r} is unknown: use {", ".join(SETTINGS)}')
        if self.split not in SPLITS:
            raise DataError(f'split {self.split!r} is unknown: use {", ".join(SPLITS)}')
        if self.seed < 0:
            raise DataError(f'seed must be 0 or more, got {self.seed}')
        low, high = self.rate_range
        if not 0 < low <= high:
            raise DataError(f'rate_range must be 0 < low <= high, got {self.rate_range}')
        if not 0 <= self.absent <= 1:
            raise DataError(f'absent is a share in 0..1, got {self.absent}')
        for stream, size in self.image_size.items():
            if stream not in self.rig.cameras:
                known = ', '.join(self.rig.cameras)
                raise DataError(f'image_size names {stream!r}, use one of {known}')
            if min(size) < 8:
                raise DataError(f'image_size of {stream} is {size}, use 8 pixels or more a side')

    @property
    def varies_intrinsics(self) -> bool:
        """Whether clips get their own K."""
        wanted = self.split == 'train' if self.vary_intrinsics is None else self.vary_intrinsics
        return wanted and self.rectified

    def camera(self, stream: str) -> Camera:
        """Return a stream's camera at its training size, with its lens.

        Raises:
            DataError: the stream does not exist or is not calibrated.
        """
        camera = self.native_camera(stream)
        modality = self.rig.cameras[stream].modality
        return camera.scaled(*self.image_size.get(stream, _SIZES[modality]))

    def native_camera(self, stream: str) -> Camera:
        """Return a stream's camera as the rig has it.

        Raises:
            DataError: the stream does not exist or is not calibrated.
        """
        if stream not in self.rig.cameras:
            known = ', '.join(self.rig.cameras)
            raise DataError(f'the rig has no stream {stream!r}, use one of {known}')
        camera = self.rig.cameras[stream].camera
        if camera is None:
            raise DataError(f'{stream} has no intrinsics: put them into the rig file')
        return camera

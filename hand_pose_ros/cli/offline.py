"""Runs an estimator over recorded images: pairs the streams, builds rig frames, yields hands."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hand_pose_ros.cameras.image_files import ImageSource, RecordedImage, open_images
from hand_pose_ros.cli.common import CommandError
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.frame import MODALITIES, Modality, RigFrame
from hand_pose_ros.rig.images import fit_size, stream_image
from hand_pose_ros.rig.model import ENCODINGS, CameraDescription, RigDescription
from hand_pose_ros.rig.synchronizer import SynchronizedSet, Synchronizer

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class OfflineResult:
    """The hands of one frame.

    Attributes:
        frame: what they were estimated from.
        source: file name (a video: with the frame number) of the reference image.
        hands: the estimate.
    """

    frame: RigFrame
    source: str
    hands: list[HandPose]


def recordings(path: Path, modality: Modality | Literal['all']) -> dict[Modality, ImageSource]:
    """Open what is to be read: one recording, or with ``all`` one for each camera folder.

    Raises:
        CommandError: if ``all`` is asked for and there is no folder named after a modality.
        CameraError: if a recording is empty or cannot be read.
    """
    if modality != 'all':
        return {modality: open_images(path, modality)}
    folders = {name: path / name for name in MODALITIES if (path / name).exists()}
    if not folders:
        raise CommandError(
            f'{path} has none of the folders {", ".join(MODALITIES)}: put the images of each '
            'camera into one, or choose one --modality.'
        )
    return {name: open_images(folder, name) for name, folder in folders.items()}


def matching_rig(rig: RigDescription, modalities: tuple[Modality, ...]) -> RigDescription:
    """Reduce a rig to one camera of each modality, called like the modality.

    The results are in the frame of the rig's reference camera, or of the first camera left.

    Raises:
        CommandError: if the rig has no camera of a modality.
    """
    cameras = {}
    for modality in modalities:
        matching = [camera for camera in rig.cameras.values() if camera.modality == modality]
        if not matching:
            known = ', '.join(sorted({camera.modality for camera in rig.cameras.values()}))
            raise CommandError(
                f'rig {rig.name} has no {modality} camera, only {known}: change --rig or '
                '--modality.'
            )
        camera = rig.cameras.get(modality, matching[0])
        cameras[camera.name] = camera
    return reduced_rig(rig, cameras)


def reduced_rig(rig: RigDescription, cameras: dict[str, CameraDescription]) -> RigDescription:
    """The same rig with fewer cameras; a reference that is gone is chosen anew."""
    reference = rig.reference if rig.reference in cameras else ''
    limits = rig.synchronizer
    streams = tuple(name for name in limits.streams if name in cameras) or tuple(cameras)
    config = replace(
        limits,
        streams=streams,
        reference=limits.reference if limits.reference in streams else streams[0],
        required=tuple(name for name in limits.required if name in streams),
        offsets={name: offset for name, offset in limits.offsets.items() if name in streams},
    )
    return replace(rig, cameras=cameras, reference=reference, synchronizer=config)


def uncalibrated_rig(modalities: tuple[Modality, ...]) -> RigDescription:
    """A rig of cameras nothing is known about: 2D results only."""
    cameras: dict[str, CameraDescription] = {
        name: CameraDescription(name=name, modality=name) for name in modalities
    }
    return RigDescription(name='uncalibrated images', cameras=cameras)


def sets_of(
    rig: RigDescription, images: dict[str, Iterator[RecordedImage]]
) -> Iterator[dict[str, RecordedImage]]:
    """Pair the recordings of the cameras by stamp as the live synchroniser does."""
    if len(images) == 1:
        ((name, only),) = images.items()
        yield from ({name: image} for image in only)
        return
    synchronizer = Synchronizer(rig.synchronizer)
    tagged = [_tagged(name, recording) for name, recording in images.items()]
    for stamp, name, image in heapq.merge(*tagged, key=lambda entry: entry[0]):
        yield from _items(synchronizer.add(name, stamp, image))
    yield from _items(synchronizer.flush())


def _tagged(name: str, images: Iterator[RecordedImage]) -> Iterator[tuple[int, str, RecordedImage]]:
    for image in images:
        yield image.stamp, name, image


def _items(sets: list[SynchronizedSet]) -> Iterator[dict[str, RecordedImage]]:
    yield from (entry.items for entry in sets)


class FrameBuilder:
    """Turns sets of recorded images into rig frames, adapting K to the images' size once."""

    def __init__(self, rig: RigDescription, say: Say) -> None:
        """Use a rig; ``say`` is told, once per camera, when its K was scaled."""
        self.rig = rig
        self._say = say
        self._cameras: dict[tuple[str, tuple[int, ...], str], CameraDescription] = {}

    def build(self, images: dict[str, RecordedImage]) -> RigFrame:
        """Return the rig frame of one set.

        Raises:
            ImageError: if an image fits its camera neither in size nor in kind.
        """
        streams = {}
        for name, image in images.items():
            camera = self._camera(name, image)
            streams[name] = stream_image(image.image, image.encoding, image.stamp, camera)
        return rig_frame(self.rig, streams)

    def _camera(self, name: str, image: RecordedImage) -> CameraDescription:
        key = (name, image.image.shape[:2], image.encoding)
        if key not in self._cameras:
            self._cameras[key] = self._fitted(self.rig.cameras[name], image)
        return self._cameras[key]

    def _fitted(self, camera: CameraDescription, image: RecordedImage) -> CameraDescription:
        """The camera at the size and depth of bits that the files have."""
        height, width = image.image.shape[:2]
        if image.encoding in ENCODINGS[camera.modality]:
            camera = replace(camera, encoding=image.encoding)
        if camera.size == (0, 0):
            return camera
        fitted = fit_size(camera, width, height)
        if fitted is not camera:
            whole = camera.size[0] // width
            self._say(
                f'{camera.name}: images are {width}x{height}, 1/{whole} of the calibrated '
                f'{camera.size[0]}x{camera.size[1]}, so K was scaled by 1/{whole}'
            )
        return fitted


def estimate_sets(
    builder: FrameBuilder,
    estimator: Estimator,
    sets: Iterator[dict[str, RecordedImage]],
    *,
    independent: bool = False,
) -> Iterator[OfflineResult]:
    """Estimate the hands in every set.

    Args:
        builder: makes the rig frames.
        estimator: keeps its tracks from set to set.
        sets: recorded images by camera name, in time order.
        independent: forget all tracks before every set (unrelated photographs).
    """
    for images in sets:
        frame = builder.build(images)
        if independent:
            estimator.reset()
        hands = estimator.estimate(frame)
        yield OfflineResult(frame=frame, source=images[frame.reference].name, hands=hands)

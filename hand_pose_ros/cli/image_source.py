"""One recording of one camera, read as what its modality needs."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.cameras.image_files import (
    VIDEO_SUFFIXES,
    ImageRecord,
    list_images,
    read_images,
)
from hand_pose_ros.errors import ImageError
from hand_pose_ros.rig.frame import Modality

# Mean difference of the channels up to which lossy compression explains colour in a grey image.
_GREY_TOLERANCE = 4.0


class ImageSource:
    """An image, a folder of images or a video.

    Attributes:
        count: number of images, or 0 where a video does not say.
    """

    def __init__(self, path: Path, modality: Modality) -> None:
        """Look what there is.

        Raises:
            CameraError: if there is nothing to read.
        """
        self._path = path
        self._modality = modality
        self.count = _frames_of_video(path) if _is_video(path) else len(list_images(path))

    def images(self) -> Iterator[ImageRecord]:
        """Yield the images in stamp order, in an encoding of the modality.

        Raises:
            CameraError: if one cannot be decoded.
            ImageError: if one cannot be an image of the modality.
        """
        wanted = 'rgb8' if self._modality == 'rgb' else None
        for record in read_images(self._path, encoding=wanted):
            yield self._fitting(record)

    def _fitting(self, record: ImageRecord) -> ImageRecord:
        if self._modality == 'depth':
            return record._replace(
                encoding={'mono16': '16UC1'}.get(record.encoding, record.encoding)
            )
        if self._modality != 'rgb' and record.encoding == 'rgb8':
            return self._grey(record)
        return record

    def _grey(self, record: ImageRecord) -> ImageRecord:
        """A grey image whose channels differ only by compression, as mono8."""
        pixels = record.image.astype(np.int16)
        if np.abs(pixels[..., 0] - pixels[..., 2]).mean() > _GREY_TOLERANCE:
            raise ImageError(
                f'{self._path}: {record.name} is in colour, which no {self._modality} image is: '
                'export it in grey (no false-colour palette) or change --modality.'
            )
        return record._replace(image=np.ascontiguousarray(record.image[..., 1]), encoding='mono8')


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _frames_of_video(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()

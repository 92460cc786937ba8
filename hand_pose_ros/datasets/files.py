"""Files of data sets: found or refused in one sentence, and never outside of their folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError, RigError
from hand_pose_ros.geometry.camera import Camera

Result = TypeVar('Result')
# How far the principal point may be off the image's centre, in image sizes. The K of an image twice
# as large puts it at a distance of 0.5.
FARTHEST_PRINCIPAL_POINT = 0.45


def require(path: Path, origin: str) -> Path:
    """Return a file or folder that is there.

    Raises:
        DataError: naming what is missing and ``origin``, where the data set is obtained.
    """
    if not path.exists():
        raise DataError(f'{path} is missing: obtain it from {origin}')
    return path


def inside(folder: Path, relative: str) -> Path:
    """Return a path that a file's content names, below ``folder``.

    Raises:
        DataError: it would lead out of the folder.
    """
    path = Path(relative)
    if path.is_absolute() or '..' in path.parts:
        raise DataError(f'a label file names {relative}, which lies outside of {folder}: refused')
    return folder / path


def read_json(path: Path, origin: str) -> Any:
    """Return the content of a JSON file; raises DataError naming it."""
    try:
        return json.loads(require(path, origin).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DataError(f'{path} cannot be read as JSON ({error}): obtain it again') from error


def read_numbers(path: Path, count: int, origin: str) -> NDArray[np.float64]:
    """Return the numbers (count,) of a text file; raises DataError naming it."""
    text = require(path, origin).read_text(encoding='utf-8', errors='replace')
    try:
        numbers = np.array(text.split(), np.float64)
    except ValueError:
        numbers = np.empty(0)
    if numbers.size != count:
        raise DataError(f'{path} must hold {count} numbers: obtain it again')
    return numbers


def read_image(path: Path, origin: str) -> NDArray[np.uint8]:
    """Return an RGB image (H, W, 3) uint8."""
    return np.ascontiguousarray(_decode(path, cv2.IMREAD_COLOR, origin)[..., ::-1])


def read_grey(path: Path, origin: str) -> NDArray[np.uint8]:
    """Return a single-channel image (H, W) uint8."""
    return _decode(path, cv2.IMREAD_GRAYSCALE, origin)


def read_millimetres(path: Path, origin: str) -> NDArray[np.float32]:
    """Return the depth (H, W) float32 in metres, NaN for none, of a 16-bit image in mm."""
    image = _decode(path, cv2.IMREAD_UNCHANGED, origin)
    if image.ndim != 2 or image.dtype != np.uint16:
        raise DataError(f'{path} must be a 16-bit image of depth in mm: obtain it again')
    return metres(image)


def metres(millimetres: NDArray[Any]) -> NDArray[np.float32]:
    """Return depth in metres, NaN where there is none."""
    depth = millimetres.astype(np.float32) * np.float32(1e-3)
    depth[depth <= 0] = np.nan
    return depth


def fitted_camera(
    path: Path, size: tuple[int, int], intrinsics: NDArray[Any],
    distortion: NDArray[Any] | tuple[float, ...] = (), model: str = 'plumb_bob',
) -> Camera:  # fmt: skip
    """Return the camera of an image.

    Args:
        path: the file K comes from, for messages.
        size: width, height of the image.
        intrinsics: K (3, 3) in pixels.
        distortion: of the lens, see ``Camera``.
        model: of the distortion.

    Raises:
        DataError: K cannot belong to an image of this size.
    """
    try:
        camera = Camera(
            width=size[0], height=size[1], intrinsics=np.asarray(intrinsics, np.float64),
            distortion=np.asarray(distortion, np.float64), distortion_model=model,
        )  # fmt: skip
    except (RigError, ValueError) as error:
        raise DataError(f'{path}: its camera cannot be used: {error}') from None
    check_camera(camera, str(path))
    return camera


def check_camera(camera: Camera, name: str) -> None:
    """Refuse a K that cannot belong to its image.

    Raises:
        DataError: naming the file, K and the size.
    """
    width, height = camera.width, camera.height
    centre = camera.intrinsics[:2, 2] / (width, height)
    far = np.abs(centre - 0.5) > FARTHEST_PRINCIPAL_POINT
    if far.any() or (np.diag(camera.intrinsics)[:2] <= 0).any():
        values = [round(float(value), 2) for value in camera.intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]]]
        raise DataError(
            f'{name}: fx, fy, cx, cy = {values} do not belong to an image of {width} x {height} '
            'pixels: use the K of this image size'
        )


def check_size(path: Path, image: NDArray[Any], size: tuple[int, int]) -> None:
    """Refuse an image that is not of the size (width, height) its K is about."""
    if image.shape[1::-1] != size:
        raise DataError(
            f'{path} has {image.shape[1]} x {image.shape[0]} pixels, its K is about '
            f'{size[0]} x {size[1]}: use images and calibration that belong together'
        )


def well_formed(path: Path, read: Callable[[], Result]) -> Result:
    """Return what ``read`` makes of a file's content; raises DataError where it cannot."""
    try:
        return read()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        message = f'{type(error).__name__}: {error}'
        raise DataError(f'{path} is not in its format ({message}): obtain it again') from error


def _decode(path: Path, flags: int, origin: str) -> NDArray[Any]:
    image = cv2.imread(str(require(path, origin)), flags)
    if image is None:
        raise DataError(f'{path} is no image that can be read: obtain it again')
    return image

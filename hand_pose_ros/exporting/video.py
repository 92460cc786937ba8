"""Videos: 8-bit frames encoded at an even rate, AV1 where the encoder is there, else H.264."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError

PIXELS = 'yuv420p'
# What the file says it is coded in, by the encoder that makes it; LeRobot's own settings.
_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    'libsvtav1': ('av1', {'crf': '30', 'g': '2', 'preset': '10'}),
    'libx264': ('h264', {'crf': '20', 'g': '2', 'preset': 'veryfast'}),
}


def encoder() -> str:
    """Return the name of the best encoder that is installed.

    Raises:
        DataError: naming the extra, if there is none.
    """
    try:
        import av
    except ImportError:
        raise DataError(
            'videos need the package av: pip install -r requirements/export.txt'
        ) from None
    for name in _ENCODERS:
        if name in av.codecs_available:
            return name
    raise DataError(f'the installed av has none of {", ".join(_ENCODERS)}: install another one.')


def codec(name: str) -> str:
    """Return the codec of an encoder, ``av1`` or ``h264``."""
    return _ENCODERS[name][0]


class VideoWriter:
    """An mp4 file open for writing; use as a context manager."""

    def __init__(self, path: Path, size: tuple[int, int], rate: float) -> None:
        """Create the file for frames of a size (width, height), both even."""
        import av

        name = encoder()
        # SVT-AV1 tells its settings on stderr otherwise; 1 leaves errors.
        os.environ.setdefault('SVT_LOG', '1')
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container: Any = av.open(str(path), 'w')
        fps = Fraction(rate).limit_denominator(1001)
        self._stream = self._container.add_stream(name, rate=fps, options=_ENCODERS[name][1])
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = PIXELS
        self.frames = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append one frame (H, W, 3) RGB."""
        import av

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        if self.frames:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()

    def __enter__(self) -> 'VideoWriter':
        """Return the open writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the file."""
        self.close()

"""Windows: which frames of a recording make a clip.

Source: methods specification, section 1.5.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Window:
    """Frames of one clip.

    Attributes:
        frames: numbers in the data set; the last one is repeated where the recording ends.
        padding: which of them are repeated.
    """

    frames: tuple[int, ...]
    padding: tuple[bool, ...]


def make_windows(
    segments: Iterable[range], length: int, *, spacing: int = 1, overlapping: bool = False
) -> list[Window]:
    """Cut recordings into clips; no clip crosses from one recording into another.

    Args:
        segments: numbers of the frames of each recording.
        length: frames per clip.
        spacing: step between the frames of a clip.
        overlapping: a clip starts at every frame (training); otherwise each frame is in exactly
            one clip (evaluation).
    """
    if length < 1 or spacing < 1:
        raise ValueError(f'length {length} and spacing {spacing} must be at least 1')
    return [
        _window(segment, start, length, spacing)
        for segment in segments
        for start in range(len(segment))
        if overlapping or start % (length * spacing) < spacing
    ]


def _window(segment: range, start: int, length: int, spacing: int) -> Window:
    wanted = range(start, start + length * spacing, spacing)
    there = [place for place in wanted if place < len(segment)]
    missing = length - len(there)
    places = there + there[-1:] * missing
    return Window(
        frames=tuple(segment[place] for place in places),
        padding=(False,) * len(there) + (True,) * missing,
    )

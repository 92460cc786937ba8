"""Calibration targets: flat patterns of known points, described in a word or a small YAML file."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.parsing import Section, read_yaml

Array = NDArray[np.float64]
TargetKind = Literal['chessboard', 'circles', 'asymmetric_circles', 'charuco']
KINDS: tuple[TargetKind, ...] = ('chessboard', 'circles', 'asymmetric_circles', 'charuco')

_FORM = 'KIND:COLUMNSxROWS:SPACING, for example chessboard:9x6:0.025 (metres)'
# Share of the spacing that a circle's radius takes.
_RADIUS = {'circles': 0.3, 'asymmetric_circles': 0.6}
_BLACK_SHARE = 4  # a marker is this share of its square when not given, in fifths


@dataclass(frozen=True, kw_only=True)
class Target:
    """A flat calibration target; its frame: x along a row, y down the columns, z into the board.

    Attributes:
        kind: ``chessboard``, ``circles``, ``asymmetric_circles`` or ``charuco``.
        columns, rows: inner corners of a chessboard, circles of a grid, squares of a ChArUco board;
            asymmetric circles have ``columns`` circles in each of ``rows`` shifted rows.
        spacing: metres between neighbouring corners or circles (of asymmetric circles: between
            rows), or side of a ChArUco square.
        marker: side of a ChArUco marker, metres; 0 = four fifths of the square.
        dictionary: ArUco dictionary of a ChArUco board.
    """

    kind: TargetKind
    columns: int
    rows: int
    spacing: float
    marker: float = 0.0
    dictionary: str = 'DICT_4X4_50'

    def __post_init__(self) -> None:
        """Refuse what is no target."""
        if self.kind not in KINDS:
            raise RigError(f'target kind {self.kind!r} is unknown: use one of {", ".join(KINDS)}')
        if not (3 <= self.columns <= 100 and 3 <= self.rows <= 100):
            raise RigError(f'target {self}: columns and rows are 3 to 100')
        if not 0.001 <= self.spacing <= 1.0:
            raise RigError(
                f'target {self}: spacing is {self.spacing:g} m, give metres between 0.001 and 1'
            )
        if self.kind == 'charuco':
            if not hasattr(cv2.aruco, self.dictionary):
                raise RigError(
                    f'target {self}: OpenCV has no ArUco dictionary {self.dictionary!r}, use for '
                    'example DICT_4X4_50'
                )
            if not 0 <= self.marker < self.spacing:
                raise RigError(f'target {self}: a marker is smaller than its square')

    def __str__(self) -> str:
        return f'{self.kind}:{self.columns}x{self.rows}:{self.spacing:g}'

    @cached_property
    def points(self) -> Array:
        """Points (N, 3) in metres, row by row, z = 0."""
        columns, rows = self.columns, self.rows
        if self.kind == 'charuco':
            return np.asarray(self.charuco.getChessboardCorners(), np.float64)
        row, column = (part.ravel().astype(np.float64) for part in np.mgrid[:rows, :columns])
        if self.kind == 'asymmetric_circles':
            column = 2 * column + row % 2
        return self.spacing * np.column_stack([column, row, np.zeros_like(row)])

    @property
    def symmetric(self) -> bool:
        """Whether the target looks the same after half a turn."""
        if self.kind == 'chessboard':
            return (self.columns + self.rows) % 2 == 0
        return self.kind == 'circles' or (self.kind == 'asymmetric_circles' and self.rows % 2 == 0)

    @cached_property
    def charuco(self) -> 'cv2.aruco.CharucoBoard':
        """OpenCV's ChArUco board."""
        marker = self.marker or self.spacing * _BLACK_SHARE / 5
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        size = (self.columns, self.rows)
        return cv2.aruco.CharucoBoard(size, self.spacing, marker, dictionary)

    def picture(self, resolution: int) -> tuple[NDArray[np.uint8], Array]:
        """Draw the target, for a printer or a simulation.

        Args:
            resolution: pixels a spacing.

        Returns:
            Picture (H, W), 255 = white, and the target coordinates (2,) in metres of its upper
            left edge; a pixel is ``spacing / resolution`` wide.
        """
        step = self.spacing / resolution
        if self.kind == 'charuco':
            size = (self.columns * resolution, self.rows * resolution)
            inner = self.charuco.generateImage(size, marginSize=0, borderBits=1)
            return np.pad(inner, resolution // 2, constant_values=255), np.full(
                2, -(resolution // 2) * step
            )
        low = self.points[:, :2].min(axis=0) - 2 * self.spacing
        high = self.points[:, :2].max(axis=0) + 2 * self.spacing
        width, height = np.rint((high - low) / step).astype(int)
        x = low[0] + (np.arange(width) + 0.5) * step
        y = low[1] + (np.arange(height) + 0.5) * step
        if self.kind == 'chessboard':
            # The outermost ring is white paper, the next one the outer squares.
            column, row = np.floor(x / self.spacing), np.floor(y / self.spacing)
            black = (column[None] + row[:, None]) % 2 == 0
            black &= (column >= -1) & (column < self.columns)
            black &= ((row >= -1) & (row < self.rows))[:, None]
        else:
            black = np.zeros((height, width), bool)
            for px, py, _ in self.points:
                radius = _RADIUS[self.kind] * self.spacing
                black |= (x - px) ** 2 + ((y - py) ** 2)[:, None] < radius**2
        return np.where(black, 0, 255).astype(np.uint8), low


def parse_target(text: str) -> Target:
    """Read a target: ``chessboard:9x6:0.025``, ``charuco:8x6:0.04[:0.03[:DICT_4X4_50]]`` or YAML.

    Raises:
        RigError: saying what is wrong and how targets are written.
    """
    if Path(text).suffix in ('.yaml', '.yml'):
        return _from_file(Path(text))
    parts = text.split(':')
    try:
        kind, size, spacing, *rest = parts
        columns, rows = (int(number) for number in size.split('x'))
        marker = float(rest[0]) if rest else 0.0
        distance = float(spacing)
    except ValueError:
        raise RigError(f'target {text!r} is not understood: write {_FORM}') from None
    if len(rest) > 2 or (rest and kind != 'charuco'):
        raise RigError(f'target {text!r} has too many parts: write {_FORM}')
    return Target(
        kind=cast(TargetKind, kind), columns=columns, rows=rows, spacing=distance, marker=marker,
        dictionary=rest[1] if len(rest) == 2 else 'DICT_4X4_50',
    )  # fmt: skip


def _from_file(path: Path) -> Target:
    section = Section(read_yaml(path), str(path))
    target = Target(
        kind=cast(TargetKind, section.text('kind', choices=KINDS)),
        columns=section.integer('columns', minimum=3),
        rows=section.integer('rows', minimum=3),
        spacing=section.number('spacing', above=0.0),
        marker=section.number('marker', 0.0, minimum=0.0),
        dictionary=section.text('dictionary', 'DICT_4X4_50'),
    )
    section.finish()
    return target

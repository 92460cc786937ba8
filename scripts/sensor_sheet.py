"""Draws what the batched sensors see: one clip in the five settings, or many clips of one sensor.

    python scripts/sensor_sheet.py docs/images/simulated_sensors.jpg
    python scripts/sensor_sheet.py sheet.png --sensor thermal --setting mixed --count 24 \
        [--beside FOLDER]

With ``--beside`` the images of a folder come first, so that real ones can be compared.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.settings import PRESETS

SENSORS = ('thermal', 'nir', 'depth', 'rgb')
_FARTHEST = 1.5  # metres that become white
_WIDTH, _HEIGHT = 320, 240


def pictures(sensor: str, setting: str, numbers: list[int]) -> list[NDArray[Any]]:
    """Return the first frame of clips, BGR."""
    simulator = BatchSimulator(SimulationConfig(setting=setting))  # type: ignore[arg-type]
    image = simulator.clips(numbers, (sensor,), frames=1)[sensor].image
    if sensor == 'depth':
        image = (image / _FARTHEST).clamp(0, 1)
    levels = (image.permute(0, 2, 3, 1) * 255).byte().numpy()[..., ::-1]
    return [tile(np.broadcast_to(one, (*one.shape[:2], 3))) for one in levels]


def tile(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image at the size of the sheet's tiles."""
    return cv2.resize(np.ascontiguousarray(image), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)


def settings_sheet(number: int) -> NDArray[Any]:
    """Return a picture with a row per setting and a column per sensor."""
    rows = []
    for setting in PRESETS:
        row = np.hstack([pictures(sensor, setting, [number])[0] for sensor in SENSORS])
        cv2.putText(row, setting.replace('_', ' '), (6, 20), 0, 0.55, (0, 220, 255), 1, cv2.LINE_AA)
        rows.append(row)
    for column, sensor in enumerate(SENSORS):
        place = (column * _WIDTH + 6, _HEIGHT - 8)
        cv2.putText(rows[0], sensor, place, 0, 0.55, (0, 220, 255), 1, cv2.LINE_AA)
    return np.vstack(rows)


def many(tiles: list[NDArray[Any]], columns: int = 5) -> NDArray[Any]:
    """Return tiles in rows."""
    tiles = tiles + [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def main() -> int:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', type=Path)
    parser.add_argument('--clip', type=int, default=314, help='of the five settings')
    parser.add_argument('--sensor', choices=SENSORS, help='many clips of this sensor')
    parser.add_argument('--setting', default='mixed')
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--count', type=int, default=24)
    parser.add_argument('--beside', type=Path, help='folder of images to show first')
    arguments = parser.parse_args()
    if arguments.sensor is None:
        sheet = settings_sheet(arguments.clip)
    else:
        files = sorted(arguments.beside.iterdir()) if arguments.beside else []
        real = [tile(cv2.imread(str(file))) for file in files[:5]]
        numbers = list(range(arguments.first, arguments.first + arguments.count))
        sheet = many(real + pictures(arguments.sensor, arguments.setting, numbers))
    jpeg = arguments.output.suffix.lower() in ('.jpg', '.jpeg')
    cv2.imwrite(str(arguments.output), sheet, [cv2.IMWRITE_JPEG_QUALITY, 82] if jpeg else [])
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

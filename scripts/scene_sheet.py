"""A picture of simulated clips as geometry: materials, joints, what hides what.

    python scripts/scene_sheet.py sheet.jpg [--first 0] [--columns 5] [--rows 3] [--seed 0]

Colours are made up, one per material; joints are green where they can be seen and black where not,
left bones blue, right ones orange.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.gbuffer import ATTRIBUTES, MATERIALS, GBuffer
from hand_pose_ros.skeleton import BONES

# R G B of every material.
_COLOURS = {
    'none': (0, 0, 0), 'skin': (215, 170, 145), 'sleeve': (96, 104, 150), 'table': (150, 120, 90),
    'wall': (150, 152, 148), 'floor': (96, 98, 102), 'flat': (205, 205, 195), 'mug': (190, 70, 60),
    'can': (70, 150, 80), 'bottle': (60, 90, 190), 'box': (190, 160, 70), 'sphere': (190, 80, 160),
    'pen': (40, 170, 170), 'phone': (45, 45, 50), 'book': (150, 95, 60),
}  # fmt: skip
_BONES = ((60, 120, 255), (255, 130, 30))
_SCALE = 2  # the sheet is drawn at this multiple of the training size


def draw(gbuffer: GBuffer, image: int) -> NDArray[np.uint8]:
    """Return one image (H, W, 3) R G B of a G-buffer."""
    table = np.array([_COLOURS[name] for name in MATERIALS], np.float32)
    colour = table[gbuffer.material[image].numpy()]
    colour *= 0.35 + 0.65 * gbuffer.facing[image].numpy()[..., None]
    value = dict(zip(ATTRIBUTES, gbuffer.attributes[image].numpy().T.swapaxes(1, 2), strict=True))
    tiles = (np.floor(value['u'] / 0.05) + np.floor(value['v'] / 0.05)) % 2
    arms = np.isin(gbuffer.surface[image].numpy(), (1, 2, 3, 4))
    colour *= np.where(arms, 1 - 0.25 * value['nail'], 0.88 + 0.12 * tiles)[..., None]
    return np.clip(colour, 0, 255).astype(np.uint8)


def main(arguments: list[str] | None = None) -> int:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('output', type=Path, help='picture to write')
    parser.add_argument('--first', type=int, default=0, help='number of the first clip')
    parser.add_argument('--columns', type=int, default=5)
    parser.add_argument('--rows', type=int, default=3)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args(arguments)
    size = (320 * _SCALE, 256 * _SCALE)
    config = SimulationConfig(seed=options.seed, image_size={'thermal': size})
    numbers = range(options.first, options.first + options.columns * options.rows)
    gbuffer, labels = BatchSimulator(config).geometry(numbers, ('thermal',), 1)['thermal']
    pictures = []
    for image in range(len(numbers)):
        picture = draw(gbuffer, image)
        for side in np.flatnonzero(labels['in_view'][image].numpy()):
            pixels = labels['pixels'][image, side].numpy().clip(-1e4, 1e4)
            for bone in BONES:
                start, end = (tuple(map(int, np.rint(pixels[joint]))) for joint in bone)
                cv2.line(picture, start, end, _BONES[side], 2, cv2.LINE_AA)
            for pixel, visible in zip(pixels, labels['visible'][image, side], strict=True):
                spot = tuple(map(int, np.rint(pixel)))
                cv2.circle(picture, spot, 3, (60, 230, 60) if visible else (0, 0, 0), -1)
        pictures.append(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    rows = [pictures[k : k + options.columns] for k in range(0, len(pictures), options.columns)]
    sheet = np.vstack([np.hstack(row) for row in rows])
    if not cv2.imwrite(str(options.output), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85]):
        print(f'{options.output} cannot be written: give a .jpg or .png in a folder that exists')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())

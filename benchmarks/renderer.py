"""The batched renderer: exactness against ray casting, both backends, frames per second.

    python benchmarks/renderer.py [--device cpu] [--clips 16] [--seconds 10] [--threads 1]
        [--workers 0] [--ahead 1] [--views 24] [--json FILE]

Exactness needs trimesh and embreex (requirements/test.txt). The share of the peak is that of the
bytes of G-buffers and images alone, a lower bound of what moves, against a plain copy on the same
device.
"""

import argparse
import json
import platform
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hand_pose_ros.rig.frame import MODALITIES
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_rasterizer import Meshes
from hand_pose_ros.simulation.gbuffer import GBuffer

Array = NDArray[np.float64]

# What must hold: (between pinholes, through the lens).
MEDIAN_ERROR = (1e-4, 1e-4)  # metres
LEAST_OVERLAP = (0.99, 0.99)
CPU_GBUFFERS = 150.0  # images a second and core, one stream
CUDA_FOUR_SENSORS = 5000.0  # frames a second


def ray_cast(
    vertices: Array, faces: NDArray[np.integer], rays: Array
) -> tuple[Array, NDArray[np.int64]]:
    """Cast rays with embree.

    Args:
        vertices: (V, 3) metres in the camera's frame.
        faces: (F, 3).
        rays: (P, 2) ideal image-plane coordinates.

    Returns:
        Depth (P,) of the nearest front side, 0 where there is none, and its face (P,), else -1.
    """
    import trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    caster = RayMeshIntersector(trimesh.Trimesh(vertices, faces, process=False), scale_to_box=False)
    directions = np.column_stack([rays, np.ones(len(rays))])
    hit, ray, where = caster.intersects_id(
        np.zeros_like(directions), directions, multiple_hits=True, return_locations=True
    )
    a, b, c = (vertices[faces[hit, corner]] for corner in range(3))
    front = (np.cross(b - a, c - a) * directions[ray]).sum(1) < 0
    hit, ray, far = hit[front], ray[front], where[front, 2]
    order = np.argsort(-far)  # the nearest is written last
    depth, face = np.zeros(len(rays)), np.full(len(rays), -1)
    depth[ray[order]], face[ray[order]] = far[order], hit[order]
    return depth, face


def compare(gbuffer: GBuffer, meshes: Meshes, image: int) -> dict[str, Any]:
    """Compare one image, of clips of one frame, with ray casting; faces near the lens left out.

    Returns:
        ``errors`` (metres, where both see the same thing), their ``surface``, the share ``alike``
        that do, and ``overlap`` and ``union`` (pixels) of the hands' masks.
    """
    T = gbuffer.T_scene_cam[image].double().cpu().numpy()
    points = (meshes.vertices[image].double().cpu().numpy() - T[:3, 3]) @ T[:3, :3]
    faces = meshes.faces[image].cpu().numpy()
    corners = points[faces]
    there = np.isfinite(corners).all((1, 2)) & (corners[..., 2] > 0.05).all(1)
    hands = np.zeros(len(faces), bool)
    for first, last in meshes.hand_faces:
        hands[first:last] = True
    rays = gbuffer.rays[image % len(gbuffer.rays)].double().cpu().numpy().reshape(-1, 2)
    points = np.nan_to_num(points)
    depth, face = ray_cast(points, faces[there], rays)
    _, bare = ray_cast(points, faces[there & hands], rays)
    surface = gbuffer.surface[image].cpu().numpy().ravel()
    drawn = gbuffer.depth[image].double().cpu().numpy().ravel()
    mask = gbuffer.hand_mask[image].cpu().numpy().ravel() > 0
    # A ray caster knows no room: it is compared where triangles are nearest.
    both = (surface > 0) & (face >= 0)
    codes = meshes.codes[image].cpu().numpy()[there]
    same = both & (codes[face, 0] == surface)
    return {
        'errors': np.abs(drawn - depth)[same],
        'surface': surface[same],
        'alike': same.sum() / max(both.sum(), 1),
        'overlap': int((mask & (bare >= 0)).sum()),
        'union': int((mask | (bare >= 0)).sum()),
    }


def exactness(views: int, rectified: bool, device: torch.device) -> dict[str, float]:
    """Return errors in millimetres and the overlap of the masks over a number of views."""
    config = SimulationConfig(split='test', rectified=rectified)
    simulator = BatchSimulator(config, device)
    results = []
    for number in range(views):
        gbuffer, meshes = simulator.scene([number], 'thermal', 1)
        results.append(compare(gbuffer, meshes, 0))
    errors = 1e3 * np.concatenate([result['errors'] for result in results])
    hands = np.concatenate([result['surface'] for result in results]) < 3
    union = max(sum(result['union'] for result in results), 1)
    return {
        'median_mm': float(np.median(errors)),
        'p99_mm': float(np.percentile(errors, 99)),
        'hands_median_mm': float(np.median(errors[hands])),
        'hands_p99_mm': float(np.percentile(errors[hands], 99)),
        'mask_iou': sum(result['overlap'] for result in results) / union,
    }


def speed(
    work: Callable[[int], Any], frames: int, seconds: float, device: torch.device, ahead: int = 1
) -> float:
    """Return frames a second of ``work(number)``, which renders ``frames`` each time.

    ``ahead`` threads render at a time, as those that prepare batches for a training do.
    """
    with ThreadPoolExecutor(ahead) as pool:
        deque(pool.map(work, range(ahead)), maxlen=0)
        _finish(device)
        began, rounds = time.perf_counter(), 0
        waiting = deque(pool.submit(work, number) for number in range(ahead))
        while time.perf_counter() - began < seconds:
            waiting.popleft().result()
            rounds += 1
            waiting.append(pool.submit(work, ahead + rounds))
        for last in waiting:
            last.result()
        _finish(device)
    return (rounds + ahead) * frames / (time.perf_counter() - began)


def bandwidth(device: torch.device) -> float:
    """Return bytes a second that a large copy reads and writes."""
    source = torch.empty(1 << (28 if device.type == 'cuda' else 26), dtype=torch.uint8)
    source = source.to(device).fill_(1)
    target = torch.empty_like(source)
    rate = speed(lambda _: target.copy_(source), 1, 0.5, device)
    return 2 * source.numel() * rate


def bytes_a_frame(simulator: BatchSimulator, streams: Sequence[str]) -> float:
    """Return the bytes of G-buffers and images of one four-sensor frame."""
    total = 0
    for gbuffer, _ in simulator.geometry([0], streams, 1).values():
        total += sum(value.nbytes for value in vars(gbuffer).values() if torch.is_tensor(value))
    for batch in simulator.clips([0], streams, frames=1).values():
        total += batch.image.nbytes
    return float(total)


def speeds(
    clips: int, seconds: float, device: torch.device, workers: int, ahead: int
) -> dict[str, float]:
    """Return frames a second of G-buffers, of one sensor and of all four, and share of the peak."""
    simulator = BatchSimulator(SimulationConfig(), device, workers=workers)
    frames = 8 * clips

    def numbers(index: int) -> range:
        return range(index * clips, (index + 1) * clips)

    def gbuffers(index: int) -> None:
        for _ in simulator.gbuffers(numbers(index), ('thermal',), 8):
            pass

    results = {
        'gbuffers': speed(gbuffers, frames, seconds, device, ahead),
        'thermal': speed(lambda i: simulator.clips(numbers(i)), frames, seconds, device, ahead),
        'four_sensors': speed(
            lambda i: simulator.clips(numbers(i), MODALITIES), frames, seconds, device, ahead
        ),
    }
    moved = bytes_a_frame(simulator, MODALITIES) * results['four_sensors']
    results['bytes_a_second'] = moved
    results['share_of_peak'] = moved / bandwidth(device)
    simulator.close()
    return results


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; exit code 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    default = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--device', default=default, help='where to render')
    parser.add_argument('--clips', type=int, default=16, help='clips rendered at once')
    parser.add_argument('--seconds', type=float, default=10.0, help='length of each measurement')
    parser.add_argument('--threads', type=int, default=1, help='threads of torch on CPUs')
    parser.add_argument('--workers', type=int, default=0, help='processes that draw the clips')
    parser.add_argument('--ahead', type=int, default=1, help='threads that render')
    parser.add_argument('--views', type=int, default=24, help='images compared with ray casting')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    figures: dict[str, Any] = {'machine': _machine(device), 'threads': options.threads}
    missed = []
    for lens, name in enumerate(('rectified', 'through the lens')):
        exact = exactness(options.views, not lens, device)
        figures[name] = exact
        print(
            f'{name:17} depth error against ray casting: median {exact["median_mm"]:.5f} mm, '
            f'99 % {exact["p99_mm"]:.4f} mm; hands {exact["hands_median_mm"]:.5f} and '
            f'{exact["hands_p99_mm"]:.4f} mm; mask IoU {exact["mask_iou"]:.5f}'
        )
        if exact['median_mm'] > 1e3 * MEDIAN_ERROR[lens]:
            missed.append(f'depth {name}')
        if exact['mask_iou'] < LEAST_OVERLAP[lens]:
            missed.append(f'mask {name}')
    fast = speeds(options.clips, options.seconds, device, options.workers, options.ahead)
    figures['speed'] = fast
    print(
        f'{device.type}, 320x256 and 320x240: {fast["gbuffers"]:,.0f} G-buffers/s, '
        f'{fast["thermal"]:,.0f} thermal images/s, {fast["four_sensors"]:,.0f} four-sensor '
        f'frames/s; at least {fast["bytes_a_second"] / 1e9:.2f} GB/s, '
        f'{100 * fast["share_of_peak"]:.1f} % of a copy'
    )
    if device.type == 'cuda' and fast['four_sensors'] < CUDA_FOUR_SENSORS:
        missed.append(f'four-sensor frames/s (goal {CUDA_FOUR_SENSORS:,.0f})')
    if device.type == 'cpu' and fast['gbuffers'] < CPU_GBUFFERS:
        missed.append(f'G-buffers/s (goal {CPU_GBUFFERS:,.0f})')
    if missed:
        print('missed: ' + ', '.join(missed))
    if options.json:
        figures['missed'] = missed
        options.json.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')
    return 1 if missed else 0


def _finish(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else platform.machine()
    return f'{name}, Python {platform.python_version()}, torch {torch.__version__}'


if __name__ == '__main__':
    sys.exit(main())

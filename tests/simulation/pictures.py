"""A G-buffer made by hand: two round hands with arms and a thing on a table before a wall."""

import torch

from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_draws import draw_environments
from hand_pose_ros.simulation.batch_environment import Environment
from hand_pose_ros.simulation.gbuffer import ATTRIBUTES, MATERIAL, GBuffer

HEIGHT, WIDTH = 60, 80
CLIPS, FRAMES = 3, 2
HAND, TABLE, WALL, THING = 0.45, 0.9, 2.0, 0.7  # metres from the camera


def gbuffer(clips: int = CLIPS, frames: int = FRAMES, hand: float = HAND) -> GBuffer:
    """Return clips that all show the same; hands move a pixel a frame."""
    count = clips * frames
    rows = torch.arange(HEIGHT).view(1, -1, 1).expand(count, -1, WIDTH)
    columns = torch.arange(WIDTH).view(1, 1, -1).expand(count, HEIGHT, -1)
    step = (torch.arange(count) % frames).view(-1, 1, 1)
    depth = torch.full((count, HEIGHT, WIDTH), WALL)
    surface = torch.zeros(count, HEIGHT, WIDTH, dtype=torch.uint8)
    material = torch.full_like(surface, MATERIAL['wall'])
    item = torch.zeros_like(surface)
    attributes = torch.zeros(count, HEIGHT, WIDTH, len(ATTRIBUTES))
    attributes[..., -2] = rows / 50
    attributes[..., -1] = columns / 50
    normal = torch.zeros(count, HEIGHT, WIDTH, 3)
    normal[..., 2] = -1
    facing = torch.ones(count, HEIGHT, WIDTH)
    table = rows > 25
    material[table], depth[table] = MATERIAL['table'], TABLE
    thing = (rows > 40) & (rows < 55) & (columns > 34) & (columns < 46)
    material[thing], depth[thing] = MATERIAL['mug'], THING
    surface[thing], item[thing] = 5, 1
    for side, centre in enumerate((20, 60)):
        away = torch.hypot(rows - 30.0, columns - (centre + step) * 1.0)
        arm = (rows > 34) & ((columns - centre - step).abs() < 5)
        surface[arm], material[arm] = 3 + side, MATERIAL['sleeve']
        depth[arm] = hand
        facing[arm] = 0.8
        u = -0.01 * (rows - 34.0)
        attributes[..., ATTRIBUTES.index('u')][arm] = u[arm]
        attributes[..., ATTRIBUTES.index('sleeve')][arm] = 1.0
        palm = away < 10
        surface[palm], material[palm] = 1 + side, MATERIAL['skin']
        depth[palm] = hand
        attributes[palm] = 0
        facing[palm] = (1 - (away[palm] / 10) ** 2).clamp(min=0).sqrt()
        finger = ((30.0 - rows) / 10).clamp(0, 1)
        attributes[..., ATTRIBUTES.index('finger')][palm] = finger[palm]
        attributes[..., ATTRIBUTES.index('u')][palm] = 0.15 * finger[palm]
    K = torch.tensor([[60.0, 0, 40], [0, 60, 30], [0, 0, 1]])
    rays = torch.stack([(columns[:1] - 40) / 60, (rows[:1] - 30) / 60], -1)
    return GBuffer(
        depth=depth, surface=surface, hand_mask=torch.where(surface <= 2, surface, 0),
        material=material, item=item, normal=normal, facing=facing, attributes=attributes,
        rays=rays, intrinsics=K.expand(count, 3, 3), T_scene_cam=_pose().expand(count, 4, 4),
        frames=frames,
    )  # fmt: skip


def environment(setting: str = 'office', clips: int = CLIPS, first: int = 0) -> Environment:
    """Return drawn environments."""
    return draw_environments(SimulationConfig(setting=setting), range(first, first + clips))


def _pose() -> torch.Tensor:
    """A camera that looks forward and 30 degrees down."""
    pose = torch.eye(4)
    pose[:3, :3] = torch.tensor([[0.0, -0.5, 0.866], [-1, 0, 0], [0, -0.866, -0.5]])
    return pose

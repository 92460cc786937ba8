"""Depth images of a hand made of balls, seen exactly: what the DenseReg tests look at."""

import torch

WIDTH, HEIGHT = 320, 240
K = torch.tensor([[240.0, 0.0, 160.0], [0.0, 240.0, 120.0], [0.0, 0.0, 1.0]])
RADIUS = 0.009


def hand(seed=0, joints=21, centre=(0.03, -0.02, 0.45), extent=0.07):
    """Random joints (1, J, 3) around a centre, metres."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.tensor([1.0, 1.0, 0.4]) * extent
    points = (torch.rand(joints, 3, generator=generator) * 2 - 1) * spread
    return (points + torch.tensor(centre))[None]


def depth_of(joints, intrinsics=K, radius=RADIUS, background=0.0):
    """Depth (N, 1, H, W) of a ball around every joint; 0, or a wall, behind them."""
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing='ij')
    pixels = torch.stack([u, v, torch.ones_like(u)]).float().flatten(1)
    rays = torch.linalg.inv(intrinsics) @ pixels  # (3, P), z = 1
    square = rays.square().sum(dim=0)
    images = []
    for points in joints:
        along = points @ rays / square  # depth of the point of each ray nearest to each centre
        miss = points.square().sum(dim=1, keepdim=True) - along.square() * square
        depth = along - ((radius**2 - miss).clamp(min=0) / square).sqrt()
        depth = depth.masked_fill(miss > radius**2, torch.inf).amin(dim=0)
        images.append(depth)
    image = torch.stack(images).reshape(-1, 1, HEIGHT, WIDTH)
    return image.masked_fill(torch.isinf(image), background)


def project(points, intrinsics=K):
    """Pixels (N, J, 2) of points (N, J, 3)."""
    pixels = points @ intrinsics.mT
    return pixels[..., :2] / pixels[..., 2:]


def cameras(count=1):
    return K.expand(count, 3, 3)

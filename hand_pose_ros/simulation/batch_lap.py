"""The wearer's lap: warm thighs under the near edge of the table, as the head rig sees them."""

from dataclasses import replace

import torch
from torch import Tensor

from hand_pose_ros.simulation.batch_device import worth_while
from hand_pose_ros.simulation.batch_environment import LAP, Person
from hand_pose_ros.simulation.batch_surfaces import COARSE, along, finer, per_frame
from hand_pose_ros.simulation.gbuffer import MATERIAL, GBuffer

_TOP = 3  # the lap is looked for below one third of the image
_FLOOR = 0.35  # what shows between the legs is this much farther, metres


def with_lap(gbuffer: GBuffer, person: Person) -> GBuffer:
    """Put the wearer's thighs into the background of those clips that show them.

    The thighs are two bands on a level plane, rounded towards their outlines by what ``facing``
    says; between them and the table's near edge the floor shows. Hands, arms and things stay.
    """
    if not worth_while(person.lap[:, 0]):
        return gbuffer
    height, width = gbuffer.depth.shape[1], gbuffer.depth.shape[2]
    top = height // _TOP // COARSE * COARSE
    fields = _outlines(gbuffer, person, top)
    in_view = (fields[0] > 0).unflatten(0, (-1, gbuffer.frames)).flatten(1).any(1)
    shows = per_frame(in_view & (person.lap[:, 0] > 0), gbuffer)
    if not worth_while(shows):
        return gbuffer
    size = (height - top, width)
    inside, away, forward = finer(fields.flatten(0, 1), size).unflatten(0, (3, -1))
    lower = slice(top, None)
    before_edge = forward * gbuffer.depth[:, lower] < per_frame(person.lap[:, 4], gbuffer)
    surface, material = gbuffer.surface[:, lower], gbuffer.material[:, lower]
    on_table = (material == MATERIAL['table']) | (material == MATERIAL['flat'])
    free = (surface == 0) & before_edge & shows
    leg = (inside > 0) & (surface == 0) & shows & (~on_table | before_edge)
    gap = free & on_table & ~leg
    depth, facing = gbuffer.depth.clone(), gbuffer.facing.clone()
    material, item = gbuffer.material.clone(), gbuffer.item.clone()
    depth[:, lower] = torch.where(leg, away, depth[:, lower].add_(gap, alpha=_FLOOR))
    radius = per_frame(person.lap[:, 3], gbuffer)
    roundness = (inside / radius).clamp_(0.02, 1).sqrt_()
    facing[:, lower] = torch.where(leg, roundness, facing[:, lower])
    material[:, lower].masked_fill_(leg, LAP).masked_fill_(gap, MATERIAL['floor'])
    item[:, lower].masked_fill_(leg | gap, 0)
    return replace(gbuffer, depth=depth, facing=facing, material=material, item=item)


def _outlines(gbuffer: GBuffer, person: Person, top: int) -> Tensor:
    """Return coarse fields (3, N, h, w) below a row.

    They are metres inside the thighs' outline (negative outside), depth of the thighs' plane,
    and metres that a ray goes forward in the scene per metre of depth.
    """
    rays = gbuffer.rays[:, top::COARSE, ::COARSE]
    _, drop, spread, radius, _ = (per_frame(value, gbuffer) for value in person.lap.T)
    down = along(gbuffer, rays, 2).clamp(max=-1e-3)
    away = (-drop / down).clamp(0, 5)
    forward = along(gbuffer, rays, 0)
    x = away * forward
    y = (away * along(gbuffer, rays, 1)).abs()
    knee = 0.42 + 0.5 * spread
    across = (y - 0.06 - spread * (x / knee).clamp(0, 1)).abs()
    beyond = (x - knee + radius).clamp(min=0)  # the knees are round
    inside = radius * (1.25 - 0.3 * x) - torch.hypot(across, beyond)
    inside = torch.maximum(inside, 0.16 - (x * x + 0.3 * y * y).sqrt())
    return torch.stack([inside, away, forward])

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
    rays = gbuffer.rays[:, top::COARSE, ::COARSE]
    laps = person.lap.repeat_interleave(gbuffer.frames, 0)
    fields = _outlines(rays, gbuffer.T_scene_cam, laps)
    in_view = (fields[0] > 0).unflatten(0, (-1, gbuffer.frames)).flatten(1).any(1)
    shows = per_frame(in_view & (person.lap[:, 0] > 0), gbuffer)
    if not worth_while(shows):
        return gbuffer
    inside, away, forward = finer(fields.flatten(0, 1), (height - top, width)).unflatten(0, (3, -1))
    depth, facing, material, item = _worn(
        gbuffer.depth, gbuffer.facing, gbuffer.material, gbuffer.item, gbuffer.surface,
        inside, away, forward, laps, shows,
    )  # fmt: skip
    return replace(gbuffer, depth=depth, facing=facing, material=material, item=item)


def _worn(
    depth: Tensor, facing: Tensor, material: Tensor, item: Tensor, surface: Tensor,
    inside: Tensor, away: Tensor, forward: Tensor, laps: Tensor, shows: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return depth, facing, material and item (N, H, W) with the thighs in the lower rows.

    Args:
        depth, facing, material, item, surface: of the G-buffer.
        inside, away, forward: (N, h, W) see ``_outlines``, of the lower rows.
        laps: (N, 5) see ``Person``.
        shows: (N, 1, 1) which images show thighs.
    """
    top = depth.shape[1] - inside.shape[1]
    deep, made_of = depth[:, top:], material[:, top:]
    bare = (surface[:, top:] == 0) & shows
    before_edge = forward * deep < laps[:, 4, None, None]
    on_table = (made_of == MATERIAL['table']) | (made_of == MATERIAL['flat'])
    leg = (inside > 0) & bare & (~on_table | before_edge)
    gap = bare & before_edge & on_table & ~leg
    roundness = (inside / laps[:, 3, None, None]).clamp(0.02, 1).sqrt()
    lower = (
        torch.where(leg, away, torch.where(gap, deep + _FLOOR, deep)),
        torch.where(leg, roundness, facing[:, top:]),
        torch.where(leg, LAP, torch.where(gap, MATERIAL['floor'], made_of)).byte(),
        torch.where(leg | gap, 0, item[:, top:]),
    )
    upper = depth, facing, material, item
    worn = [torch.cat([old[:, :top], new], 1) for old, new in zip(upper, lower, strict=True)]
    return worn[0], worn[1], worn[2], worn[3]


def _outlines(rays: Tensor, T_scene_cam: Tensor, laps: Tensor) -> Tensor:
    """Return coarse fields (3, N, h, w) of rays (N or 1, h, w, 2), laps (N, 5).

    They are metres inside the thighs' outline (negative outside), depth of the thighs' plane,
    and metres that a ray goes forward in the scene per metre of depth.
    """
    drop, spread, radius = (laps[:, k, None, None] for k in (1, 2, 3))
    down = along(T_scene_cam, rays, 2).clamp(max=-1e-3)
    away = (-drop / down).clamp(0, 5)
    forward = along(T_scene_cam, rays, 0)
    x = away * forward
    y = (away * along(T_scene_cam, rays, 1)).abs()
    knee = 0.42 + 0.5 * spread
    across = (y - 0.06 - spread * (x / knee).clamp(0, 1)).abs()
    beyond = (x - knee + radius).clamp(min=0)  # the knees are round
    inside = radius * (1.25 - 0.3 * x) - torch.hypot(across, beyond)
    inside = torch.maximum(inside, 0.16 - (x * x + 0.3 * y * y).sqrt())
    return torch.stack([inside, away, forward])

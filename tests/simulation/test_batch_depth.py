"""Batched depth camera: what is measured, what not, and what the sun does to it."""

from dataclasses import replace

import pytest
import torch

from hand_pose_ros.simulation.batch_depth import depth_image
from hand_pose_ros.simulation.batch_sensors import render
from tests.simulation import pictures


def steady(environment, **depth):
    """The same clips without sun, legs, dropout and coarse steps, and some values set."""
    zeros = torch.zeros(len(environment))
    values = {'dropout': zeros, 'step': zeros, 'noise': zeros + 0.004, **depth}
    lap = environment.person.lap * 0
    light = replace(
        environment.light, sun=zeros, nir_surfaces=environment.light.nir_surfaces * 0 + 0.6,
        nir_items=environment.light.nir_items * 0 + 0.6,
    )  # fmt: skip
    return replace(
        environment, depth=replace(environment.depth, **values), light=light,
        person=replace(environment.person, lap=lap),
    )  # fmt: skip


def sunny(environment, sun):
    light = replace(environment.light, sun=torch.full_like(environment.light.sun, sun))
    return replace(environment, light=light)


def flat(gbuffer, metres, facing=1.0):
    """The same images of a wall alone at one distance."""
    return replace(
        gbuffer, depth=torch.full_like(gbuffer.depth, metres),
        facing=torch.full_like(gbuffer.facing, facing),
        surface=torch.zeros_like(gbuffer.surface), item=torch.zeros_like(gbuffer.item),
    )  # fmt: skip


def test_depth_is_metres_in_whole_millimetres_with_zero_for_none():
    image = render('depth', pictures.gbuffer(), pictures.environment())
    assert image.shape == (6, 1, pictures.HEIGHT, pictures.WIDTH)
    assert image.dtype == torch.float32 and image.min() == 0
    torch.testing.assert_close((image * 1000).round() / 1000, image, atol=1e-6, rtol=0)
    middle = image[:, 0, 30, 20]
    assert middle[middle > 0].median() == pytest.approx(pictures.HAND, abs=0.01)


def test_noise_grows_with_the_square_of_distance():
    environment = steady(pictures.environment())
    spread = [
        depth_image(flat(pictures.gbuffer(), metres), environment)[0].std()
        for metres in (0.6, 1.2, 2.4)
    ]
    assert spread[1] / spread[0] == pytest.approx(4, rel=0.3)
    assert spread[2] / spread[1] == pytest.approx(4, rel=0.3)


def test_coarse_steps_leave_few_values():
    environment = steady(pictures.environment(), step=torch.full((3,), 0.01))
    values = depth_image(flat(pictures.gbuffer(), 1.0), environment).unique()
    steps = values[values > 0].diff()
    assert steps.min() > 0.008


def test_holes_grow_with_the_angle():
    environment = steady(pictures.environment())
    lost = [
        (depth_image(flat(pictures.gbuffer(), 0.6, facing), environment) == 0).float().mean()
        for facing in (0.9, 0.12, 0.02)
    ]
    assert lost[0] < 0.01 and lost[0] < lost[1] < lost[2] and lost[2] > 0.9


def test_dark_things_far_away_are_not_measured():
    environment = steady(pictures.environment())
    dark = replace(environment.light, nir_surfaces=environment.light.nir_surfaces * 0 + 0.03)
    gbuffer = flat(pictures.gbuffer(), 2.0)
    assert (depth_image(gbuffer, environment) > 0).float().mean() > 0.98
    assert (depth_image(gbuffer, replace(environment, light=dark)) == 0).float().mean() > 0.98


def test_the_sun_adds_noise_and_holes():
    environment, gbuffer = pictures.environment('office'), pictures.gbuffer()
    lost, error = [], []
    for sun in (0.0, 0.5, 1.0):
        image = depth_image(gbuffer, sunny(environment, sun))[:, 0]
        palms = (gbuffer.surface > 0) & (gbuffer.surface < 3) & (gbuffer.facing > 0.6)
        lost.append((image == 0).float().mean())
        error.append((image - gbuffer.depth)[palms & (image > 0)].abs().median())
    assert lost[0] < lost[1] < lost[2]
    assert error[0] <= error[1] < error[2]


def test_darkness_is_no_trouble():
    gbuffer = pictures.gbuffer()
    office, dark = (
        depth_image(gbuffer, steady(pictures.environment(name))) for name in ('office', 'darkness')
    )
    assert torch.equal(office, dark)


def test_edges_have_holes_and_values_between_both_sides():
    gbuffer = pictures.gbuffer()
    environment = steady(pictures.environment(), mixed=torch.full((3,), 0.3))
    image = depth_image(gbuffer, environment)[:, 0]
    gap = (image > pictures.HAND + 0.05) & (image < pictures.THING - 0.05)
    assert gap.any()
    inner = (gbuffer.facing == 1) & (gbuffer.surface == 0)
    inner[:, 20:] = False
    assert not gap[inner].any()
    holes = image == 0
    assert holes.float().mean() > 0.01


def test_a_clip_looks_the_same_in_any_batch_and_again():
    together = render('depth', pictures.gbuffer(), pictures.environment())
    assert torch.equal(together, render('depth', pictures.gbuffer(), pictures.environment()))
    alone = render('depth', pictures.gbuffer(clips=1), pictures.environment(clips=1, first=1))
    assert torch.equal(together[2:4], alone)


def test_noise_changes_with_every_frame():
    image = depth_image(flat(pictures.gbuffer(), 0.8), steady(pictures.environment()))
    assert not torch.equal(image[0], image[1])

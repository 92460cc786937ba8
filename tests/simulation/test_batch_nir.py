"""Batched near-infrared camera: its lamp, pale skin, and the sun that floods it."""

from dataclasses import replace

import pytest
import torch

from hand_pose_ros.simulation.batch_nir import nir_image, reflectance
from hand_pose_ros.simulation.batch_sensors import render
from tests.simulation import pictures


def palms(gbuffer):
    return (gbuffer.surface > 0) & (gbuffer.surface < 3) & (gbuffer.facing > 0.8)


def test_images_are_eight_bit():
    image = render('nir', pictures.gbuffer(), pictures.environment())
    assert image.shape == (6, 1, pictures.HEIGHT, pictures.WIDTH)
    torch.testing.assert_close((image * 255).round() / 255, image)


def test_the_room_light_makes_no_difference():
    gbuffer = pictures.gbuffer()
    environment = pictures.environment('office')
    no_sun = torch.zeros(3)
    light = replace(environment.light, sun=no_sun)
    dim = replace(light, light=light.light * 1e-3)
    lit, dark = (nir_image(gbuffer, replace(environment, light=one)) for one in (light, dim))
    assert torch.equal(lit, dark)


def test_near_is_brighter_than_far():
    environment = pictures.environment()
    near, far = (nir_image(pictures.gbuffer(hand=metres), environment) for metres in (0.3, 0.6))
    mask = palms(pictures.gbuffer())[:, None]
    assert near[mask].mean() > far[mask].mean() + 0.1


def test_all_skin_is_pale_and_gloves_are_not():
    gbuffer = pictures.gbuffer()
    environment = pictures.environment()
    skin = reflectance(gbuffer, environment)[palms(gbuffer)]
    assert skin.min() > 0.45
    person = replace(environment.person, glove=torch.ones(3))
    light = replace(environment.light, nir_glove=torch.full((3,), 0.2))
    gloved = reflectance(gbuffer, replace(environment, person=person, light=light))
    assert gloved[palms(gbuffer)].max() == pytest.approx(0.2, abs=0.01)


def test_the_sun_floods_the_image_and_takes_the_contrast():
    gbuffer = pictures.gbuffer(clips=8)
    office, sun = (
        render('nir', gbuffer, pictures.environment(name, clips=8))
        for name in ('office', 'sun_glare')
    )
    assert sun.mean() > office.mean() + 0.2
    mask = palms(gbuffer)[:, None]
    table = (gbuffer.material == 3)[:, None] & (gbuffer.surface == 0)[:, None]
    contrast = [(image[mask].mean() - image[table].mean()).abs() for image in (office, sun)]
    assert contrast[1] < 0.7 * contrast[0]


def test_a_clip_looks_the_same_in_any_batch_and_again():
    together = render('nir', pictures.gbuffer(), pictures.environment())
    alone = render('nir', pictures.gbuffer(clips=1), pictures.environment(clips=1, first=1))
    assert torch.equal(together[2:4], alone)

"""Batched colour camera: light, skin, gloves, noise."""

from dataclasses import replace

import pytest
import torch

from hand_pose_ros.simulation.batch_rgb import rgb_image
from hand_pose_ros.simulation.batch_sensors import render
from tests.simulation import pictures


def clear(environment, **light):
    """The same clips with a noiseless, neutral camera, and some values set."""
    zeros = torch.zeros(len(environment))
    changed = replace(
        environment.light,
        **{'noise': zeros, 'veil': zeros, 'sun': zeros, 'motion': zeros[:, None].expand(-1, 2),
           'saturation': zeros + 1, 'contrast': zeros + 1, 'sheen': zeros, **light},
    )  # fmt: skip
    return replace(environment, light=changed)


def palms(gbuffer):
    return (gbuffer.surface > 0) & (gbuffer.surface < 3) & (gbuffer.facing > 0.8)


def test_images_are_eight_bit_colour():
    image = render('rgb', pictures.gbuffer(), pictures.environment())
    assert image.shape == (6, 3, pictures.HEIGHT, pictures.WIDTH) and image.dtype == torch.float32
    assert image.min() >= 0 and image.max() <= 1
    torch.testing.assert_close((image * 255).round() / 255, image)


def test_nothing_is_left_of_the_hands_in_the_dark():
    gbuffer = pictures.gbuffer()
    office, dark = (
        render('rgb', gbuffer, pictures.environment(name)) for name in ('office', 'darkness')
    )
    assert dark.mean() < 0.1 < office.mean()
    here = palms(gbuffer)[:, None].expand_as(dark)
    wall = torch.zeros_like(here)
    wall[:, :, :10] = True
    contrast = (dark[here].mean() - dark[wall].mean()).abs()
    assert contrast < 0.03 < (office[here].mean() - office[wall].mean()).abs()


def test_skin_has_the_colour_it_was_drawn_with():
    gbuffer = pictures.gbuffer(clips=2)
    environment = clear(pictures.environment(clips=2))
    skin = torch.tensor([[0.7, 0.4, 0.3], [0.10, 0.05, 0.03]])
    person = replace(environment.person, skin=skin, pale=skin)
    light = replace(environment.light, white=torch.ones(2, 3), exposure=torch.ones(2))
    image = rgb_image(gbuffer, replace(environment, person=person, light=light))
    colours = image.permute(0, 2, 3, 1)[palms(gbuffer)]
    assert (colours[:, 0] > colours[:, 1]).all() and (colours[:, 1] >= colours[:, 2]).all()
    pale, dark = (image[clip * 2, :, 30, 20].mean() for clip in (0, 1))
    assert pale > dark + 0.1


def test_gloves_hide_the_skin():
    gbuffer = pictures.gbuffer(clips=1)
    environment = clear(pictures.environment(clips=1))
    green = torch.tensor([[0.02, 0.5, 0.05]])
    person = replace(environment.person, glove=torch.ones(1), glove_colour=green)
    image = rgb_image(gbuffer, replace(environment, person=person))
    colours = image.permute(0, 2, 3, 1)[palms(gbuffer)]
    assert (colours[:, 1] > colours[:, 0] + 0.2).all()


@pytest.mark.parametrize('name', ['sheen', 'ambient'])
def test_light_that_is_added_is_seen(name):
    gbuffer = pictures.gbuffer()
    environment = pictures.environment()
    values = [torch.full((3,), value) for value in (0.0, 0.5)]
    less, more = (rgb_image(gbuffer, clear(environment, **{name: value})) for value in values)
    assert not torch.equal(less, more)


def test_sun_glare_saturates_what_the_office_does_not():
    gbuffer = pictures.gbuffer(clips=12)
    office, sun = (
        render('rgb', gbuffer, pictures.environment(name, clips=12))
        for name in ('office', 'sun_glare')
    )
    assert (sun > 0.99).float().mean() > 2 * (office > 0.99).float().mean() + 0.01


def test_a_clip_looks_the_same_in_any_batch_and_again():
    together = render('rgb', pictures.gbuffer(), pictures.environment())
    assert torch.equal(together, render('rgb', pictures.gbuffer(), pictures.environment()))
    alone = render('rgb', pictures.gbuffer(clips=1), pictures.environment(clips=1, first=1))
    assert torch.equal(together[2:4], alone)


def test_all_clips_at_once_are_the_same_as_one_by_one():
    environment = pictures.environment()
    at_once = rgb_image(pictures.gbuffer(), environment)
    for clip in range(3):
        alone = rgb_image(pictures.gbuffer(clips=1), environment.clip(clip))
        different = (at_once[2 * clip : 2 * clip + 2] - alone).abs()
        assert different.max() < 1.01 / 255 and (different > 0).float().mean() < 0.01


def test_a_table_keeps_its_pattern_while_noise_changes():
    still = pictures.gbuffer()
    environment = pictures.environment()
    image = rgb_image(still, environment).view(3, 2, 3, *still.depth.shape[1:])
    lower = image[:, :, :, 50:, 5:12]  # table that the hands do not reach
    assert not torch.equal(lower[:, 0], lower[:, 1])
    difference = (lower[:, 0] - lower[:, 1]).std()
    assert difference < 0.08

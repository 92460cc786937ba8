"""Batched thermal camera: heat decides, light does not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.rig.thermal import ThermalValues, celsius
from hand_pose_ros.simulation.batch_sensors import render
from hand_pose_ros.simulation.batch_thermal import temperatures, thermal_counts
from tests.simulation import pictures


def quiet(environment, **heat):
    """The same clips with a noiseless camera and plain hands, and some values set."""
    names = ('netd', 'fixed_pattern', 'columns', 'rows', 'vignette', 'drift', 'lag', 'halo',
             'waves', 'texture', 'mottle', 'palm', 'crease', 'reflection', 'prints')  # fmt: skip
    values = {name: torch.zeros_like(getattr(environment.heat, name)) for name in names}
    patches = environment.heat.patches.clone()
    patches[..., 4] = 0
    heat = {name: torch.as_tensor(value) for name, value in heat.items()}
    changed = replace(environment.heat, **{**values, 'patches': patches, **heat})
    lap = torch.zeros_like(environment.person.lap) + 0.1
    lap[:, 0] = 0
    watch = environment.person.watch.clone()
    watch[:, 0] = -1
    person = replace(environment.person, lap=lap, watch=watch)
    return replace(environment, heat=changed, person=person)


def regions(gbuffer):
    """Masks of the inner parts of hands, table and wall."""
    rows = torch.arange(pictures.HEIGHT).view(1, -1, 1)
    palms = (gbuffer.surface > 0) & (gbuffer.surface < 3) & (gbuffer.facing > 0.9)
    table = (gbuffer.material == 3) & (gbuffer.item == 0) & (rows > 50) & (gbuffer.surface == 0)
    return palms, table, rows < 10


def test_images_are_eight_bit_and_of_the_right_shape():
    image = render('thermal', pictures.gbuffer(), pictures.environment())
    assert image.shape == (6, 1, pictures.HEIGHT, pictures.WIDTH)
    assert image.dtype == torch.float32 and image.min() >= 0 and image.max() <= 1
    torch.testing.assert_close((image * 255).round() / 255, image)


def test_the_light_makes_no_difference_to_a_single_bit():
    gbuffer = pictures.gbuffer()
    office, dark = (
        render('thermal', gbuffer, pictures.environment(name)) for name in ('office', 'darkness')
    )
    assert torch.equal(office, dark)


def test_skin_is_as_warm_as_it_was_drawn():
    gbuffer = pictures.gbuffer()
    environment = quiet(pictures.environment(), blur=torch.full((3,), 0.2))
    degrees = temperatures(gbuffer, environment)
    middle = degrees[0, 30, 20]  # of the left hand, finger 0, seen from straight above
    core, ambient = environment.heat.core[0, 0], environment.heat.ambient[0]
    assert middle == pytest.approx(float(ambient + 0.98 * (core - ambient)), abs=0.05)


def test_finger_tips_follow_their_own_temperature():
    gbuffer = pictures.gbuffer()
    environment = pictures.environment()
    core = torch.full((3, 2), 34.0)
    cold, warm = (
        temperatures(
            gbuffer,
            quiet(environment, core=core, tip=torch.full((3, 2), tip), tip_power=torch.ones(3)),
        )
        for tip in (26.0, 35.0)
    )
    tips = (slice(None), slice(22, 24), slice(18, 22))
    assert (cold[tips] < warm[tips] - 3).all()
    assert torch.allclose(cold[:, 32, 20], warm[:, 32, 20], atol=0.2)


@pytest.mark.parametrize('what', ['items', 'surfaces'])
def test_a_hotter_thing_is_brighter(what):
    gbuffer = pictures.gbuffer()
    environment = quiet(
        pictures.environment(), window=torch.tensor([[1.0, 5, 70]] * 3), plateau=torch.zeros(3)
    )
    values = getattr(environment.heat, what)
    hotter = quiet(environment, **{what: values + 12}, window=environment.heat.window)
    cool, hot = (render('thermal', gbuffer, e)[:, 0] for e in (environment, hotter))
    place = gbuffer.item == 1 if what == 'items' else regions(gbuffer)[1]
    assert (hot[place] > cool[place]).float().mean() > 0.95


def test_grazing_skin_seems_cooler():
    gbuffer = pictures.gbuffer()
    environment = quiet(pictures.environment(), tip=pictures.environment().heat.core)
    straight = temperatures(replace(gbuffer, facing=torch.ones_like(gbuffer.facing)), environment)
    grazing = temperatures(
        replace(gbuffer, facing=torch.full_like(gbuffer.facing, 0.1)), environment
    )
    palms = regions(gbuffer)[0]
    assert (grazing[palms] < straight[palms] - 1).all()


def test_gloves_let_half_the_warmth_through():
    gbuffer = pictures.gbuffer()
    environment = quiet(pictures.environment())
    worn = replace(environment, person=replace(environment.person, glove=torch.ones(3)))
    bare, gloved = (temperatures(gbuffer, e) for e in (environment, worn))
    palms = regions(gbuffer)[0]
    ambient = environment.heat.ambient.repeat_interleave(2)[:, None, None].expand_as(bare)
    assert (gloved[palms] < bare[palms]).all() and (gloved[palms] > ambient[palms]).all()


def test_what_belongs_to_a_clip_stays_and_noise_changes():
    still = pictures.gbuffer()
    first = {
        name: value.repeat_interleave(2, 0)
        for name in ('depth', 'surface', 'material', 'item', 'facing', 'attributes', 'hand_mask')
        for value in [getattr(still, name)[::2]]
    }
    still = replace(still, **first)
    degrees = temperatures(still, pictures.environment()).view(3, 2, *still.depth.shape[1:])
    change = degrees[:, 1] - degrees[:, 0]
    netd = pictures.environment().heat.netd
    assert (change.std((1, 2)) / (netd * 2**0.5)).sub(1).abs().max() < 0.1


def test_a_clip_looks_the_same_in_any_batch_and_again():
    gbuffer, environment = pictures.gbuffer(), pictures.environment()
    together = render('thermal', gbuffer, environment)
    assert torch.equal(together, render('thermal', gbuffer, environment))
    alone = render('thermal', pictures.gbuffer(clips=1), pictures.environment(clips=1, first=2))
    assert torch.equal(together[4:], alone)


def test_all_clips_at_once_are_the_same_as_one_by_one():
    gbuffer, environment = pictures.gbuffer(), pictures.environment()
    at_once = temperatures(gbuffer, environment)
    for clip in range(3):
        alone = temperatures(pictures.gbuffer(clips=1), environment.clip(clip))
        torch.testing.assert_close(at_once[2 * clip : 2 * clip + 2], alone, atol=2e-4, rtol=0)


def test_a_picture_without_arms():
    gbuffer = pictures.gbuffer()
    empty = replace(
        gbuffer, surface=torch.zeros_like(gbuffer.surface), hand_mask=torch.zeros_like(gbuffer.item)
    )
    assert torch.isfinite(render('thermal', empty, pictures.environment())).all()


@pytest.mark.parametrize(
    'values',
    [
        ThermalValues(kind='tlinear', gain=0.04),
        ThermalValues(kind='tlinear', gain=0.01, white_hot=False),
        ThermalValues(kind='planck', R1=21106.77, R2=0.012545258, B=1501.0, F=1.0, O=-7340.0),
    ],
    ids=['tlinear', 'black-hot', 'planck'],
)
def test_counts_mean_the_temperatures(values):
    gbuffer, environment = pictures.gbuffer(), pictures.environment()
    counts = thermal_counts(gbuffer, environment, values)
    assert counts.dtype == np.uint16
    degrees = temperatures(gbuffer, environment).numpy()
    upright = counts if values.white_hot else 65535 - counts
    np.testing.assert_allclose(celsius(upright, values), degrees, atol=0.03)


def test_counts_without_temperature_keep_the_order():
    counts = thermal_counts(pictures.gbuffer(), pictures.environment(), ThermalValues())
    degrees = temperatures(pictures.gbuffer(), pictures.environment()).numpy()
    assert np.corrcoef(counts.ravel(), degrees.ravel())[0, 1] > 0.999


def test_black_hot_shows_warm_as_dark():
    gbuffer = pictures.gbuffer()
    environment = pictures.environment()
    turned = replace(environment, heat=replace(environment.heat, black_hot=torch.ones(3)))
    white, black = (render('thermal', gbuffer, e) for e in (environment, turned))
    for one, other in zip(white, black, strict=True):
        assert np.corrcoef(one.numpy().ravel(), other.numpy().ravel())[0, 1] < -0.99

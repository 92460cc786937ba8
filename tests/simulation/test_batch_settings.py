"""Settings and environments: every clip from its own number, light apart from heat."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from hand_pose_ros.simulation import batch_draws
from hand_pose_ros.simulation.batch_config import SETTINGS, SimulationConfig
from hand_pose_ros.simulation.batch_draws import clip_preset, draw_environments
from hand_pose_ros.simulation.batch_environment import Heat, Light
from hand_pose_ros.simulation.settings import MIXED_WEIGHTS, PRESETS


def test_every_setting_has_a_preset_and_a_weight():
    assert set(PRESETS) == set(SETTINGS) - {'mixed'} == set(MIXED_WEIGHTS)
    assert sum(MIXED_WEIGHTS.values()) == pytest.approx(1)
    assert max(MIXED_WEIGHTS, key=MIXED_WEIGHTS.__getitem__) == 'office'


def test_mixed_draws_all_settings_about_as_often_as_their_weights():
    config = SimulationConfig(setting='mixed')
    names = [clip_preset(config, number).name for number in range(400)]
    for name, weight in MIXED_WEIGHTS.items():
        assert names.count(name) / 400 == pytest.approx(weight, abs=0.08)


@pytest.mark.parametrize('part', ['person', 'heat', 'depth'])
def test_darkness_changes_only_light(part):
    office, dark = (
        getattr(draw_environments(SimulationConfig(setting=name), range(5)), part)
        for name in ('office', 'darkness')
    )
    for field in fields(office):
        assert torch.equal(getattr(office, field.name), getattr(dark, field.name))


def test_darkness_is_dark_and_sun_glare_is_sunny():
    draw = {
        name: draw_environments(SimulationConfig(setting=name), range(20)).light for name in PRESETS
    }
    assert draw['darkness'].light.max() < 0.01 * draw['office'].light.min()
    assert draw['sun_glare'].sun.min() > 2 * draw['kitchen'].sun.max()
    assert draw['darkness'].sun.max() == 0


def test_a_clip_depends_on_its_number_alone():
    config = SimulationConfig()
    together = draw_environments(config, [4, 9, 2])
    alone = draw_environments(config, [9])
    assert together.settings[1] == alone.settings[0] and together.seeds[1] == alone.seeds[0]
    picked = together.clip(1)
    for part in ('person', 'heat', 'light', 'depth'):
        one, other = getattr(picked, part), getattr(alone, part)
        for field in fields(one):
            assert torch.equal(getattr(one, field.name), getattr(other, field.name)), field.name


@pytest.mark.parametrize('change', [{'seed': 1}, {'split': 'val'}, {'split': 'test'}])
def test_seed_and_split_change_everything(change):
    config = SimulationConfig(setting='office')
    one, other = (draw_environments(c, [0]) for c in (config, replace(config, **change)))
    assert one.seeds != other.seeds
    assert not torch.equal(one.heat.core, other.heat.core)
    assert not torch.equal(one.light.surfaces, other.light.surfaces)
    assert not torch.equal(one.person.skin, other.person.skin)


def test_every_number_is_float32_or_a_whole_number_and_finite():
    environment = draw_environments(SimulationConfig(), range(30))
    for part in (environment.person, environment.heat, environment.light, environment.depth):
        for field in fields(part):
            value = getattr(part, field.name)
            assert value.dtype in (torch.float32, torch.int64), field.name
            assert len(value) == 30 and torch.isfinite(value).all(), field.name


def test_people_differ_over_the_range_that_people_have():
    environment = draw_environments(SimulationConfig(setting='office'), range(200))
    lightness = environment.person.skin.mean(1)
    assert lightness.min() < 0.12 and lightness.max() > 0.45
    heat = environment.heat
    assert ((heat.core > 28) & (heat.core <= 36)).all()
    cold = (heat.core - heat.tip).mean(1)
    assert (cold > 4).float().mean() > 0.1  # cold finger tips
    assert (cold < 0).float().mean() > 0.1  # warm ones
    assert (heat.tip > heat.ambient[:, None]).all()
    assert environment.person.glove.sum() == 0 and heat.black_hot.sum() == 0


def test_gloves_are_worn_in_gloves():
    gloves = draw_environments(SimulationConfig(setting='gloves'), range(5))
    assert gloves.person.glove.eq(1).all()


def test_black_hot_is_drawn_when_a_preset_says_so(monkeypatch):
    always = replace(PRESETS['office'], black_hot=1.0)
    monkeypatch.setattr(batch_draws, 'draw_preset', lambda *_: always)
    assert draw_environments(SimulationConfig(), range(3)).heat.black_hot.eq(1).all()


def test_looks_say_what_their_fields_are():
    for kind in (Heat, Light):
        for field in fields(kind):
            assert field.name in kind.__doc__, field.name


def test_directions_to_lights_are_units_from_above():
    light = draw_environments(SimulationConfig(), range(20)).light
    for direction in (light.lamp, light.sun_direction):
        np.testing.assert_allclose(direction.norm(dim=1), 1, atol=1e-5)
        assert (direction[:, 2] > 0).all()

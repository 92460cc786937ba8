"""All batched sensors: the way in, native encodings, and the wearer's lap."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.rig.thermal import ThermalValues
from hand_pose_ros.simulation.batch_environment import LAP
from hand_pose_ros.simulation.batch_lap import with_lap
from hand_pose_ros.simulation.batch_sensors import IMAGES, clip_of, native_images, render
from hand_pose_ros.simulation.gbuffer import MATERIAL
from tests.simulation import pictures


def native(encoding, modality, **values):
    description = CameraDescription(name='a', modality=modality, encoding=encoding, **values)
    return native_images(description, pictures.gbuffer(), pictures.environment())


@pytest.mark.parametrize(
    ('modality', 'encoding', 'dtype', 'channels'),
    [
        ('thermal', 'mono16', np.uint16, ()), ('thermal', 'mono8', np.uint8, ()),
        ('nir', 'mono8', np.uint8, ()), ('nir', 'mono16', np.uint16, ()),
        ('depth', '16UC1', np.uint16, ()), ('depth', '32FC1', np.float32, ()),
        ('rgb', 'rgb8', np.uint8, (3,)), ('rgb', 'bgr8', np.uint8, (3,)),
    ],
)  # fmt: skip
def test_native_images_have_the_camera_s_encoding(modality, encoding, dtype, channels):
    images = native(encoding, modality)
    assert images.dtype == dtype
    assert images.shape == (6, pictures.HEIGHT, pictures.WIDTH, *channels)


def test_depth_counts_have_the_camera_s_scale():
    metres = render('depth', pictures.gbuffer(), pictures.environment())[:, 0].numpy()
    counts = native('16UC1', 'depth', values=DepthValues(scale=0.00025))
    np.testing.assert_allclose(counts * 0.00025, metres, atol=0.0002)
    floats = native('32FC1', 'depth')
    assert np.array_equal(np.isnan(floats), metres == 0)


def test_bgr_is_rgb_turned_round():
    assert np.array_equal(native('rgb8', 'rgb')[..., ::-1], native('bgr8', 'rgb'))


def test_a_black_hot_eight_bit_camera_is_inverted():
    white = native('mono8', 'thermal')
    black = native('mono8', 'thermal', values=ThermalValues(white_hot=False))
    assert np.array_equal(255 - white, black)


def test_an_unknown_sensor_is_refused():
    with pytest.raises(CameraError, match='lidar'):
        render('lidar', pictures.gbuffer(), pictures.environment())


@pytest.mark.parametrize('modality', IMAGES)
def test_nothing_touches_the_gbuffer(modality):
    gbuffer, untouched = pictures.gbuffer(), pictures.gbuffer()
    render(modality, gbuffer, pictures.environment())
    for name in ('depth', 'surface', 'material', 'item', 'facing', 'attributes', 'normal'):
        assert torch.equal(getattr(gbuffer, name), getattr(untouched, name)), name


@pytest.mark.parametrize('modality', IMAGES)
def test_a_clip_of_one_frame(modality):
    image = render(modality, pictures.gbuffer(frames=1), pictures.environment())
    assert len(image) == pictures.CLIPS and torch.isfinite(image).all()


def test_one_clip_of_a_gbuffer():
    gbuffer = pictures.gbuffer()
    part = clip_of(gbuffer, 1)
    assert torch.equal(part.depth, gbuffer.depth[2:4]) and part.rays.shape[0] == 1
    assert part.frames == gbuffer.frames


def person(**lap):
    """Somebody whose legs show at the lower edge of the image."""
    values = {'shows': 1, 'drop': 0.6, 'spread': 0.1, 'radius': 0.08, 'edge': 2.0, **lap}
    drawn = pictures.environment().person
    return replace(drawn, lap=torch.tensor([list(values.values())] * pictures.CLIPS).float())


def test_the_lap_shows_low_in_the_image_and_behind_the_hands():
    gbuffer = pictures.gbuffer()
    seen = with_lap(gbuffer, person())
    legs = seen.material == LAP
    assert 0.005 < legs.float().mean() < 0.4
    assert not legs[:, : pictures.HEIGHT // 2].any()
    assert not legs[gbuffer.surface > 0].any()
    assert torch.equal(seen.depth[gbuffer.surface > 0], gbuffer.depth[gbuffer.surface > 0])
    assert (seen.depth[legs] > 0.4).all() and (seen.facing[legs] <= 1).all()
    assert seen.facing[legs].std() > 0.05  # round


def test_a_table_before_the_lap_hides_it():
    gbuffer = pictures.gbuffer()
    seen = with_lap(gbuffer, person(edge=0.0))
    assert not (seen.material == LAP)[gbuffer.material == MATERIAL['table']].any()


def test_no_lap_leaves_the_gbuffer_as_it_is():
    gbuffer = pictures.gbuffer()
    assert with_lap(gbuffer, person(shows=0)) is gbuffer


def test_the_lap_of_one_clip_is_not_another_s():
    lap = person().lap
    lap[1, 0] = 0
    seen = with_lap(pictures.gbuffer(), replace(person(), lap=lap))
    shows = (seen.material == LAP).flatten(1).any(1)
    assert shows.tolist() == [True, True, False, False, True, True]
    alone = with_lap(pictures.gbuffer(clips=1), pictures.environment(clips=1).person)
    several = with_lap(pictures.gbuffer(), pictures.environment().person)
    assert torch.equal(alone.material, several.material[:2])


def test_warm_legs_are_warm_and_their_outline_cooler():
    gbuffer = pictures.gbuffer()
    environment = replace(pictures.environment(), person=person())
    surfaces = environment.heat.surfaces.clone()
    surfaces[:, LAP] = environment.heat.ambient + 10
    heat = replace(environment.heat, surfaces=surfaces, window=torch.tensor([[1.0, 5, 60]] * 3))
    with_legs = render('thermal', gbuffer, replace(environment, heat=heat))[:, 0]
    without = render('thermal', gbuffer, replace(environment, heat=heat, person=person(shows=0)))[
        :, 0
    ]
    legs = with_lap(gbuffer, person()).material == LAP
    assert with_legs[legs].mean() > without[legs].mean() + 0.05

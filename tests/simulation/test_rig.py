"""SimulatedRig: images and truth belong together, in every stream, at any stamp."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.simulation.rig import SimulatedRig

RIG = find_rig('simulated_head_rig')
SIM = SimulatedRig(RIG, seed=0, scenario='normal')
NOW = 1_795_000_000_123_456_789
FORMS = {
    'thermal': ((256, 320), np.uint16), 'nir': ((480, 640), np.uint8),
    'depth': ((480, 640), np.uint16), 'rgb': ((480, 640, 3), np.uint8),
}  # fmt: skip


@pytest.mark.parametrize('stream', FORMS)
def test_images_have_the_encoding_of_the_description(stream):
    image = SIM.render(stream, NOW)
    shape, dtype = FORMS[stream]
    assert image.shape == shape
    assert image.dtype == dtype
    assert image.flags.c_contiguous


@pytest.mark.parametrize('stream', FORMS)
def test_images_depend_on_seed_and_stamp_only(stream):
    again = SimulatedRig(RIG, seed=0, scenario='normal')
    again.render(stream, NOW + 10**9)
    np.testing.assert_array_equal(again.render(stream, NOW), SIM.render(stream, NOW))
    assert (SIM.render(stream, NOW + 10**9) != SIM.render(stream, NOW)).any()
    other = SimulatedRig(RIG, seed=1, scenario='normal')
    assert (other.render(stream, NOW) != SIM.render(stream, NOW)).any()


def test_truth_is_its_own_parameters_posed():
    for hand in SIM.truth(NOW):
        model = HandModel(load_hand_model(hand.side))
        p = hand.parameters
        joints, vertices = model.forward(
            p.global_orient[None], p.hand_pose[None], p.betas[None], p.translation[None]
        )
        np.testing.assert_allclose(hand.joints, joints[0], atol=1e-6)
        np.testing.assert_allclose(hand.vertices, vertices[0], atol=1e-6)


def test_truth_projects_onto_the_hands_of_every_image():
    for k in range(6):
        stamp = NOW + k * 3_700_000_000
        for hand in SIM.truth(stamp):
            in_rig = apply(RIG.reference_camera.T_rig_cam, hand.vertices)
            for name, description in RIG.cameras.items():
                points = apply(inverse(description.T_rig_cam), in_rig)
                pixels = description.camera.project(points)
                size = (description.camera.width - 1, description.camera.height - 1)
                inside = ((pixels >= 0) & (pixels <= size)).all(1)
                assert inside.mean() > 0.9
                if name != 'depth':
                    continue
                metres = SIM.render('depth', stamp) * 0.001
                columns, rows = np.rint(pixels[inside]).astype(int).T
                gap = points[inside, 2] - metres[rows, columns]
                # Vertices lie on the surface or, on the far side and behind fingers, below it.
                assert (gap > -0.012).mean() > 0.9
                assert (np.abs(gap) < 0.008).mean() > 0.15


def test_pixels_of_the_truth_are_the_projected_joints():
    for hand in SIM.truth(NOW):
        in_rig = apply(RIG.reference_camera.T_rig_cam, hand.joints)
        for name, description in RIG.cameras.items():
            expected = description.camera.project(apply(inverse(description.T_rig_cam), in_rig))
            given = hand.joints_2d[name]
            seen = np.isfinite(given).all(1)
            assert seen.all() == (name in hand.sources or not seen.any())
            np.testing.assert_allclose(given[seen], expected[seen], atol=1e-6)


def test_hands_out_of_view_are_lost():
    demo = SimulatedRig(RIG, seed=0, scenario='demo')
    left, right = demo.truth(14_500_000_000)
    assert (left.side, right.side) == ('left', 'right')
    assert left.state == 'lost'
    assert left.score == 0
    assert left.sources == ()
    assert right.state == 'tracked'
    assert set(right.sources) == set(RIG.cameras)
    assert all(hand.state == 'tracked' for hand in demo.truth(20_900_000_000))


def test_nir_and_depth_of_one_sensor_share_one_view():
    sim = SimulatedRig(RIG, seed=0, scenario='normal')
    sim.render('nir', NOW)
    before = len(sim._views)
    sim.render('depth', NOW)
    assert len(sim._views) == before
    sim.render('rgb', NOW)
    assert len(sim._views) == before + 1


def test_rendering_from_several_threads_changes_nothing():
    expected = {name: SIM.render(name, NOW) for name in RIG.cameras}
    sim = SimulatedRig(RIG, seed=0, scenario='normal')
    result = {}

    def work(name):
        for k in range(5):
            sim.render(name, NOW + k)
        result[name] = sim.render(name, NOW)

    threads = [threading.Thread(target=work, args=(name,)) for name in RIG.cameras]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, image in expected.items():
        np.testing.assert_array_equal(result[name], image)


def test_fisheye_cameras_are_rendered_too():
    fisheye = Camera(
        width=160, height=120, intrinsics=np.array([[90.0, 0, 80], [0, 90, 60], [0, 0, 1]]),
        distortion=(0.02, -0.01, 0.0, 0.0), distortion_model='equidistant',
    )  # fmt: skip
    nir = replace(RIG.cameras['nir'], camera=fisheye, size=(160, 120))
    sim = SimulatedRig(replace(RIG, cameras={**RIG.cameras, 'nir': nir}), scenario='static')
    image = sim.render('nir', 0)
    for hand in sim.truth(0):
        column, row = np.rint(hand.joints_2d['nir'][9]).astype(int)
        assert image[row, column] > np.median(image) + 20


def test_unknown_and_uncalibrated_streams_are_refused():
    with pytest.raises(CameraError, match="no camera 'radar'.*thermal"):
        SIM.render('radar', 0)
    plain = replace(RIG.cameras['nir'], camera=None)
    sim = SimulatedRig(replace(RIG, cameras={**RIG.cameras, 'nir': plain}), scenario='static')
    with pytest.raises(CameraError, match='nir has no intrinsics'):
        sim.render('nir', 0)
    assert set(sim.truth(0)[0].joints_2d) == {'thermal', 'depth', 'rgb'}

"""The image_folder driver."""

import itertools
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hand_pose_ros.cameras.image_folder import ImageFolderCamera, ImageFolderOptions, create
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.model import CameraDescription, RigDescription

DESCRIPTION = CameraDescription(
    name='nir', modality='nir', size=(8, 6), rate=50.0, encoding='mono8'
)


@pytest.fixture()
def folder(tmp_path):
    for index in range(5):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((6, 8), index, np.uint8))
    return tmp_path


def opened(folder, **options):
    camera = ImageFolderCamera(DESCRIPTION, ImageFolderOptions(path=str(folder), **options))
    camera.open()
    return camera


def test_recorded_samples_keep_their_stamps(folder):
    samples = list(opened(folder).samples())
    assert [sample.stamp for sample in samples] == [20_000_000 * (i + 1) for i in range(5)]
    assert [sample.image[0, 0] for sample in samples] == [0, 1, 2, 3, 4]
    assert {sample.encoding for sample in samples} == {'mono8'}


def test_recordings_do_not_wait_for_who_takes_them_paces_them(folder):
    (folder / 'timestamps.txt').write_text('0\n100.0\n200.0\n300.0\n400.0')
    start = time.monotonic()
    samples = list(opened(folder).samples())
    assert time.monotonic() - start < 50
    assert samples[-1].stamp == 400 * 10**9


def test_pace_rate_ignores_the_stamps(folder):
    (folder / 'timestamps.txt').write_text('0\n100.0\n200.0\n300.0\n400.0')
    samples = list(opened(folder, pace='rate').samples())
    assert [sample.stamp for sample in samples] == [20_000_000 * (i + 1) for i in range(5)]


@pytest.mark.parametrize('preload', [False, True])
def test_loops_go_on_rising(folder, preload):
    camera = opened(folder, loop=True, preload=preload)
    samples = list(itertools.islice(camera.samples(), 13))
    assert np.diff([sample.stamp for sample in samples]).tolist() == [20_000_000] * 12
    assert [sample.image[0, 0] for sample in samples] == [0, 1, 2, 3, 4] * 2 + [0, 1, 2]


def test_live_stamps_are_now_and_even(folder):
    camera = opened(folder, live=True, loop=True, preload=True)
    assert camera.live
    samples = list(itertools.islice(camera.samples(), 8))
    assert abs(time.time_ns() - samples[-1].stamp) < 2_000_000_000
    steps = np.diff([sample.stamp for sample in samples])
    # Whole periods: one, or more where the machine was too busy to keep up.
    assert (steps % 20_000_000 == 0).all()
    assert sum(sample.dropped for sample in samples[1:]) == sum(steps // 20_000_000 - 1)


def test_looping_live_cameras_play_the_same_instant(folder):
    first, second = (opened(folder, live=True, loop=True, preload=True) for _ in range(2))
    one = {s.stamp: s.image[0, 0] for s in itertools.islice(first.samples(), 6)}
    time.sleep(0.013)
    two = {s.stamp: s.image[0, 0] for s in itertools.islice(second.samples(), 6)}
    cycle = 100_000_000
    place = {stamp % cycle: value for stamp, value in one.items()}
    assert all(
        place[stamp % cycle] == value for stamp, value in two.items() if stamp % cycle in place
    )
    assert {stamp % 20_000_000 for stamp in one} == {stamp % 20_000_000 for stamp in two}


def test_close_ends_the_wait_of_a_live_camera(folder):
    (folder / 'timestamps.txt').write_text('0\n100.0\n200.0\n300.0\n400.0')
    camera = opened(folder, live=True)
    samples = camera.samples()
    next(samples)
    rest = []
    waiting = threading.Thread(target=lambda: rest.extend(samples))
    waiting.start()
    camera.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert rest == []


def test_close_ends_a_recording(folder):
    camera = opened(folder, loop=True)
    for count, _ in enumerate(camera.samples(), 1):
        if count == 8:
            camera.close()
    assert count == 8
    camera.close()


def test_a_closed_camera_opens_again(folder):
    camera = opened(folder)
    camera.close()
    camera.open()
    assert len(list(camera.samples())) == 5


def test_bad_sources_are_refused_on_opening(tmp_path, folder):
    with pytest.raises(CameraError, match='no such folder'):
        opened(tmp_path / 'nowhere')
    with pytest.raises(CameraError, match='is not open'):
        next(ImageFolderCamera(DESCRIPTION, ImageFolderOptions(path=str(folder))).samples())
    cv2.imwrite(str(folder / '0.png'), np.zeros((6, 8), np.uint16))
    with pytest.raises(CameraError, match='0.png: holds mono16 pixels but the rig file says mono8'):
        opened(folder)
    cv2.imwrite(str(folder / '0.png'), np.zeros((5, 8), np.uint8))
    with pytest.raises(CameraError, match='0.png is 8x5 but nir has 8x6'):
        opened(folder)


def test_a_pace_that_does_not_exist_is_refused_with_those_that_do():
    options = {'path': 'x', 'pace': 'none'}
    camera = replace(DESCRIPTION, driver='image_folder', driver_options=options)
    with pytest.raises(CameraError, match="pace is 'none', use one of .*recorded.*rate"):
        create(camera, RigDescription(name='small', cameras={'nir': camera}))


def test_a_size_that_changes_midway_is_named(folder):
    cv2.imwrite(str(folder / '3.png'), np.zeros((6, 9), np.uint8))
    with pytest.raises(CameraError, match='3.png is 9x6 but nir has 8x6'):
        list(opened(folder).samples())
    with pytest.raises(CameraError, match='3.png is 9x6'):
        opened(folder, preload=True)

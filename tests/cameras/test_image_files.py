"""Reading folders, pictures and videos."""

import cv2
import numpy as np
import pytest

from hand_pose_ros.cameras.image_files import ImageSource, open_images, read_images
from hand_pose_ros.errors import CameraError


def write(folder, *names, shape=(6, 8), value=0):
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full(shape, value + index, np.uint8))


def test_numbers_in_names_count_as_numbers(tmp_path):
    write(tmp_path, 'f10.png', 'f9.png', 'f1.png', 'F2.jpg')
    (tmp_path / 'notes.txt').write_text('not an image')
    images = list(read_images(tmp_path, rate=10.0))
    assert [image.name for image in images] == ['f1.png', 'F2.jpg', 'f9.png', 'f10.png']
    assert [image.stamp for image in images] == [10**8, 2 * 10**8, 3 * 10**8, 4 * 10**8]
    assert all(image.encoding == 'mono8' for image in images)


def test_order_is_that_of_the_stamps(tmp_path):
    write(tmp_path, 'a.png', 'b.png')
    (tmp_path / 'stamps.csv').write_text('a.png,2000\nb.png,1000\n')
    assert [image.name for image in read_images(tmp_path)] == ['b.png', 'a.png']


def test_a_stamp_file_goes_before_names_and_both_before_the_rate(tmp_path):
    write(tmp_path, '1690000000123.png')
    assert ImageSource(tmp_path).stamps == [1690000000123000000]
    assert ImageSource(tmp_path, stamps='rate').stamps == [33333333]
    (tmp_path / 'timestamps.txt').write_text('5.0')
    assert ImageSource(tmp_path).stamps == [5_000_000_000]
    assert ImageSource(tmp_path, stamps='names').stamps == [1690000000123000000]


def test_a_source_can_be_read_twice(tmp_path):
    write(tmp_path, 'a.png', 'b.png')
    source = open_images(tmp_path, 'nir')
    assert source.count == 2
    assert [i.name for i in source.images()] == [i.name for i in source.images()]


def test_one_picture_is_a_recording_of_one(tmp_path):
    write(tmp_path, 'a.png')
    (image,) = read_images(tmp_path / 'a.png', modality='rgb')
    assert image.image.shape == (6, 8, 3)


def test_sixteen_bits_survive(tmp_path):
    counts = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    for name in ('a.png', 'b.tiff'):
        cv2.imwrite(str(tmp_path / name), counts)
    for image in read_images(tmp_path, modality='depth', encoding='16UC1'):
        np.testing.assert_array_equal(image.image, counts)


def test_videos_have_their_own_rate(tmp_path):
    file = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'MJPG'), 20.0, (64, 48))
    if not writer.isOpened():
        pytest.skip('this OpenCV has no MJPG encoder')
    for value in (10, 120, 240):
        writer.write(np.full((48, 64, 3), (value, 0, 255 - value), np.uint8))
    writer.release()
    source = open_images(file, 'rgb')
    images = list(source.images())
    assert source.count == 3
    assert [image.name for image in images] == [
        'clip.avi#000001',
        'clip.avi#000002',
        'clip.avi#000003',
    ]
    assert [image.stamp for image in images] == [50_000_000, 100_000_000, 150_000_000]
    assert images[2].encoding == 'rgb8'
    # Blue was written first: it must come out last.
    assert images[2].image[..., 2].mean() > 200 > 60 > images[2].image[..., 0].mean()


def test_real_thermal_frames_are_grey(test_data):
    images = list(read_images(test_data / 'thermal_egocentric' / 'frames', modality='thermal'))
    assert len(images) == 16
    assert {(i.image.shape, i.image.dtype.name, i.encoding) for i in images} == {
        ((256, 320), 'uint8', 'mono8')
    }


def test_real_depth_frames_in_natural_order(test_data):
    names = [
        i.name for i in read_images(test_data / 'depth_hands' / '20210326-230536', modality='depth')
    ]
    assert names == [f'{number}.png' for number in range(30, 171, 20)]


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(CameraError, match='no such folder, image or video, check the path'):
        read_images(tmp_path / 'nowhere')
    with pytest.raises(CameraError, match='holds no images'):
        read_images(tmp_path)
    (tmp_path / 'a.txt').write_text('x')
    with pytest.raises(CameraError, match='a.txt: is no image or video this reads'):
        read_images(tmp_path / 'a.txt')
    (tmp_path / 'a.png').write_bytes(b'\x89PNG broken')
    with pytest.raises(CameraError, match='a.png: cannot be decoded'):
        list(read_images(tmp_path))
    (tmp_path / 'a.mp4').write_bytes(b'no video')
    with pytest.raises(CameraError, match='a.mp4: cannot be opened as a video'):
        read_images(tmp_path / 'a.mp4')
    with pytest.raises(CameraError, match='no stamps.csv or timestamps.txt'):
        read_images(tmp_path, stamps='file')
    with pytest.raises(CameraError, match='names without Unix times'):
        read_images(tmp_path, stamps='names')
    with pytest.raises(CameraError, match="stamps 'clock' is unknown"):
        read_images(tmp_path, stamps='clock')


def test_two_images_at_one_time_are_refused(tmp_path):
    write(tmp_path, 'a.png', 'b.png')
    (tmp_path / 'stamps.csv').write_text('1\n1\n')
    with pytest.raises(CameraError, match='b.png: has the same stamp as a.png'):
        read_images(tmp_path)

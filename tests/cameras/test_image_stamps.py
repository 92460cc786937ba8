"""Where recorded images get their stamps from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.cameras.image_stamps import (
    stamp_of_name,
    stamps_from_file,
    stamps_from_names,
    stamps_from_rate,
)
from hand_pose_ros.errors import CameraError


@pytest.mark.parametrize(
    ('name', 'stamp'),
    [
        ('1690000000123.png', 1690000000123 * 10**6),
        ('1690000000123456789.tiff', 1690000000123456789),
        ('1690000000123456.png', 1690000000123456 * 10**3),
        ('frame_1690000000.25.png', 1690000000250000000),
        ('left-1690000000123-raw.png', 1690000000123 * 10**6),
        ('01.png', None),
        ('frame_000123.png', None),
        ('16900000001234.png', None),
        ('call_0413d5c5-f5ba-476f.jpg', None),
    ],
)
def test_unix_times_in_names(name, stamp):
    assert stamp_of_name(name) == stamp


@given(st.integers(10**18, 2 * 10**18))
def test_nanoseconds_in_names_are_exact(stamp):
    assert stamp_of_name(f'{stamp}.png') == stamp


def test_all_names_or_none():
    times = [Path('1690000000123.png'), Path('1690000000156.png')]
    assert stamps_from_names(times) == [1690000000123000000, 1690000000156000000]
    assert stamps_from_names([*times, Path('cover.png')]) is None


def test_rate_never_gives_zero():
    assert stamps_from_rate(3, 10.0) == [100_000_000, 200_000_000, 300_000_000]


PATHS = [Path('a.png'), Path('b.png')]


@pytest.mark.parametrize(
    ('name', 'text', 'stamps'),
    [
        ('stamps.csv', 'name,stamp\nb.png,2000\na.png,1000\n', [1000, 2000]),
        (
            'stamps.csv',
            'a,1690000000123\nb,1690000000156\n',
            [1690000000123000000, 1690000000156000000],
        ),
        ('timestamps.txt', '# seconds\n0.5\n1.25\n\n', [500_000_000, 1_250_000_000]),
        (
            'timestamps.txt',
            '1690000000.123456789\n1690000001.0\n',
            [1690000000123456789, 1690000001 * 10**9],
        ),
    ],
)
def test_stamp_files(tmp_path, name, text, stamps):
    (tmp_path / name).write_text(text)
    assert stamps_from_file(tmp_path, PATHS) == stamps


def test_no_stamp_file_is_no_error(tmp_path):
    assert stamps_from_file(tmp_path, PATHS) is None


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('1\n2\n3\n', 'has 3 stamps for 2 images'),
        ('a.png,1\n', 'has no stamp for b.png'),
        ('1\nnoon\n', r"line 2 \('noon'\) does not end in a stamp"),
        ('1\nnan\n', 'line 2'),
    ],
)
def test_faulty_stamp_files_are_refused(tmp_path, text, message):
    (tmp_path / 'stamps.csv').write_text(text)
    with pytest.raises(CameraError, match=message):
        stamps_from_file(tmp_path, PATHS)

"""Thermal value conventions."""

import struct
import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.errors import ImageError, RigError
from hand_pose_ros.rig.thermal import ThermalValues, agc, agc_limits, celsius

TLINEAR = ThermalValues(kind='tlinear', gain=0.04)
# The constants of frame_000000.fff, a FLIR Duo Pro R: kelvin = B / ln(R / (counts - O) + F).
DUO_PRO = ThermalValues(kind='planck', R1=364058.0, B=1428.0, F=1.0)


def test_tlinear_of_a_real_radiometric_image(test_data):
    counts = cv2.imread(
        str(test_data / 'thermal_radiometric' / 'example_radiometric.tiff'), cv2.IMREAD_UNCHANGED
    )
    degrees = celsius(counts, TLINEAR)
    assert degrees.dtype == np.float32
    assert degrees.min() == pytest.approx(-3.4, abs=0.05)
    assert degrees.max() == pytest.approx(9.9, abs=0.05)


@given(st.floats(-40, 150))
def test_planck_inverts_the_radiometric_formula(temperature):
    counts = DUO_PRO.R1 / (np.exp(DUO_PRO.B / (temperature + 273.15)) - DUO_PRO.F)
    assert celsius(np.array([counts]), DUO_PRO)[0] == pytest.approx(temperature, abs=1e-3)


def test_planck_with_all_five_constants():
    values = ThermalValues(kind='planck', R1=14906.216, R2=0.010956882, B=1396.5, F=1.0, O=-7261)
    raw = 18000
    expected = 1396.5 / np.log(14906.216 / (0.010956882 * (raw - 7261)) + 1.0) - 273.15
    assert celsius(np.array([raw], np.uint16), values)[0] == pytest.approx(expected, abs=1e-3)


def read_rjpeg(file):
    """Return counts and Planck constants of a radiometric JPEG (FLIR segments in APP1)."""
    data = file.read_bytes()
    block, place = b'', 2
    while data[place + 1] != 0xDA:
        (length,) = struct.unpack('>H', data[place + 2 : place + 4])
        segment = data[place + 4 : place + 2 + length]
        if segment.startswith(b'FLIR\0'):
            block += segment[8:]
        place += 2 + length
    start, count = struct.unpack('>II', block[24:32])
    records = {}
    for entry in range(start, start + 32 * count, 32):
        (kind,) = struct.unpack('>H', block[entry : entry + 2])
        offset, length = struct.unpack('>II', block[entry + 12 : entry + 20])
        records[kind] = block[offset : offset + length]
    picture, info = records[0x01], records[0x20]
    picture = np.frombuffer(picture[picture.index(b'\x89PNG') :], np.uint8)
    counts = cv2.imdecode(picture, cv2.IMREAD_UNCHANGED).byteswap()
    R1, B, F = struct.unpack('<3f', info[0x58:0x64])
    offset, R2 = struct.unpack('<if', info[0x308:0x310])
    return counts, ThermalValues(kind='planck', R1=R1, R2=R2, B=B, F=F, O=float(offset))


@pytest.mark.parametrize(
    ('name', 'coldest', 'warmest'), [('ax8.jpg', 24.1, 25.2), ('flir_example.jpg', 25.6, 60.2)]
)
def test_planck_of_real_radiometric_jpegs(test_data, name, coldest, warmest):
    degrees = celsius(*read_rjpeg(test_data / 'thermal_radiometric' / name))
    assert degrees.min() == pytest.approx(coldest, abs=0.05)
    assert degrees.max() == pytest.approx(warmest, abs=0.05)


def test_planck_of_a_real_fff_file(test_data):
    """A room: record 0x20 has the constants, record 0x01 the counts behind a header of 32 bytes."""
    data = (test_data / 'thermal_radiometric' / 'frame_000000_le.fff').read_bytes()
    info, raw = data[320:2748], data[2748 + 32 :]
    R1, B, F = struct.unpack('<3f', info[0x58:0x64])
    offset, R2 = struct.unpack('<if', info[0x308:0x310])
    counts = np.frombuffer(raw, '<u2', 320 * 240).reshape(240, 320)
    values = ThermalValues(kind='planck', R1=R1, R2=R2, B=B, F=F, O=float(offset))
    degrees = celsius(counts, values)
    assert degrees.min() == pytest.approx(22.9, abs=0.05)
    assert degrees.max() == pytest.approx(29.1, abs=0.05)


def test_planck_gives_nan_where_there_is_no_temperature():
    values = ThermalValues(kind='planck', R1=14906.0, R2=0.011, B=1396.5, F=1.0, O=-7261)
    degrees = celsius(np.array([0, 7261, 18000], np.uint16), values)
    assert np.isnan(degrees[:2]).all()
    assert np.isfinite(degrees[2])


def test_lepton_centikelvin():
    assert celsius(np.array([30315], np.uint16), ThermalValues(kind='tlinear', gain=0.01)) == (
        pytest.approx(30.0, abs=1e-4)
    )


def test_non_radiometric_counts_have_no_temperature():
    with pytest.raises(ImageError, match='not radiometric'):
        celsius(np.zeros((2, 2), np.uint16), ThermalValues())


@pytest.mark.parametrize(
    ('constants', 'message'),
    [
        ({'kind': 'linear'}, "'linear' is unknown"),
        ({'kind': 'tlinear', 'gain': 0.0}, 'gain must be above 0'),
        ({'kind': 'planck'}, 'needs R1, R2 and B'),
    ],
)
def test_impossible_constants_are_refused(constants, message):
    with pytest.raises(RigError, match=message):
        ThermalValues(**constants)


def scene(dtype, seed=0):
    noise = np.random.default_rng(seed)
    image = 100 + noise.normal(0, 3, (512, 640))
    image[200:350, 250:400] += 60
    return image.astype(dtype) if dtype == np.uint8 else (image * 30 + 4000).astype(dtype)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_agc_uses_the_whole_range(dtype):
    stretched = agc(scene(dtype))
    assert stretched.dtype == np.uint8
    assert (np.mean(stretched == 0) < 0.05) and stretched.min() == 0
    assert stretched.max() == 255
    assert stretched[250:300, 300:350].mean() > 200 > 60 > stretched[:100].mean()


def test_limits_are_close_to_the_percentiles_of_all_pixels():
    image = scene(np.uint16)
    low, high = agc_limits(image)
    assert low == pytest.approx(np.percentile(image, 1), rel=0.005)
    assert high == pytest.approx(np.percentile(image, 99.8), rel=0.005)


def test_black_hot_is_turned_over():
    image = scene(np.uint16)
    assert np.array_equal(agc(np.invert(image), white_hot=False), agc(image))
    assert agc(image)[250:300, 300:350].mean() > agc(image)[:100].mean() + 100


@pytest.mark.parametrize('value', [0, 1, 77, 65535])
def test_a_flat_image_is_no_division_by_zero(value):
    assert agc(np.full((60, 80), value, np.uint16)).max() == 0


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_warmer_is_never_darker(first, second):
    image = np.full((40, 40), (first + second) // 2, np.uint16)
    image[:20], image[0, 0], image[0, 1] = min(first, second), first, second
    stretched = agc(image, 0, 100)
    if first <= second:
        assert stretched[0, 0] <= stretched[0, 1]


def test_agc_refuses_what_is_no_thermal_image():
    with pytest.raises(ImageError, match='uint8 or uint16'):
        agc(np.zeros((4, 4), np.float32))
    with pytest.raises(ImageError, match='uint8 or uint16'):
        agc(np.zeros((4, 4, 3), np.uint8))


def test_agc_is_fast():
    image = scene(np.uint16)
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        agc(image)
        best = min(best, time.perf_counter() - start)
    assert best < 1.5e-3

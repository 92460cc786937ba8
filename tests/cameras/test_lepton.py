"""Telemetry of Lepton cameras."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.cameras.lepton import TELEMETRY_ROWS, FrameCounter, split_telemetry
from tests.cameras.video_devices import lepton_frame


@pytest.mark.parametrize('width', [160, 80])
@given(
    uptime=st.integers(0, 2**32 - 1), counter=st.integers(0, 2**32 - 1),
    state=st.integers(0, 3), desired=st.booleans(),
)  # fmt: skip
def test_telemetry_is_split_from_the_image(width, uptime, counter, state, desired):
    rows = TELEMETRY_ROWS[width]
    image = np.arange(width * width * 3 // 4, dtype=np.uint16).reshape(-1, width)
    frame = lepton_frame(
        image, uptime=uptime, counter=counter, state=state, desired=desired, rows=rows
    )
    found, telemetry = split_telemetry(frame, rows)
    assert np.array_equal(found, image)
    assert telemetry.uptime == uptime * 1_000_000
    assert telemetry.frame_counter == counter
    assert telemetry.flat_field_state == ('never', 'imminent', 'active', 'complete')[state]
    assert telemetry.flat_field_desired is desired
    assert not telemetry.overheated


@pytest.mark.parametrize('step', [1, 3])
def test_lost_images_are_counted_whatever_the_step(step):
    counter = FrameCounter()
    numbers = [7, 8, 9, 12, 13, 20]
    lost = [counter.lost(number * step) for number in numbers]
    assert lost == [0, 0, 0, 2, 0, 6]


def test_counters_wrap_and_start_again():
    counter = FrameCounter()
    assert [counter.lost(n) for n in (2**32 - 2, 2**32 - 1, 0, 2)] == [0, 0, 0, 1]
    assert [counter.lost(n) for n in (0, 0, 1)] == [0, 0, 0]

"""The reader of configuration mappings."""

import pytest

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.parsing import Section, shown, suggestion


def test_suggestion_names_the_nearest_or_all():
    assert suggestion('intrinsic', ['size', 'intrinsics']) == ", did you mean 'intrinsics'?"
    assert suggestion('zzz', ['size', 'rate']) == ', use one of size, rate'
    assert suggestion('zzz', []) == ', remove it'


def test_finish_refuses_what_nobody_took():
    section = Section({'path': 'a', 'lop': True}, 'x.yaml', 'driver_options')
    assert section.text('path') == 'a'
    assert section.flag('loop', False) is False
    with pytest.raises(RigError, match=r"driver_options\.lop is unknown, did you mean 'loop'\?"):
        section.finish()


def test_a_misspelt_required_key_is_named_rather_than_called_missing():
    section = Section({'pth': 'a'}, 'x.yaml')
    with pytest.raises(RigError, match="x.yaml: pth is unknown, did you mean 'path'"):
        section.text('path')


@pytest.mark.parametrize(
    ('value', 'nanoseconds'), [(0.008, 8_000_000), (-1, -(10**9)), ('1e-3', 10**6), (None, 5)]
)
def test_seconds_become_whole_nanoseconds(value, nanoseconds):
    assert Section({'t': value}, 'x').nanoseconds('t', 5) == nanoseconds


@pytest.mark.parametrize(
    ('limits', 'value', 'message'),
    [
        ({'minimum': 1}, 0, 'must be at least 1'),
        ({'above': 0}, 0, 'must be above 0'),
        ({'minimum': 0, 'maximum': 1}, 2, 'at least 0 and at most 1'),
        ({}, float('inf'), 'finite'),
        ({'finite': False}, float('nan'), 'must be'),
        ({}, [1], 'must be a number'),
    ],
)
def test_numbers_outside_their_limits(limits, value, message):
    with pytest.raises(RigError, match=message):
        Section({'n': value}, 'x').number('n', **limits)


def test_long_values_are_cut_in_messages():
    with pytest.raises(RigError) as caught:
        Section({'n': list(range(1000))}, 'x').number('n')
    assert len(str(caught.value)) < 120
    assert shown('short') == "'short'"
    assert len(shown('x' * 59)) == 60 and shown('x' * 59).endswith('...')

"""Whole files: the old content or the new one, never a part."""

import pytest

from hand_pose_ros.whole_file import whole_file


def test_the_old_content_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'file'
    with whole_file(path) as stream:
        stream.write(b'old')
    with whole_file(path) as stream:
        stream.write(b'newer')
        stream.flush()
        assert path.read_bytes() == b'old'
    assert path.read_bytes() == b'newer'
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('error', [OSError(28, 'full'), KeyboardInterrupt(), ValueError()])
def test_what_is_raised_inside_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with pytest.raises(type(error)), whole_file(path) as stream:
        stream.write(b'half')
        raise error
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / 'file').touch()
    (tmp_path / 'taken' / 'inside').mkdir(parents=True)
    for path in (tmp_path / 'file' / 'below', tmp_path / 'taken'):
        with pytest.raises(OSError), whole_file(path) as stream:
            stream.write(b'any')
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['file', 'taken']

"""HDF5 files: whole, added to, and on a full disk an error instead of a crash."""

import subprocess
import sys

import numpy as np
import pytest

from hand_pose_ros.exporting.hdf5_file import Hdf5File

h5py = pytest.importorskip('h5py')

# A limit on the size of files is met by writes as a full disk is. HDF5 crashed at exit.
_FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from hand_pose_ros.exporting.hdf5_file import Hdf5File
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with Hdf5File(Path(sys.argv[1])) as file:
        data = file.content.create_dataset('a', (50, 10_000), np.uint8, chunks=(1, 10_000))
        for place in range(50):
            data[place] = place
except OSError as error:
    print('told', error.strerror)
"""


def test_what_is_written_and_added_is_there(tmp_path):
    path = tmp_path / 'deep' / 'a.h5'
    for name in ('a', 'b'):
        with Hdf5File(path) as file:
            file.content[name] = np.arange(1000)
    with h5py.File(path) as content:
        assert set(content) == {'a', 'b'}
        np.testing.assert_array_equal(content['a'], np.arange(1000))


def test_a_full_disk_is_told_and_the_program_goes_on(tmp_path):
    result = subprocess.run(
        [sys.executable, '-c', _FULL, str(tmp_path / 'a.h5')],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout == 'told File too large\n'


def test_an_error_inside_is_not_hidden_by_that_of_the_disk(tmp_path):
    with pytest.raises(KeyError), Hdf5File(tmp_path / 'a.h5') as file:
        file._storage.failure = OSError(28, 'No space left on device')
        raise KeyError('inside')

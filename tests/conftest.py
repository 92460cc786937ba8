"""What all tests share: a private corner of ROS, few threads, and the test data."""

import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

_REPOSITORY = Path(__file__).resolve().parent.parent
_WORKER = os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw')

# Before anything imports numpy, torch or rclpy; child processes of the tests inherit it.
for _name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(_name, '1')
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'
os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
# One domain per worker and per run: 101 is the highest number that needs no other ports.
_FIRST_DOMAIN = int(os.environ.get('ROS_DOMAIN_ID', 20 + os.getppid() % 70))
os.environ['ROS_DOMAIN_ID'] = str((_FIRST_DOMAIN + int(_WORKER)) % 102)
# A loaded machine must not fail a test; a machine that judges must judge alike each time.
settings.register_profile('here', deadline=None, derandomize='CI' in os.environ)
settings.load_profile('here')

_LOGS = tempfile.TemporaryDirectory(prefix='hand_pose_ros_log_')
os.environ['ROS_LOG_DIR'] = _LOGS.name


@pytest.fixture(scope='session')
def repository() -> Path:
    """The root of the checkout."""
    return _REPOSITORY


@pytest.fixture(scope='session')
def test_data() -> Path:
    """The folder of recorded images, from HAND_POSE_TEST_DATA or beside the checkout."""
    default = _REPOSITORY.parent / 'shared' / 'data'
    folder = Path(os.environ.get('HAND_POSE_TEST_DATA', default))
    if not folder.is_dir():
        pytest.skip(f'no test data at {folder}; set HAND_POSE_TEST_DATA to the folder that has it')
    return folder

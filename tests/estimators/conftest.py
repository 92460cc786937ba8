"""The networks and real images that several estimator tests use."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators.networks import HandNetworks, load_networks
from hand_pose_ros.rig.frame import StreamImage


@pytest.fixture(scope='session')
def networks() -> HandNetworks:
    try:
        return load_networks(threads=1)
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='session')
def thermal_frames(test_data: Path) -> list[StreamImage]:
    paths = sorted((test_data / 'thermal_egocentric' / 'frames').glob('*.png'))
    images = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 0] for path in paths]
    return [
        StreamImage(image=np.ascontiguousarray(image), stamp=index * 33_333_333)
        for index, image in enumerate(images)
    ]

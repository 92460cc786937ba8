"""The examples of docs/rigs.md and the template are rig files that load."""

import re

import pytest

from hand_pose_ros.cameras.image_folder import ImageFolderOptions
from hand_pose_ros.rig.camera_file import parse_camera
from hand_pose_ros.rig.description import load_rig
from hand_pose_ros.rig.parsing import Section
from hand_pose_ros.rig.synchronizer import SynchronizerConfig


@pytest.fixture()
def page(repository):
    return (repository / 'docs' / 'rigs.md').read_text()


def test_examples_are_rigs(page, tmp_path):
    blocks = re.findall(r'^```yaml\n(.*?)^```', page, re.M | re.S)
    assert len(blocks) >= 2
    for block in blocks:
        (tmp_path / 'rig.yaml').write_text(block)
        rig = load_rig(tmp_path / 'rig.yaml')
        assert rig.reference == 'thermal'


def test_the_template_is_a_rig(repository):
    rig = load_rig(repository / 'config' / 'template_head_rig.yaml')
    assert rig.cameras['depth'].extrinsics_from_tf
    assert rig.synchronizer.required == ('thermal',)


def test_the_quoted_message_is_the_real_one(page, tmp_path):
    quoted = re.search(r'^my_head_rig\.yaml: (.*)$', page, re.M).group(1)
    section = Section(
        {
            'size': [8, 6],
            'intrinsic': [1, 1, 1, 1],
            'T_rig_cam': {'translation': [0, 0, 0], 'rpy': [0, 0, 0]},
        },
        'my_head_rig.yaml',
        'cameras.thermal',
    )
    with pytest.raises(Exception, match=re.escape(quoted)):
        parse_camera('thermal', section)


def test_every_key_is_explained(page):
    keys = ['required', 'max_spread', 'timeout', 'queue_size', 'policy', 'streams']
    assert set(keys) <= set(SynchronizerConfig.__dataclass_fields__)
    keys += ['modality', 'driver', 'driver_options', 'size', 'rate', 'encoding', 'intrinsics']
    keys += ['distortion', 'distortion_model', 'T_rig_cam', 'time_offset', 'values', 'name']
    keys += ['rig_frame', 'reference', 'cameras', 'estimator', 'estimator_options', 'metadata']
    keys += list(ImageFolderOptions.__dataclass_fields__)
    assert [key for key in keys if f'| `{key}` |' not in page] == []


def test_defaults_in_the_tables_are_those_of_the_code(page):
    config = SynchronizerConfig(streams=('a',))
    assert f'| `max_spread` | {config.max_spread / 1e9:g} |' in page
    assert f'| `timeout` | {config.timeout / 1e9:g} |' in page
    assert f'| `queue_size` | {config.queue_size} |' in page
    assert f'| `policy` | `{config.policy}` |' in page

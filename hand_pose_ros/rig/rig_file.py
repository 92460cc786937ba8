"""Rig files: YAML in, RigDescription out, and back without loss."""

from pathlib import Path
from typing import Any, cast

import yaml

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.camera_file import camera_document, parse_camera
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.parsing import Section
from hand_pose_ros.rig.synchronizer import POLICIES, Policy, SynchronizerConfig


def parse_rig(document: Any, source: str) -> RigDescription:
    """Build a rig from a parsed rig file.

    Args:
        document: what the YAML parser returned.
        source: file name for messages.

    Raises:
        RigError: naming the file, the key path and the fix.
    """
    root = Section(document, source)
    name = root.text('name')
    cameras = _cameras(root.section('cameras') if root.has('cameras') else root.take('cameras'))
    reference = root.text('reference', '', choices=tuple(cameras))
    fields: dict[str, Any] = {
        'name': name,
        'cameras': cameras,
        'reference': reference,
        'rig_frame': root.text('rig_frame', 'head_rig'),
        'estimator': root.text('estimator', 'landmarks'),
        'estimator_options': root.mapping('estimator_options'),
        'metadata': root.mapping('metadata'),
    }
    defaults = cast(RigDescription, root.wrap('', lambda: RigDescription(**fields)))
    fields['synchronizer'] = _synchronizer(root.section('synchronizer'), defaults)
    root.finish()
    return cast(RigDescription, root.wrap('', lambda: RigDescription(**fields)))


def rig_document(rig: RigDescription) -> dict[str, Any]:
    """Return the mapping that ``parse_rig`` reads back to the same rig."""
    config = rig.synchronizer
    document: dict[str, Any] = {
        'name': rig.name,
        'rig_frame': rig.rig_frame,
        'reference': rig.reference,
        'cameras': {name: camera_document(camera) for name, camera in rig.cameras.items()},
        'synchronizer': {
            'streams': list(config.streams),
            'required': list(config.required),
            'max_spread': config.max_spread / 1e9,
            'timeout': config.timeout / 1e9,
            'queue_size': config.queue_size,
            'policy': config.policy,
        },
        'estimator': rig.estimator,
    }
    if rig.estimator_options:
        document['estimator_options'] = rig.estimator_options
    if rig.metadata:
        document['metadata'] = rig.metadata
    return document


def rig_text(rig: RigDescription) -> str:
    """Return the text of a rig's file; every number reads back to the same bits.

    Raises:
        RigError: if the rig holds options that YAML cannot.
    """
    try:
        return yaml.safe_dump(
            rig_document(rig), sort_keys=False, default_flow_style=None, width=100
        )
    except yaml.YAMLError as error:
        raise RigError(
            f'{rig.name}: the rig holds options that are not plain YAML values ({error}), use '
            'numbers, texts, lists and mappings'
        ) from error


def write_rig(rig: RigDescription, path: Path) -> None:
    """Write a rig file."""
    text = rig_text(rig)
    try:
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise RigError(f'{path}: cannot be written ({error.strerror})') from error


def _cameras(section: Section) -> dict[str, CameraDescription]:
    cameras = {name: parse_camera(name, section.section(name)) for name in section.content}
    if not cameras:
        section.error('thermal', 'is missing: a rig needs at least one camera')
    return cameras


def _synchronizer(section: Section, rig: RigDescription) -> SynchronizerConfig:
    streams = section.names('streams', tuple(rig.own_cameras))
    reference = rig.reference if rig.reference in streams else next(iter(streams), '')
    fallback = SynchronizerConfig(streams=('any',))
    offsets = {name: offset for name, offset in rig.time_offsets.items() if name in streams}
    fields: dict[str, Any] = {
        'streams': streams,
        'reference': reference,
        'required': section.names('required', ()),
        'offsets': offsets,
        'max_spread': section.nanoseconds('max_spread', fallback.max_spread, minimum=0),
        'timeout': section.nanoseconds('timeout', fallback.timeout, minimum=0),
        'queue_size': section.integer('queue_size', fallback.queue_size, minimum=1),
        'policy': cast(Policy, section.text('policy', fallback.policy, choices=POLICIES)),
    }
    section.finish()
    return cast(SynchronizerConfig, section.wrap('', lambda: SynchronizerConfig(**fields)))

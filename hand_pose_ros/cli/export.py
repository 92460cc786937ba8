"""``hand-pose export``: writes a trained network as ONNX."""

import argparse
from pathlib import Path

from hand_pose_ros.cli.common import Verbs, add_json_option, write_json

_EXAMPLE = 'example: hand-pose export --onnx therformer therformer.onnx'


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'export',
        help='write a trained network as ONNX',
        description='Writes the graphs of a trained network as ONNX files, with its card beside '
        'them. TherFormer becomes two files: encode, run on each image, and decode, run on the '
        'features of the last images.',
        epilog=_EXAMPLE,
    )
    parser.add_argument(
        '--onnx', required=True, nargs=2, metavar=('CHECKPOINT', 'OUT.onnx'),
        help='name of an installed model or path of its .safetensors, and the file to write',
    )  # fmt: skip
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load, export, and say where the files are."""
    from hand_pose_ros.estimators.trained_models import find
    from hand_pose_ros.networks.checkpoint import load_checkpoint
    from hand_pose_ros.networks.onnx_export import export_onnx

    checkpoint, target = arguments.onnx
    loaded = load_checkpoint(find('', checkpoint))
    files = export_onnx(loaded, Path(target))
    for file in files:
        print(f'{loaded.name} -> {file} ({file.stat().st_size / 1e6:.1f} MB)')
    write_json(arguments.json, {'network': loaded.name, 'files': [str(file) for file in files]})
    return 0

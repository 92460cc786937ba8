"""``hand-pose up``: starts cameras, synchroniser and inference for a rig."""

import argparse

from hand_pose_ros.cli.common import Verbs, notices, require_ros

DISCOVERY_RANGES = ('LOCALHOST', 'SUBNET')


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'up',
        help='start the cameras and the inference node of a rig',
        description='Starts the camera nodes and the inference node of a rig and runs until '
        'Ctrl-C. Everything runs in one process unless --processes is given.',
        epilog='example: hand-pose up simulated_head_rig',
    )
    add_graph_options(parser)
    parser.add_argument(
        '--clock',
        action='store_true',
        help='play recordings with their own stamps and publish their time on /clock',
    )
    parser.set_defaults(run=run)


def add_graph_options(parser: argparse.ArgumentParser) -> None:
    """Add the rig argument and how its graph is started."""
    parser.add_argument(
        'rig',
        metavar='RIG',
        help='rig file (YAML), or the name of a rig that comes with the package',
    )
    parser.add_argument('--processes', action='store_true', help='one process for each node')
    parser.add_argument(
        '--discovery',
        default='LOCALHOST',
        choices=DISCOVERY_RANGES,
        help='who may see the topics: this machine only, or the whole subnet (default: LOCALHOST)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Start the graph and wait for its end."""
    require_ros()
    from hand_pose_ros.rig.description import find_rig
    from hand_pose_ros.ros.bringup import up

    rig = find_rig(arguments.rig)
    notices().print(f'{rig.name}: {", ".join(rig.cameras)}; Ctrl-C ends')
    status = up(
        rig,
        processes=arguments.processes,
        discovery=arguments.discovery,
        clock=arguments.clock,
    )
    notices().print(f'{rig.name}: ended')
    return status

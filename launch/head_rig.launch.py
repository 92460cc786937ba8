"""Cameras, synchroniser and inference of one rig, for ``ros2 launch``."""

import os
import sys

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.entity import LaunchEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from hand_pose_ros.rig.description import RigDescription, find_rig
from hand_pose_ros.ros.environment import DISCOVERY_RANGES, prepare
from launch import LaunchContext, LaunchDescription

YES_NO = ['true', 'false']


def generate_launch_description() -> LaunchDescription:
    """Describe the launch."""
    return LaunchDescription([*arguments(), OpaqueFunction(function=start)])


def arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments of the launch file."""
    return [
        DeclareLaunchArgument(
            'rig',
            default_value='simulated_head_rig',
            description='Rig file, or the name of a rig that comes with the package.',
        ),
        DeclareLaunchArgument(
            'processes',
            default_value='false',
            choices=YES_NO,
            description='One process for each node; false starts all nodes in one process.',
        ),
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of all nodes; empty for none.'
        ),
        DeclareLaunchArgument(
            'remaps',
            default_value='',
            description='Rules from:=to for all nodes, separated by spaces.',
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='false',
            choices=YES_NO,
            description='Take the time from /clock, as when a bag is played.',
        ),
        DeclareLaunchArgument(
            'parameter_file',
            default_value='',
            description='YAML file with parameters of the nodes; empty for none.',
        ),
        DeclareLaunchArgument(
            'record',
            default_value='',
            description='Folder of a bag to record cameras and hands to; empty for none.',
        ),
        DeclareLaunchArgument(
            'discovery',
            default_value='LOCALHOST',
            choices=list(DISCOVERY_RANGES),
            description='Who may see the topics: this machine, or its subnet.',
        ),
    ]


def start(context: LaunchContext) -> list[LaunchEntity]:
    """Return what to start, now that the arguments have values."""
    values = {
        name: LaunchConfiguration(name).perform(context)
        for name in (
            'rig',
            'processes',
            'namespace',
            'remaps',
            'use_sim_time',
            'parameter_file',
            'record',
        )
    }
    environment = dict(os.environ)
    prepare(LaunchConfiguration('discovery').perform(context), environment)
    changes = [
        SetEnvironmentVariable(name, value)
        for name, value in environment.items()
        if os.environ.get(name) != value
    ]
    rig = find_rig(values['rig'])
    recorder = [recording(values)] if values['record'] else []
    if values['processes'] == 'true':
        return [*changes, *separate_nodes(rig, values), *recorder]
    return [*changes, one_process(values), *recorder]


def separate_nodes(rig: RigDescription, values: dict[str, str]) -> list[Node]:
    """Return one camera node for each camera of the rig and the inference node."""
    shared = {'rig': values['rig'], 'use_sim_time': values['use_sim_time'] == 'true'}
    files = [values['parameter_file']] if values['parameter_file'] else []
    options = {
        'package': 'hand_pose_ros',
        'namespace': values['namespace'],
        'remappings': [tuple(rule.split(':=', 1)) for rule in values['remaps'].split()],
        'output': 'screen',
    }
    cameras = [
        Node(
            executable='camera_node',
            name=f'{camera.name}_camera',
            parameters=[*files, {**shared, 'camera': camera.name}],
            **options,
        )
        for camera in rig.cameras.values()
        if camera.driver != 'external'
    ]
    inference = Node(
        executable='inference_node', name='inference', parameters=[*files, shared], **options
    )
    return [*cameras, inference]


def recording(values: dict[str, str]) -> ExecuteProcess:
    """Return the process that records the rig's topics until the launch ends."""
    command = [sys.executable, '-m', 'hand_pose_ros.cli.main', 'record']
    return ExecuteProcess(
        cmd=[*command, values['rig'], values['record'], '--results'], output='screen'
    )


def one_process(values: dict[str, str]) -> ExecuteProcess:
    """Return the process that runs all nodes of the rig."""
    command = [sys.executable, '-m', 'hand_pose_ros.ros.bringup', values['rig']]
    if values['namespace']:
        command += ['--namespace', values['namespace']]
    if values['use_sim_time'] == 'true':
        command.append('--use-sim-time')
    if values['parameter_file']:
        command += ['--parameter-file', values['parameter_file']]
    for rule in values['remaps'].split():
        command += ['--remap', rule]
    return ExecuteProcess(cmd=command, output='screen')

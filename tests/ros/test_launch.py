"""The launch file, with small stand-ins for the launch packages that PyPI does not have."""

import ast
import sys
import types

import pytest

from hand_pose_ros.cli.main import parser
from hand_pose_ros.rig.description import find_rig


class Recorded:
    """Any launch action: remembers how it was made."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


class LaunchConfiguration(Recorded):
    def perform(self, context):
        return context[self.args[0]]


@pytest.fixture
def launch_file(repository, monkeypatch):
    """The launch file as a module."""

    def stand_in(name, *classes):
        module = types.ModuleType(name)
        for entry in classes:
            entry = entry if isinstance(entry, type) else type(entry, (Recorded,), {})
            setattr(module, entry.__name__, entry)
        monkeypatch.setitem(sys.modules, name, module)

    stand_in('launch', 'LaunchContext', 'LaunchDescription')
    stand_in('launch.actions', 'DeclareLaunchArgument', 'ExecuteProcess', 'OpaqueFunction',
             'SetEnvironmentVariable')  # fmt: skip
    stand_in('launch.entity', 'LaunchEntity')
    stand_in('launch.substitutions', LaunchConfiguration)
    stand_in('launch_ros', 'nothing')
    stand_in('launch_ros.actions', 'Node')
    path = repository / 'launch' / 'head_rig.launch.py'
    module = types.ModuleType('head_rig_launch')
    exec(compile(path.read_text(), str(path), 'exec'), module.__dict__)
    return module


def defaults(launch_file):
    return {a.args[0]: a.kwargs['default_value'] for a in launch_file.arguments()}


def started(launch_file, **changes):
    context = {**defaults(launch_file), **changes}
    actions = launch_file.start(context)
    kinds = {}
    for action in actions:
        kinds.setdefault(type(action).__name__, []).append(action)
    return kinds


def test_every_argument_is_described(launch_file):
    description = launch_file.generate_launch_description()
    declared = [a for a in description.args[0] if type(a).__name__ == 'DeclareLaunchArgument']
    names = [a.args[0] for a in declared]
    assert names == ['rig', 'processes', 'namespace', 'remaps', 'use_sim_time', 'parameter_file',
                     'record', 'discovery']  # fmt: skip
    for argument in declared:
        assert argument.kwargs['description'].endswith('.')
        choices = argument.kwargs.get('choices')
        assert choices is None or argument.kwargs['default_value'] in choices


def test_one_process_by_default(launch_file):
    kinds = started(launch_file)
    (process,) = kinds['ExecuteProcess']
    assert process.kwargs['cmd'] == [
        sys.executable, '-m', 'hand_pose_ros.ros.bringup', 'simulated_head_rig',
    ]  # fmt: skip
    assert 'Node' not in kinds


def test_arguments_reach_the_one_process(launch_file):
    kinds = started(
        launch_file, namespace='head', use_sim_time='true', parameter_file='p.yaml',
        remaps='a:=b c:=d',
    )  # fmt: skip
    command = kinds['ExecuteProcess'][0].kwargs['cmd'][4:]
    assert command == ['--namespace', 'head', '--use-sim-time', '--parameter-file', 'p.yaml',
                       '--remap', 'a:=b', '--remap', 'c:=d']  # fmt: skip


def test_the_command_of_the_one_process_is_understood(launch_file, monkeypatch):
    from hand_pose_ros.ros import bringup

    seen = {}
    monkeypatch.setattr(bringup, 'up', lambda rig, **options: seen.update(options) or 0)
    kinds = started(launch_file, namespace='head', use_sim_time='true', remaps='a:=b')
    assert bringup.main(kinds['ExecuteProcess'][0].kwargs['cmd'][3:]) == 0
    assert seen['namespace'] == 'head'
    assert seen['use_sim_time'] is True
    assert seen['remaps'] == ['a:=b']


def test_a_node_for_each_camera_and_inference(launch_file):
    kinds = started(launch_file, processes='true', namespace='head', remaps='a:=b',
                    parameter_file='p.yaml')  # fmt: skip
    nodes = {node.kwargs['name']: node.kwargs for node in kinds['Node']}
    rig = find_rig('simulated_head_rig')
    assert set(nodes) == {f'{name}_camera' for name in rig.cameras} | {'inference'}
    for name, node in nodes.items():
        assert node['package'] == 'hand_pose_ros'
        assert node['namespace'] == 'head'
        assert node['remappings'] == [('a', 'b')]
        file, values = node['parameters']
        assert file == 'p.yaml'
        assert values['rig'] == 'simulated_head_rig'
        assert values['use_sim_time'] is False
        if name != 'inference':
            assert node['executable'] == 'camera_node'
            assert f'{values["camera"]}_camera' == name


def test_executables_are_installed(launch_file, repository):
    kinds = started(launch_file, processes='true')
    for node in kinds['Node']:
        assert (repository / 'scripts' / node.kwargs['executable']).is_file()


def test_the_environment_is_prepared(launch_file, monkeypatch):
    monkeypatch.delenv('ROS_AUTOMATIC_DISCOVERY_RANGE', raising=False)
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    changes = dict(a.args for a in started(launch_file)['SetEnvironmentVariable'])
    assert changes['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert changes['FASTDDS_DEFAULT_PROFILES_FILE'].endswith('fastdds.xml')
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/etc/mine.xml')
    changes = dict(a.args for a in started(launch_file)['SetEnvironmentVariable'])
    assert 'FASTDDS_DEFAULT_PROFILES_FILE' not in changes


def test_it_is_thin(repository):
    """What a launch file decides cannot be tested with the real launch here: keep it short."""
    text = (repository / 'launch' / 'head_rig.launch.py').read_text()
    assert len(text.splitlines()) < 160
    tree = ast.parse(text)
    assert not any(isinstance(node, ast.Try | ast.While) for node in ast.walk(tree))
    assert '/home' not in text
    assert '/opt' not in text


def test_a_rig_can_be_recorded(launch_file):
    assert len(started(launch_file)['ExecuteProcess']) == 1
    _, recorder = started(launch_file, record='/data/session')['ExecuteProcess']
    command = recorder.kwargs['cmd']
    assert command[1:3] == ['-m', 'hand_pose_ros.cli.main']
    parsed = parser().parse_args(command[3:])
    assert (parsed.verb, parsed.rig, str(parsed.output)) == (
        'record', 'simulated_head_rig', '/data/session',
    )  # fmt: skip
    assert parsed.results

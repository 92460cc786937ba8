"""Starting everything a rig needs: camera nodes and the inference node, in one process or many."""

import argparse
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter

from hand_pose_ros.cameras import registry
from hand_pose_ros.cameras.driver import CameraDriver
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.interrupts import forget_interrupt
from hand_pose_ros.rig.description import CameraDescription, RigDescription, find_rig, save_rig
from hand_pose_ros.rig.model import EXTERNAL_DRIVER
from hand_pose_ros.ros.camera_node import CameraNode
from hand_pose_ros.ros.camera_stream import ReplayClock
from hand_pose_ros.ros.child_processes import ChildProcesses
from hand_pose_ros.ros.clock_node import ClockNode
from hand_pose_ros.ros.environment import DISCOVERY_RANGES, prepare
from hand_pose_ros.ros.inference_node import InferenceNode

# Threads that wait for the interpreter get it this soon: several cameras, one executor and one
# estimator share it, and Python's own 5 ms add up along the way of an image.
_SWITCH_INTERVAL = 0.001
# Recordings in several processes start together this much later than the first process.
_REPLAY_LEAD = 3_000_000_000
_CHECK_PERIOD = 0.5


@dataclass(frozen=True, kw_only=True)
class BringupOptions:
    """How a rig is brought up.

    Attributes:
        processes: one process for each node instead of one for all.
        discovery: who may see the topics, see ``environment.prepare``.
        namespace: of all nodes, empty for none.
        use_sim_time: take the time from /clock.
        clock: publish the time of the rig's recordings on /clock and live in it: images keep
            their recorded stamps.
        remaps: ``from:=to`` rules for all nodes.
        parameter_file: YAML file with parameters of the nodes, empty for none.
        parameters: of the inference node, by name.
        inference: whether to start the inference node, or the cameras only.
    """

    processes: bool = False
    discovery: str = 'LOCALHOST'
    namespace: str = ''
    use_sim_time: bool = False
    clock: bool = False
    remaps: tuple[str, ...] = ()
    parameter_file: str = ''
    parameters: dict[str, Any] | None = None
    inference: bool = True


class Graph:
    """A running graph; spins what runs in this process and watches what does not.

    Camera nodes are spun by a thread of their own: they have next to nothing to do for an executor,
    but everything that one watches makes each of its rounds longer.

    Attributes:
        executor: of the nodes of this process that are no cameras.
        nodes: nodes of this process, by name.
        children: nodes in other processes.
    """

    def __init__(self, context: Context | None = None) -> None:
        """Make an empty graph."""
        self.executor = SingleThreadedExecutor(context=context)
        self._cameras = SingleThreadedExecutor(context=context)
        self._camera_thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self.nodes: dict[str, Node] = {}
        self.children = ChildProcesses(get_logger('bringup').error)

    def add(self, node: Node) -> None:
        """Let this graph spin a node, and destroy it at the end."""
        self.nodes[node.get_name()] = node
        self.executor.add_node(node)

    def add_camera(self, node: Node) -> None:
        """Let the camera thread spin a node of cameras, and destroy it at the end."""
        self.nodes[node.get_name()] = node
        self._cameras.add_node(node)
        if self._camera_thread is None:
            self._camera_thread = threading.Thread(
                target=self._spin_cameras, name='camera nodes', daemon=True
            )
            self._camera_thread.start()

    def spin(self, seconds: float | None = None) -> None:
        """Run for some time, or until the program is interrupted.

        Raises:
            HandPoseError: a process of the graph cannot be kept running.
            ExternalShutdownException: the program was interrupted.
        """
        end = None if seconds is None else time.monotonic() + seconds
        next_check = time.monotonic()
        while end is None or time.monotonic() < end:
            _spin_once(self.executor, 0.1)
            # What an interrupt has ended is not to be started again.
            if time.monotonic() >= next_check and self.executor.context.ok():
                next_check += _CHECK_PERIOD
                self.children.check()

    def stop(self) -> None:
        """End all processes and destroy all nodes."""
        self.children.stop()
        # An executor must not be shut down under a thread that spins it.
        self._stopping.set()
        if self._camera_thread is not None:
            self._cameras.wake()
            self._camera_thread.join()
        self._cameras.shutdown()
        # Cameras first: nothing is published to what is already gone.
        for node in self.nodes.values():
            node.destroy_node()
        self.nodes.clear()
        self.executor.shutdown()

    def _spin_cameras(self) -> None:
        with suppress(ExternalShutdownException):
            while not self._stopping.is_set():
                _spin_once(self._cameras, 0.5)


def _spin_once(executor: SingleThreadedExecutor, seconds: float) -> None:
    try:
        executor.spin_once(timeout_sec=seconds)
    except Exception:
        # Whatever a callback was at when the program was interrupted fails in its own way.
        if executor.context.ok():
            raise
        raise ExternalShutdownException from None


@contextmanager
def running(rig: RigDescription, options: BringupOptions | None = None) -> Iterator[Graph]:
    """Start the graph of a rig and stop it at the end of the ``with`` block.

    The block has to call ``Graph.spin``; nodes it adds to the graph are spun along.

    Raises:
        HandPoseError: something in the rig cannot be started.
    """
    options = options or BringupOptions()
    prepare(options.discovery)
    made_context = not rclpy.ok()
    if made_context:
        rclpy.init()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    graph = Graph()
    try:
        with tempfile.TemporaryDirectory(prefix='hand_pose_rig_') as folder:
            try:
                _start(graph, rig, options, Path(folder))
                yield graph
            finally:
                graph.stop()
    finally:
        sys.setswitchinterval(interval)
        if made_context:
            rclpy.try_shutdown()


def up(
    rig: RigDescription,
    *,
    processes: bool = False,
    discovery: str = 'LOCALHOST',
    namespace: str = '',
    use_sim_time: bool = False,
    clock: bool = False,
    remaps: Sequence[str] = (),
    parameter_file: str = '',
    seconds: float | None = None,
) -> int:
    """Bring a rig up and run until interrupted.

    Args:
        rig: the rig.
        processes: one process for each node instead of one for all.
        discovery: who may see the topics: ``LOCALHOST`` or ``SUBNET``.
        namespace: of all nodes.
        use_sim_time: take the time from /clock.
        clock: publish the time of the rig's recordings on /clock and live in it: images keep
            their recorded stamps.
        remaps: ``from:=to`` rules for all nodes.
        parameter_file: YAML file with parameters of the nodes.
        seconds: end after this time; None runs until SIGINT or SIGTERM.

    Returns:
        Exit status 0.

    Raises:
        HandPoseError: something in the rig cannot be started or kept running.
    """
    options = BringupOptions(
        processes=processes,
        discovery=discovery,
        namespace=namespace,
        use_sim_time=use_sim_time,
        clock=clock,
        remaps=tuple(remaps),
        parameter_file=parameter_file,
    )
    with suppress(KeyboardInterrupt, ExternalShutdownException), running(rig, options) as graph:
        graph.spin(seconds)
    forget_interrupt()
    return 0


def cameras_to_open(rig: RigDescription) -> list[CameraDescription]:
    """Return the cameras that need a camera node: all whose driver is not ``external``."""
    return [camera for camera in rig.cameras.values() if camera.driver != EXTERNAL_DRIVER]


def _start(graph: Graph, rig: RigDescription, options: BringupOptions, folder: Path) -> None:
    try:
        if options.processes:
            _start_processes(graph, rig, options, folder)
        else:
            _start_nodes(graph, rig, options)
    except HandPoseError:
        raise
    except Exception:
        # An interrupted program has no context to make a node in.
        if rclpy.ok():
            raise
        raise ExternalShutdownException from None


def _start_nodes(graph: Graph, rig: RigDescription, options: BringupOptions) -> None:
    replay = ReplayClock()
    arguments = _shared_arguments(options)
    common: dict[str, Any] = {'namespace': options.namespace, 'cli_args': arguments, 'rig': rig}
    sim_time = Parameter('use_sim_time', value=options.use_sim_time or options.clock)
    stamps = [Parameter('restamp', value=False)] if options.clock else []
    if options.clock:
        _add_clock(graph, rig, replay)
    for camera in cameras_to_open(rig):
        chosen = [Parameter('camera', value=camera.name), sim_time, *stamps]
        name = f'{camera.name}_camera'
        graph.add_camera(CameraNode(name, replay=replay, parameter_overrides=chosen, **common))
    if options.inference:
        chosen = [Parameter(k, value=v) for k, v in (options.parameters or {}).items()]
        graph.add(InferenceNode(parameter_overrides=[*chosen, sim_time], **common))


def _start_processes(
    graph: Graph, rig: RigDescription, options: BringupOptions, folder: Path
) -> None:
    path = folder / 'rig.yaml'
    save_rig(rig, path)
    shared = {'rig': str(path), 'use_sim_time': options.use_sim_time or options.clock}
    replay = _replay_parameters(rig)
    if options.clock:
        clock = ReplayClock(origin=replay.get('replay_origin'), start=replay.get('replay_start'))
        _add_clock(graph, rig, clock)
        replay['restamp'] = False
    for camera in cameras_to_open(rig):
        arguments = _node_arguments(
            f'{camera.name}_camera', {**shared, **replay, 'camera': camera.name}, options
        )
        graph.children.start(f'{camera.name}_camera', 'hand_pose_ros.ros.camera_node', arguments)
    if options.inference:
        chosen = {**shared, **(options.parameters or {})}
        arguments = _node_arguments('inference', chosen, options)
        graph.children.start('inference', 'hand_pose_ros.ros.inference_node', arguments)


def _recordings(rig: RigDescription) -> list[CameraDriver]:
    """Return drivers, not open yet, of the cameras that play a recording."""
    drivers = [registry.create(camera, rig) for camera in cameras_to_open(rig)]
    return [driver for driver in drivers if not driver.live]


def _add_clock(graph: Graph, rig: RigDescription, replay: ReplayClock) -> None:
    """Let the graph publish recorded time; raises HandPoseError when nothing is recorded."""
    if not _recordings(rig):
        raise HandPoseError(
            f'{rig.name}: no camera plays a recording, so there is no recorded time to publish '
            'on /clock: leave --clock out, or use the driver bag'
        )
    graph.add_camera(ClockNode(replay))


def _replay_parameters(rig: RigDescription) -> dict[str, Any]:
    """Return what keeps recorded cameras in step: first stamp of all, and when it is played."""
    first: list[int] = []
    for driver in _recordings(rig):
        try:
            driver.open()
            first += [sample.stamp for sample in itertools.islice(driver.samples(), 1)]
        finally:
            driver.close()
    if not first:
        return {}
    return {'replay_origin': min(first), 'replay_start': time.time_ns() + _REPLAY_LEAD}


def _shared_arguments(options: BringupOptions) -> list[str]:
    """Return the command-line arguments that all nodes get."""
    words = [word for rule in options.remaps for word in ('-r', rule)]
    if options.parameter_file:
        words += ['--params-file', options.parameter_file]
    return ['--ros-args', *words]


def _node_arguments(name: str, parameters: dict[str, Any], options: BringupOptions) -> list[str]:
    arguments = [*_shared_arguments(options), '-r', f'__node:={name}']
    if options.namespace:
        arguments += ['-r', f'__ns:=/{options.namespace.strip("/")}']
    for key, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else value
        arguments += ['-p', f'{key}:={text}']
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Bring a rig up from the command line; what the launch file starts in one process."""
    parser = argparse.ArgumentParser(description='Bring a rig up until interrupted.')
    parser.add_argument('rig', help='rig file, or the name of a rig that comes with the package')
    parser.add_argument('--processes', action='store_true', help='one process for each node')
    parser.add_argument('--discovery', default='LOCALHOST', choices=DISCOVERY_RANGES)
    parser.add_argument('--namespace', default='', help='namespace of all nodes')
    parser.add_argument('--use-sim-time', action='store_true', help='take the time from /clock')
    parser.add_argument('--clock', action='store_true', help='publish recorded time on /clock')
    parser.add_argument('--remap', action='append', default=[], metavar='FROM:=TO')
    parser.add_argument('--parameter-file', default='', help='YAML file with parameters')
    arguments = parser.parse_args(argv)
    try:
        return up(
            find_rig(arguments.rig),
            processes=arguments.processes,
            discovery=arguments.discovery,
            namespace=arguments.namespace,
            use_sim_time=arguments.use_sim_time,
            clock=arguments.clock,
            remaps=arguments.remap,
            parameter_file=arguments.parameter_file,
        )
    except HandPoseError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


if __name__ == '__main__':
    sys.exit(main())

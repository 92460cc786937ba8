"""What the lifecycle nodes share: hooks that may fail with a sentence, and the own start."""

import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.timer import Timer

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.interrupts import forget_interrupt
from hand_pose_ros.ros.parameters import NodeParameter, declare, value_of

AUTOSTART = NodeParameter(
    name='autostart',
    default=True,
    description='Whether the node configures and activates itself at the start.',
)


class ManagedNode(LifecycleNode):
    """A lifecycle node whose steps are four hooks; a hook that raises fails its transition.

    Subclasses override ``allocate``, ``begin``, ``end`` and ``free``; ``end`` and ``free`` must
    also work after a ``begin`` or ``allocate`` that failed halfway.
    """

    def __init__(self, name: str, table: Sequence[NodeParameter], **options: Any) -> None:
        """Declare the parameters and, unless told otherwise, start in the first spin.

        Raises:
            ParameterError: a parameter does not exist or has a value it cannot have.
        """
        super().__init__(name, **options)
        declare(self, (AUTOSTART, *table))
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._logged: dict[str, float] = {}
        self._start_timer: Timer | None = None
        if value_of(self, 'autostart'):
            self._start_timer = self.create_timer(0.001, self._start, clock=self.steady)

    def allocate(self) -> None:
        """Read the configuration and get what activation needs (transition ``configure``)."""

    def begin(self) -> None:
        """Start to work (transition ``activate``)."""

    def end(self) -> None:
        """Stop to work (transition ``deactivate``)."""

    def free(self) -> None:
        """Give back what ``allocate`` got (transition ``cleanup``)."""

    @property
    def is_active(self) -> bool:
        """Whether the node is in its state ``active``."""
        return self._state_machine.current_state[1] == 'active'

    def log_sometimes(self, key: str, text: str, *, period: float = 5.0) -> None:
        """Log an error at most once in ``period`` seconds for each key."""
        now = time.monotonic()
        if now - self._logged.get(key, -period) >= period:
            self._logged[key] = now
            self.get_logger().error(text)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``allocate``."""
        result = self._attempt('configure', (self.allocate,), undo=self.free)
        self._hush()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``begin``."""
        result = self._attempt('activate', (self.begin,), undo=self.end)
        self._hush()
        return super().on_activate(state) if result == TransitionCallbackReturn.SUCCESS else result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``end``."""
        super().on_deactivate(state)
        return self._attempt('deactivate', (self.end,))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``free``."""
        return self._attempt('clean up', (self.free,))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``end`` and ``free``."""
        return self._attempt('shut down', (self.end, self.free))

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything and become unconfigured."""
        return self._attempt('recover', (self.end, self.free))

    def destroy_node(self) -> None:
        """Stop all threads and free everything."""
        self._attempt('stop', (self.end, self.free))
        super().destroy_node()

    def _start(self) -> None:
        if self._start_timer is not None:
            self.destroy_timer(self._start_timer)
            self._start_timer = None
        success = TransitionCallbackReturn.SUCCESS
        if self._state_machine.current_state[1] != 'unconfigured':
            return
        if self.trigger_configure() == success:
            self.trigger_activate()

    def _hush(self) -> None:
        """Keep rclpy from complaining that an interrupted program finishes no transition."""
        if not self.context.ok():
            self.get_logger().set_level(LoggingSeverity.FATAL)

    def _attempt(
        self,
        what: str,
        hooks: Sequence[Callable[[], None]],
        undo: Callable[[], None] | None = None,
    ) -> TransitionCallbackReturn:
        try:
            for hook in hooks:
                hook()
        except Exception as error:
            reason = str(error) if isinstance(error, HandPoseError) else traceback.format_exc()
            # An interrupted program has no context to finish a step in.
            if self.context.ok():
                self.get_logger().error(f'cannot {what}: {reason}')
            if undo is not None:
                undo()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS


def run_node(make: Callable[[], Node], argv: list[str] | None = None) -> int:
    """Run one node until it is interrupted; the body of the executables.

    Returns:
        The exit status: 0 after SIGINT or SIGTERM, 1 when the node cannot be made.
    """
    # Of nodes that are interrupted while they are made.
    warnings.filterwarnings('ignore', 'Failed to fini', RuntimeWarning)
    rclpy.init(args=argv)
    executor = SingleThreadedExecutor()
    node: Node | None = None
    try:
        node = make()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except HandPoseError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except Exception:
        # Whatever a callback was at when the program was interrupted fails in its own way.
        if rclpy.ok():
            raise
        return 0
    finally:
        if node is not None:
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
        forget_interrupt()
    return 0

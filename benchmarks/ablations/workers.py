"""Processes that do jobs from one list, a job at a time each."""

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to do in another process.

    Attributes:
        name: what it is known by.
        function: found by its module and name in the process.
        arguments: of the function.
    """

    name: Any
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job: its value, or what went wrong (a trace), or neither when it failed."""

    value: Any = None
    error: str = ''


def work(
    take: Callable[[], Job | None], finished: Callable[[Job, Outcome], None], *,
    processes: int, deadline: float = math.inf, grace: float = 30.0,
) -> None:  # fmt: skip
    """Do jobs until there are none left, or the time is up.

    A process that failed is replaced, for a GPU's context may be broken in it.

    Args:
        take: returns the next job; None if none can be begun before another one has finished.
        finished: told how each ended.
        processes: how many at once.
        deadline: ``time.time()`` from which on no job is begun.
        grace: seconds after it at which jobs that still run are ended.
    """
    idle: list[tuple[Connection, BaseProcess]] = []
    busy: dict[Connection, tuple[BaseProcess, Job]] = {}
    try:
        while True:
            while len(busy) < processes and time.time() < deadline and (job := take()) is not None:
                connection, process = idle.pop() if idle else _started()
                connection.send((job.function, job.arguments))
                busy[connection] = process, job
            left = max(deadline + grace - time.time(), 0.0)
            if not busy or not left:
                return
            ready = wait(list(busy), None if math.isinf(left) else left)
            for connection in [one for one in busy if one in ready]:
                process, job = busy.pop(connection)
                outcome = _received(connection, process)
                if outcome.error:
                    process.join(5.0)
                else:
                    idle.append((connection, process))
                finished(job, outcome)
    finally:
        for process in [one for _, one in idle] + [one for one, _ in busy.values()]:
            process.terminate()
            process.join()


def _started() -> tuple[Connection, BaseProcess]:
    """Start a process that imports nothing of the one it comes from."""
    context = get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,))
    process.start()
    there.close()
    return here, process


def _serve(connection: Connection) -> None:
    """Do jobs as they come, in a process of its own, until one fails or nobody is left to ask."""
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            outcome = Outcome(value=function(*arguments))
        except Exception:
            outcome = Outcome(error=traceback.format_exc())
        connection.send(outcome)
        if outcome.error:
            return


def _received(connection: Connection, process: BaseProcess) -> Outcome:
    try:
        outcome: Outcome = connection.recv()
    except EOFError:
        process.join(5.0)
        return Outcome(error=f'the process ended with status {process.exitcode}')
    return outcome

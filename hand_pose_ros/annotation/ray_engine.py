"""Ray engine: sessions annotated in parallel by the workers of a Ray cluster.

A worker that is killed loses nothing but the chunk it was at: Ray starts the session again on
another worker, which goes on with the chunks that are there. All workers must see the sessions
under the same paths.
"""

import logging
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hand_pose_ros.annotation.outputs import OUTPUTS
from hand_pose_ros.annotation.session_task import annotate_session
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.errors import HandPoseError

# How often a session is begun again after the worker that had it died.
_RETRIES = 5


def annotate_sessions(
    paths: Sequence[Path],
    settings: Settings,
    *,
    address: str = 'auto',
    rig: Path | None = None,
    outputs: tuple[str, ...] = OUTPUTS,
    subject: int = 3,
) -> Iterator[tuple[Path, dict[str, Any] | None, str]]:
    """Annotate sessions on a cluster and yield each as it is done.

    Args:
        paths: the sessions' bags.
        settings: what to use; a session takes ``threads`` cores of a worker.
        address: of a running cluster, ``auto`` for the one this machine belongs to.
        rig: file to use instead of the recorded rigs.
        outputs: what to write beside the labels.
        subject: number of the person in the ThermoHands trees.

    Yields:
        the path, the report or None, and the sentence of an error.

    Raises:
        HandPoseError: if Ray is not installed or the cluster does not answer.
    """
    try:
        import ray
    except ImportError:
        raise HandPoseError(
            '--engine ray needs the package ray: install requirements/ray.txt.'
        ) from None
    started = not ray.is_initialized()
    if started:
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise HandPoseError(
                f'Ray cluster {address!r} does not answer ({error}): start one with `ray start '
                '--head`, or name another --address.'
            ) from None
    try:
        task = ray.remote(num_cpus=settings.threads, max_retries=_RETRIES)(_annotated)
        waiting = {
            task.remote(path.resolve(), settings, rig and rig.resolve(), outputs, subject): path
            for path in paths
        }
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            path = waiting.pop(done)
            try:
                report, failure = ray.get(done)
            except ray.exceptions.RayError as error:
                report, failure = None, f'the worker failed ({type(error).__name__}): run it again.'
            yield path, report, failure
    finally:
        if started:
            ray.shutdown()


def _knock(address: str) -> None:
    """Make sure that somebody listens at ``host:port``: Ray itself waits for minutes."""
    host, _, port = address.rpartition('://')[2].rpartition(':')
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5.0).close()


def _annotated(
    path: Path, settings: Settings, rig: Path | None, outputs: tuple[str, ...], subject: int
) -> tuple[dict[str, Any] | None, str]:
    """Annotate in a worker; what the user can solve comes back as a sentence."""
    try:
        report = annotate_session(path, settings, rig=rig, outputs=outputs, subject=subject)
    except HandPoseError as error:
        return None, str(error)
    return report, ''

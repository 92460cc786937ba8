"""Workers: chunks of one session gathered by several processes at once."""

import ctypes
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from threadpoolctl import threadpool_limits

from hand_pose_ros.annotation.gathering import Gatherer
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.annotation.work import WorkFolder
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.session import Session

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux

# What a worker process works with.
_tools: tuple[Gatherer, WorkFolder]


def gather_chunks(gatherer: Gatherer, work: WorkFolder, places: Sequence[int]) -> Iterator[int]:
    """Gather the evidence of chunks, save it, and yield the number of each as it is done.

    Several chunks are shared by ``threads`` processes of one thread each: they keep the cores
    busier than threads that wait for each other in every frame.

    Args:
        gatherer: of the session.
        work: where evidence is saved.
        places: numbers of the chunks.

    Raises:
        HandPoseError: if the session cannot be read, or a process was killed.
    """
    processes = min(gatherer.settings.threads, len(places))
    if processes < 2:
        for place in places:
            work.save_evidence(place, gatherer.gather(gatherer.chunks[place]))
            yield place
        return
    arguments = gatherer.session.path, gatherer.session.rig, gatherer.settings, work
    with ProcessPoolExecutor(processes, get_context('spawn'), _begin, arguments) as pool:
        try:
            for done in as_completed([pool.submit(_gather, place) for place in places]):
                yield done.result()
        except BrokenProcessPool:
            raise HandPoseError(
                f'{gatherer.session.path}: a process that worked on it was killed: run again, with '
                'fewer --threads if memory is short.'
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(path: Path, rig: RigDescription, settings: Settings, work: WorkFolder) -> None:
    """Prepare a worker process, which ends with the process that started it."""
    global _tools
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    threadpool_limits(1, user_api='blas')
    one_thread = replace(settings, threads=1)
    _tools = Gatherer(session=Session(path, rig), settings=one_thread), work


def _gather(place: int) -> int:
    gatherer, work = _tools
    work.save_evidence(place, gatherer.gather(gatherer.chunks[place]))
    return place

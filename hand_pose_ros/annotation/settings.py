"""Settings: what can be chosen when a session is annotated, and the key results are kept under."""

import hashlib
import json
from dataclasses import asdict, dataclass

from hand_pose_ros import __version__
from hand_pose_ros.errors import DataError
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.sessions.session import Session

# Raised when the same settings would give other evidence or labels than before.
_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen.

    Attributes:
        estimator: live estimator that finds and follows the hands.
        cameras: names of the cameras to use; empty for every calibrated one.
        segmenter: ``module:factory`` of a plug-in that masks hands; empty for the built-in one.
        chunk: frames that are worked on, kept and resumed together.
        threads: cores to use.
        device: where hands are fitted: ``cpu``, ``cuda`` or ``cuda:N``.
    """

    estimator: str = 'landmarks'
    cameras: tuple[str, ...] = ()
    segmenter: str = ''
    chunk: int = 128
    threads: int = 2
    device: str = 'cpu'

    def __post_init__(self) -> None:
        """Refuse chunks too short to say anything about motion."""
        if self.chunk < 16:
            raise DataError(f'chunk is {self.chunk} frames: use at least 16.')


def work_key(settings: Settings, session: Session) -> str:
    """Return a hash of all that the results depend on: settings, rig, trajectories and images."""
    chosen = asdict(settings)
    for name in ('threads', 'device'):  # they change the speed only
        del chosen[name]
    digest = hashlib.sha256(json.dumps([__version__, _VERSION, chosen], sort_keys=True).encode())
    digest.update(rig_text(session.rig).encode())
    for body in sorted(session.trajectories):
        trajectory = session.trajectories[body]
        digest.update(body.encode() + trajectory.stamps.tobytes() + trajectory.T_rig_body.tobytes())
    for name, index in sorted(session.streams.items()):
        digest.update(name.encode() + index.stamps.tobytes())
    return digest.hexdigest()[:16]

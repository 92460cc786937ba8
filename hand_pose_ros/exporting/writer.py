"""EpisodeWriter: what every format of an export offers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from hand_pose_ros.exporting.episodes import Episode
from hand_pose_ros.sessions.session import Session


@dataclass(kw_only=True)
class EpisodeWriter(ABC):
    """Episodes on their way into a folder.

    Attributes:
        folder: an existing, empty folder.
        rate: moments per second.
        task: what is done in all episodes.
    """

    folder: Path
    rate: float
    task: str

    @abstractmethod
    def add(self, session: Session, episodes: list[Episode]) -> None:
        """Write the episodes of one session."""

    @abstractmethod
    def finish(self) -> None:
        """Write what describes all of them."""

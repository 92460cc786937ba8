"""The contract every estimator keeps."""

from typing import Protocol

from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import RigFrame


class Estimator(Protocol):
    """Turns rig frames, given in time order, into hand poses.

    Attributes:
        name: registered name, published with every result.
        model_hash: hash of the model files in use (hex), published with every result.
        timings: seconds spent per stage in the last call, by stage name.
    """

    name: str
    model_hash: str
    timings: dict[str, float]

    def estimate(self, frame: RigFrame) -> list[HandPose]:
        """Return the hands in one frame, expressed in ``frame.frame_id``."""
        ...

    def reset(self) -> None:
        """Forget all tracks, as after a jump of time."""
        ...

"""Flat tracking: hands in the images of an uncalibrated camera, in 2D only."""

import numpy as np

from hand_pose_ros.estimators.landmark_stream import (
    HandLandmarks,
    LandmarkStream,
    LandmarkStreamConfig,
)
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.networks import HandNetworks
from hand_pose_ros.estimators.regions import iou
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import Modality, RigFrame
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES, Side

_SAME_HAND = 0.3


class _FlatTrack:
    """One hand in the images of one stream."""

    def __init__(self, number: int, hand: HandLandmarks) -> None:
        self.number = number
        self.votes = 0.0
        self.take(hand)

    def take(self, hand: HandLandmarks) -> None:
        self.hand = hand
        bounded = float(np.clip(hand.right_probability, 0.01, 0.99))
        self.votes = float(np.clip(self.votes + np.log(bounded / (1 - bounded)), -40.0, 40.0))


class FlatTracker:
    """Follows hands in the first stream that the landmark network can read."""

    def __init__(
        self, networks: HandNetworks, modalities: dict[str, Modality], config: LandmarksConfig
    ) -> None:
        """Prepare; streams are made when first seen."""
        self._networks, self._modalities, self._config = networks, modalities, config
        self._streams: dict[str, LandmarkStream] = {}
        self._next = 1
        self.reset()

    def reset(self) -> None:
        """Forget all hands."""
        self._tracks: list[_FlatTrack] = []
        for stream in self._streams.values():
            stream.reset()

    def estimate(self, frame: RigFrame) -> list[HandPose]:
        """Return the hands of one image; ``joints`` is None, nothing here is metric."""
        name = self._stream(frame)
        if name is None:
            return []
        if name not in self._streams:
            options = LandmarkStreamConfig(
                presence=self._config.presence,
                palm_score=self._config.palm_score,
                palm_interval=self._config.palm_interval,
            )
            self._streams[name] = LandmarkStream(self._networks, self._modalities[name], options)
        hands = self._streams[name].update(frame.streams[name], max_hands=self._config.max_hands)
        self._match(hands)
        return [
            HandPose(
                side=side,
                track_id=track.number,
                state='tracked',
                score=track.hand.presence,
                joints=None,
                confidence=np.full(JOINT_COUNT, track.hand.presence),
                joints_2d={name: track.hand.points},
                sources=(name,),
            )
            for track, side in zip(self._tracks, self._sides(), strict=True)
        ]

    def _stream(self, frame: RigFrame) -> str | None:
        readable = [
            name
            for name, modality in self._modalities.items()
            if modality != 'depth' and name in frame.streams
        ]
        if frame.reference in readable:
            return frame.reference
        return readable[0] if readable else None

    def _match(self, hands: list[HandLandmarks]) -> None:
        old, self._tracks = self._tracks, []
        for hand in hands:
            best = max(old, key=lambda track: iou(track.hand.region, hand.region), default=None)
            if best is not None and iou(best.hand.region, hand.region) > _SAME_HAND:
                old.remove(best)
                best.take(hand)
            else:
                best = _FlatTrack(self._next, hand)
                self._next += 1
            self._tracks.append(best)

    def _sides(self) -> list[Side]:
        if len(self._tracks) == 2 and self._config.tracking.one_per_side:
            first = int(self._tracks[0].votes > self._tracks[1].votes)
            return [SIDES[first], SIDES[1 - first]]
        return [SIDES[int(track.votes > 0)] for track in self._tracks]

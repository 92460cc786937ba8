"""Fusion stages: TherFormer finds hands, DenseReg and WildHands look closer."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.estimators.stage_timer import StageTimer

Array = NDArray[np.float64]

# Metres from a track to what a whole-image network takes for that hand: its place is coarse.
_SAME_SIDE, _OTHER_SIDE = 0.15, 0.05
# Within this distance of a track a whole-image network may say the same hand twice, metres.
_DOUBLE = 0.07
# Share of a hand's joints that an image must show before a network is asked about it there.
_LEAST_SHOWN = 0.6
# Standard deviation along the view up to which a distance along it counts in full, metres.
_SURE_DEPTH = 0.03


class Finder(Protocol):
    """A network that finds hands in a whole image.

    Attributes:
        stream: whose images it sees.
    """

    stream: str

    def look(self, views: dict[str, View]) -> list[NetworkHand]:
        """Return the hands, most certain first."""
        ...

    def reset(self) -> None:
        """Forget earlier images."""
        ...


class Refiner(Protocol):
    """A network that looks at crops around hands.

    Attributes:
        stream: whose images it sees.
        knows_distance: whether it sees how far away hands are.
    """

    stream: str
    knows_distance: bool

    def refine(
        self, views: dict[str, View], places: Sequence[tuple[int, Array]]
    ) -> list[NetworkHand | None]:
        """Return what is seen at each place, a side and joints (21, 3)."""
        ...


class FusionStages:
    """Our networks as one source of evidence about hands (``hand_follower.NetworkSearch``)."""

    def __init__(
        self, finder: Finder | None, refiners: Mapping[str, Refiner], timer: StageTimer
    ) -> None:
        """Put the networks together; each is timed by its name, the finder as therformer."""
        self._finder, self._refiners, self._timer = finder, refiners, timer

    def reset(self) -> None:
        """Forget earlier images."""
        if self._finder is not None:
            self._finder.reset()

    def look(self, views: dict[str, View]) -> list[NetworkHand]:
        """Return the hands that show in the whole image, most certain first."""
        if self._finder is None:
            return []
        with self._timer.stage('therformer'):
            return self._finder.look(views)

    def assign(
        self,
        hands: Sequence[NetworkHand],
        places: Sequence[tuple[int, Array]],
        views: dict[str, View],
    ) -> tuple[list[list[NetworkHand]], list[NetworkHand]]:
        """Return the hands at each place and those at none.

        Nearest pairs come first. A hand of the other side only counts where it is very near, as
        when a track's side is wrong. A hand so near to a place that it may be the same one, seen
        twice, is neither.
        """
        found: list[list[NetworkHand]] = [[] for _ in places]
        pairs, doubles = [], set()
        for number, hand in enumerate(hands):
            for row, (side, joints) in enumerate(places):
                apart = _apart(hand, joints.mean(axis=0), views[hand.stream])
                if apart < _DOUBLE:
                    doubles.add(number)
                if apart < (_SAME_SIDE if side == hand.side else _OTHER_SIDE):
                    pairs.append((apart, number, row))
        taken: set[int] = set()
        for _, number, row in sorted(pairs):
            if number not in taken and not found[row]:
                taken.add(number)
                found[row].append(hands[number])
        known = taken | doubles
        return found, [hand for number, hand in enumerate(hands) if number not in known]

    def refine(
        self, views: dict[str, View], places: Sequence[tuple[int, Array]]
    ) -> list[list[NetworkHand]]:
        """Return what closer looks at each place show.

        Where an image shows no more than a wrist, the network would be as sure of a guess.
        """
        found: list[list[NetworkHand]] = [[] for _ in places]
        for name, refiner in self._refiners.items():
            view = views.get(refiner.stream)
            if view is None:
                continue
            rows = [row for row, (_, joints) in enumerate(places) if _shows(view, joints)]
            with self._timer.stage(name):
                hands = refiner.refine(views, [places[row] for row in rows])
                for row, hand in zip(rows, hands, strict=True):
                    if hand is not None:
                        found[row].append(hand)
        return found

    def knows_distances(self, views: dict[str, View]) -> bool:
        """Say whether a network takes part in a frame that sees how far away hands are."""
        return any(
            refiner.knows_distance and refiner.stream in views
            for refiner in self._refiners.values()
        )

    def would_find(self, views: dict[str, View], joints: Array) -> bool:
        """Say whether the finder's image shows this place, joints (21, 3)."""
        view = None if self._finder is None else views.get(self._finder.stream)
        return view is not None and _shows(view, joints)


def _shows(view: View, joints: Array) -> bool:
    return bool(view.camera.contains(view.project(joints)).mean() >= _LEAST_SHOWN)


def _apart(hand: NetworkHand, place: Array, view: View) -> float:
    """Return how far a place (3,) is from a hand, metres; less along the view if it knows less."""
    middle = hand.joints.mean(axis=0)
    away = place @ view.rotation.T + view.translation - middle
    ray = middle / np.linalg.norm(middle)
    along = float(away @ ray)
    across = np.linalg.norm(away - along * ray)
    return float(np.hypot(across, along * min(1.0, _SURE_DEPTH / hand.noise.along)))

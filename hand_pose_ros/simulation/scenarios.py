"""Scenarios: what a pair of hands does, laid out as key poses per arm."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.gestures import gestures
from hand_pose_ros.simulation.tracks import Track
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

# The rig's cameras look 30 degrees down: view axes (right, down, forward) in the rig frame.
_TILT = np.deg2rad(30)
_VIEW = np.array(
    [[0, -1, 0], [-np.sin(_TILT), 0, -np.cos(_TILT)], [np.cos(_TILT), 0, -np.sin(_TILT)]]
)
NORMAL_PERIOD = 60.0
DEMO_PERIOD = 30.0


def in_view(right: float, down: float, distance: float) -> Array:
    """Return the rig-frame point (3,) at metres right of, below and along the viewing axis."""
    return np.array([right, down, distance]) @ _VIEW


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmTracks:
    """Where the palm of one arm goes and how wrist and fingers turn, as for a right arm."""

    palm: Track
    turns: Track
    fingers: Track

    @property
    def period(self) -> float:
        """Seconds after which the arm repeats itself."""
        return self.palm.period

    def at(self, time: float) -> tuple[Array, Array, Array]:
        """Return palm (3,) in the rig frame, turns (3,) and finger angles (15, 3)."""
        return self.palm.at(time), self.turns.at(time), self.fingers.at(time)


@dataclass
class _Script:
    """Collects keys of one arm; each call adds what the arm does next."""

    generator: np.random.Generator
    time: float = 0.0
    palms: list[tuple[float, Array]] = field(default_factory=list)
    turns: list[tuple[float, Array]] = field(default_factory=list)
    fingers: list[tuple[float, Array]] = field(default_factory=list)
    shapes: dict[str, Array] = field(default_factory=gestures)

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def move(self, right: float, down: float, distance: float) -> None:
        self.palms.append((self.time, in_view(right, down, distance)))

    def turn(self, supination: float, flexion: float = 0.0, deviation: float = 0.0) -> None:
        self.turns.append((self.time, np.array([supination, flexion, deviation])))

    def form(self, name: str) -> None:
        """Reach a finger shape now, a little different every time."""
        shape = self.shapes[name]
        open_hand, relaxed = self.shapes['open'], self.shapes['relaxed']
        other = relaxed if name in ('open', 'flat', 'four') else open_hand
        mix = self.generator.uniform(0, 0.12)
        self.fingers.append((self.time, shape + mix * (other - shape)))

    def tracks(self, period: float) -> ArmTracks:
        def track(keys: list[tuple[float, Array]]) -> Track:
            return Track([time for time, _ in keys], [value for _, value in keys], period)

        return ArmTracks(
            palm=track(self.palms), turns=track(self.turns), fingers=track(self.fingers)
        )

    def place(self, wide: float = 1.0) -> None:
        """Move to a place on the arm's own side of the view."""
        distance = self.generator.uniform(0.36, 0.55)
        right = self.generator.uniform(0.085, 0.085 + 0.11 * wide) * distance / 0.45
        self.move(right, self.generator.uniform(-0.06, 0.08), distance)

    def hold(self) -> None:
        """Stay about where the arm is, as an arm in the air does."""
        _, palm = self.palms[-1]
        self.palms.append((self.time, palm + self.generator.normal(0, 0.02, 3)))
        _, turns = self.turns[-1]
        self.turns.append((self.time, turns + self.generator.normal(0, 0.08, 3)))

    def angle(self, low: float, high: float) -> float:
        return float(self.generator.uniform(low, high))


def _rest(script: _Script) -> None:
    script.place(0.5)
    script.turn(script.angle(0.0, 0.5), script.angle(-0.2, 0.2))
    script.form('relaxed')
    script.wait(1.0)


def _grasp(script: _Script) -> None:
    script.place()
    script.turn(script.angle(0.2, 1.0), script.angle(-0.4, 0.0), script.angle(-0.15, 0.15))
    script.form('open')
    script.wait(0.6)
    script.form('grasp')
    script.wait(0.4)
    script.hold()
    script.wait(0.6)
    script.place()
    script.turn(script.angle(0.2, 1.2), script.angle(-0.4, 0.1))
    script.form('grasp')
    script.wait(0.3)
    script.form('open')
    script.wait(0.5)


def _pinch(script: _Script) -> None:
    script.place(0.7)
    script.turn(script.angle(0.1, 0.8), script.angle(-0.4, 0.1))
    for name in ('relaxed', 'pinch', 'relaxed', 'pinch'):
        script.form(name)
        script.wait(0.5)


def _point(script: _Script) -> None:
    script.place(0.6)
    script.turn(script.angle(0.0, 0.6), script.angle(-0.3, 0.0))
    script.form('point')
    script.wait(0.5)
    script.hold()
    script.wait(0.5)
    script.place(0.6)
    script.turn(script.angle(0.0, 0.6), script.angle(-0.3, 0.2), script.angle(-0.2, 0.2))
    script.form('point')
    script.wait(0.8)


def _count(script: _Script) -> None:
    script.place(0.4)
    script.turn(script.angle(0.0, 0.3), script.angle(-0.5, -0.2))
    for name in ('point', 'two', 'three', 'four', 'open'):
        script.form(name)
        script.wait(0.6)


def _turn(script: _Script) -> None:
    script.place(0.5)
    script.form('open')
    script.turn(script.angle(-0.1, 0.2))
    script.wait(0.3)
    script.turn(script.angle(1.8, 2.7), script.angle(-0.1, 0.3))
    script.wait(1.2)
    script.form('flat')
    script.wait(0.7)


def _close(script: _Script) -> None:
    """Open and close the hand."""
    script.place(0.6)
    script.turn(script.angle(0.0, 0.7), script.angle(-0.4, 0.0))
    for name in ('open', 'fist', 'open'):
        script.form(name)
        script.wait(0.7)


_ACTIVITIES: tuple[Callable[[_Script], None], ...] = (
    _grasp, _pinch, _point, _count, _turn, _close, _rest, _grasp,
)  # fmt: skip


def _act(script: _Script, until: float) -> None:
    """Go on with activities in random order while the slowest of them ends in time."""
    while True:
        for number in script.generator.permutation(len(_ACTIVITIES)):
            if script.time > until - 4.0:
                return
            script.wait(script.angle(0.35, 0.65))  # the time the arm takes to get there
            _ACTIVITIES[number](script)
            script.hold()


def _static(_: np.random.Generator) -> dict[str, ArmTracks]:
    arms: dict[str, ArmTracks] = {}
    for side in SIDES:
        script = _Script(np.random.default_rng(0))
        script.move(0.13, 0.02, 0.45)
        script.turn(0.15, -0.25)
        script.fingers.append((0.0, script.shapes['open']))
        arms[side] = script.tracks(1.0)
    return arms


def _normal(generator: np.random.Generator) -> dict[str, ArmTracks]:
    arms: dict[str, ArmTracks] = {}
    for side in SIDES:
        script = _Script(generator)
        _rest(script)
        _act(script, NORMAL_PERIOD)
        arms[side] = script.tracks(NORMAL_PERIOD)
    return arms


def _demo(generator: np.random.Generator) -> dict[str, ArmTracks]:
    """Gestures; at 9 s the hands cross, at 13 s the left and at 17.5 s the right hand goes away."""
    arms: dict[str, ArmTracks] = {}
    for side in SIDES:
        script = _Script(generator)
        _rest(script)
        _act(script, 8.1)
        script.time = 8.2
        script.move(0.13, 0.03, 0.45)
        script.turn(0.2, -0.2)
        script.form('relaxed')
        # Each hand swings to the other side, the left one nearer to the rig than the right one.
        near = 0.36 if side == 'left' else 0.52
        for time, right, distance in (
            (9.0, 0.12, near), (9.8, -0.09, near), (10.6, -0.09, near), (11.4, 0.13, 0.45),
        ):  # fmt: skip
            script.time = time
            script.move(right, 0.03, distance)
        script.form('open')
        script.turn(0.1, -0.2)
        leave = 13.0 if side == 'left' else 17.5
        for time, right, down in (
            (leave, 0.14, 0.03), (leave + 0.9, 0.60, 0.22), (leave + 2.1, 0.60, 0.22),
            (leave + 3.0, 0.13, 0.02),
        ):  # fmt: skip
            script.time = time
            script.move(right, down, 0.45)
        script.turn(0.2, -0.2)
        script.form('relaxed')
        _act(script, DEMO_PERIOD)
        arms[side] = script.tracks(DEMO_PERIOD)
    return arms


# Scenario name -> maker of the tracks of each side.
SCENARIOS: dict[str, Callable[[np.random.Generator], dict[str, ArmTracks]]] = {
    'static': _static,
    'normal': _normal,
    'demo': _demo,
}

"""Driver `simulated`: a camera of the simulated head rig, with a real camera's manners."""

import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.simulation.rig import SimulatedRig
from hand_pose_ros.simulation.sensors import stamp_number

_rigs: weakref.WeakKeyDictionary[RigDescription, dict[tuple[int, str], SimulatedRig]]
_rigs = weakref.WeakKeyDictionary()
_rigs_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class SimulatedOptions:
    """What a rig file may say under ``driver_options``.

    Attributes:
        scenario: what the hands do: ``static``, ``normal`` or ``demo``.
        seed: varies person, motion, noise and jitter; give all cameras of a rig the same.
        jitter: standard deviation of the interval between images, as a share of it.
        drop: share of images that get lost before they are delivered.
        offline: deliver as fast as images can be rendered, with stamps that depend on nothing but
            the options; otherwise in real time with stamps of the system clock.
        duration: seconds after which an offline source ends; 0 = never.
        start: stamp in nanoseconds at which an offline source starts.
    """

    scenario: str = 'demo'
    seed: int = 0
    jitter: float = 0.02
    drop: float = 0.002
    offline: bool = False
    duration: float = 0.0
    start: int = 0


class SimulatedCamera:
    """Renders one stream of a simulated rig in the caller's thread, at the sensor's own pace.

    Exposures follow a clock with jitter and a phase of its own; cameras that share a body (same
    pose, intrinsics and rate) share that clock, as NIR and depth of one sensor do. When rendering
    cannot keep up, the exposures missed are counted in the next sample's ``dropped``.

    Attributes:
        camera: intrinsics of the images.
        live: False for an offline source.
    """

    def __init__(
        self, description: CameraDescription, rig: RigDescription, options: SimulatedOptions
    ) -> None:
        """Prepare; nothing is rendered before ``samples``."""
        self.camera: Camera | None = description.camera
        self.live = not options.offline
        self._description = description
        self._rig = rig
        self._options = options
        self._closed = threading.Event()
        self._simulation: SimulatedRig | None = None
        self._clock = _Clock(description, options)

    def open(self) -> None:
        """Set up the simulation; raises CameraError for a camera without intrinsics."""
        self._closed.clear()
        simulation = _shared_simulation(self._rig, self._options)
        # Renders one image, so that the first one asked for is not late.
        simulation.render(self._description.name, self._options.start)
        self._simulation = simulation

    def samples(self) -> Iterator[CameraSample]:
        """Yield images in stamp order; the reference camera adds ``extras['truth']``.

        Raises:
            CameraError: the driver was not opened.
        """
        if self._simulation is None:
            raise CameraError(
                f'{self._description.name}: open the simulated camera before using it'
            )
        yield from self._offline() if self._options.offline else self._live()

    def close(self) -> None:
        """Stop; a waiting ``samples`` returns at once."""
        self._closed.set()

    def _offline(self) -> Iterator[CameraSample]:
        lost, number = 0, 0
        end = self._options.duration * 1e9
        while not self._closed.is_set():
            since_start = self._clock.exposure(number)
            if end and since_start >= end:
                return
            if self._clock.lost(number):
                lost += 1
            else:
                yield self._sample(self._options.start + since_start, lost)
                lost = 0
            number += 1

    def _live(self) -> Iterator[CameraSample]:
        number = self._clock.number_after(time.time_ns()) + 1
        lost = 0
        while not self._closed.is_set():
            stamp = self._clock.exposure(number)
            wait = (stamp - time.time_ns()) * 1e-9
            if wait > 0 and self._closed.wait(wait):
                return
            if self._clock.lost(number):
                lost += 1
                number += 1
                continue
            yield self._sample(stamp, lost)
            # Exposures that passed while this one was rendered and delivered are gone, but for
            # the one under way.
            newest = self._clock.number_after(time.time_ns())
            lost = max(0, newest - number - 1)
            number += 1 + lost

    def _sample(self, stamp: int, dropped: int) -> CameraSample:
        assert self._simulation is not None
        name = self._description.name
        image = self._simulation.render(name, stamp)
        extras: dict[str, Any] = {}
        if name == self._rig.reference:
            extras['truth'] = self._simulation.truth(stamp)
        if self._description.body:
            extras['T_rig_body'] = self._simulation.T_rig_body(stamp)
        return CameraSample(
            image=image,
            encoding=self._description.encoding,
            stamp=stamp + self._description.time_offset,
            dropped=dropped,
            extras=extras,
        )


class _Clock:
    """When a sensor exposes: a steady rate with a phase, and jitter that does not add up."""

    def __init__(self, description: CameraDescription, options: SimulatedOptions) -> None:
        body = repr((
            description.T_rig_cam.tolist(), description.size, description.rate,
            description.camera.intrinsics.tolist() if description.camera else None,
        ))  # fmt: skip
        self._interval = 1e9 / description.rate
        self._jitter = options.jitter
        self._drop = options.drop
        self._body = _text_number(body) ^ options.seed
        self._own = _text_number(description.name) ^ (options.seed + 1)
        self._phase = (stamp_number(0, self._body) % 1000) / 1000

    def exposure(self, number: int) -> int:
        """Return the stamp of an exposure in nanoseconds since the clock's zero."""
        uniform = (stamp_number(number, self._body + 7) % 2**20) / 2**20
        # Uniform noise of the asked standard deviation, cut so that exposures stay in order.
        shift = min(self._jitter * 3.464, 0.9) * (uniform - 0.5)
        return round((number + self._phase + shift) * self._interval)

    def lost(self, number: int) -> bool:
        """Say whether this exposure never arrives."""
        return stamp_number(number, self._own) % 2**20 < self._drop * 2**20

    def number_after(self, stamp: int) -> int:
        """Return the number of the last exposure at or before a stamp."""
        number = int(stamp / self._interval) + 1
        while self.exposure(number) > stamp:
            number -= 1
        return number


def create(description: CameraDescription, rig: RigDescription) -> SimulatedCamera:
    """Make the driver of a camera description.

    Raises:
        CameraError: an option does not exist or makes no sense.
    """
    given = description.driver_options
    known = {field.name: field for field in fields(SimulatedOptions)}
    name = f'cameras.{description.name}.driver_options'
    for key, value in given.items():
        if key not in known:
            raise CameraError(f'{name}.{key} does not exist, use one of {", ".join(known)}')
        wanted: Any = type(known[key].default)
        accepted = (int, float) if wanted is float else wanted
        if not isinstance(value, accepted) or (isinstance(value, bool) and wanted is not bool):
            raise CameraError(f'{name}.{key} must be of type {wanted.__name__}, got {value!r}')
    options = SimulatedOptions(**given)
    for key, top in (('jitter', 0.2), ('drop', 0.9), ('duration', np.inf)):
        if not 0 <= getattr(options, key) <= top:
            raise CameraError(f'{name}.{key} must be in 0 .. {top}, got {getattr(options, key)}')
    return SimulatedCamera(description, rig, options)


def _shared_simulation(rig: RigDescription, options: SimulatedOptions) -> SimulatedRig:
    """Return the simulation that all cameras of one rig object share in this process."""
    with _rigs_lock:
        simulations = _rigs.setdefault(rig, {})
        key = (options.seed, options.scenario)
        if key not in simulations:
            simulations[key] = SimulatedRig(rig, seed=options.seed, scenario=options.scenario)
        return simulations[key]


def _text_number(text: str) -> int:
    """Return a number of a text that is the same in every process."""
    number = 0
    for character in text:
        number = stamp_number(number ^ ord(character), 41)
    return number

"""Measures how far a trained network's joints stray and writes it into its card as ``noise``.

    python scripts/calibrate_networks.py CHECKPOINT.safetensors [--clips 20] [--seed 0]

The live estimators take their standard deviations from there. Clips are from the validation split
of the simulator, seen through the lens at native size as a live rig delivers them; crops come from
the true joints, moved at random. For each hand the error of the mean of its joints is split into
the part along the view and the parts across it; the rest is the shape. All are divided by the
network's confidence as the estimators multiply by it, and across the view also by how far the maps
of a hand's joints spread, beside what is usual for hands that are found. Where a network says of
each joint how far off it may be, the surest weigh most in the mean, and the shape is what errors
have beside. How far joints stray from where maps place them follows how far the maps spread, by a
line.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq

from hand_pose_ros.estimators import therformer, wildhands
from hand_pose_ros.estimators.densereg import DenseRegRefiner
from hand_pose_ros.estimators.network_config import ModelConfig
from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.rig_views import View, modalities_of, views_of
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.networks.checkpoint import (
    LoadedNetwork,
    card_modality,
    card_path,
    load_checkpoint,
)
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.skeleton import SIDES

_FRAMES = 8
_JITTER = 0.015  # metres, of the places crops are cut around
_ROBUST = 1.4826  # standard deviation of normal errors, in medians of their size
_GROUPS = 8
_LEAST_REST = 0.1  # pixels
_LEAST_SHAPE = 1e-4  # metres
_FOUND = 25.0  # pixels, of the middle of a hand that was found

_EYES = {
    'therformer': therformer.TherFormerFinder,
    'densereg': DenseRegRefiner,
    'wildhands': wildhands.WildHandsRefiner,
}
_USUAL = {'therformer': therformer.NOISE, 'wildhands': wildhands.NOISE}


def sightings(
    loaded: LoadedNetwork, clips: int, seed: int, confidence: float = 0.3
) -> Iterator[tuple[NetworkHand, np.ndarray]]:
    """Yield what the network sees, and the true joints (21, 3) in its camera."""
    config = SimulationConfig(split='val', seed=seed)
    modalities = modalities_of(config.rig)
    network = loaded.card['network']
    options = ModelConfig(confidence=confidence, stream=card_modality(loaded.card))
    eye: Any = _EYES[network](options, modalities, loaded)
    generator = np.random.default_rng(seed)
    simulator = BatchSimulator(config)
    for number in range(clips):
        frames, truth = simulator.rig_frames(number, _FRAMES, (config.rig.reference, eye.stream))
        if network == 'therformer':
            eye.reset()
        for frame, hands in zip(frames, truth, strict=True):
            views = views_of(frame)
            view = views[eye.stream]
            true = {SIDES.index(hand.side): hand for hand in hands if eye.stream in hand.sources}
            for seen in look(eye, network, views, true, generator):
                if seen.side in true:
                    joints = true[seen.side].joints
                    assert joints is not None
                    yield seen, joints @ view.rotation.T + view.translation


def look(
    eye: Any,
    network: str,
    views: dict[str, View],
    true: dict[int, HandPose],
    generator: np.random.Generator,
) -> list[NetworkHand]:
    """Return the hands the network sees in one frame."""
    if network == 'therformer':
        return eye.look(views)
    places = [
        (side, hand.joints + generator.normal(0, _JITTER, 3))
        for side, hand in true.items()
        if hand.joints is not None
    ]
    return [hand for hand in eye.refine(views, places) if hand is not None]


def with_usual_spread(loaded: LoadedNetwork, clips: int, seed: int) -> LoadedNetwork:
    """Return the network with a card that says how far the maps of found hands spread, pixels."""
    usual = _USUAL[loaded.card['network']].from_card(loaded.card).spread
    # Doubted hands as well: which are, this decides.
    blurs = [
        seen.blur
        for seen, true in sightings(loaded, clips, seed, confidence=0.0)
        if np.linalg.norm(pixels_off(seen, true).mean(axis=0)) < _FOUND
    ]
    noise = {**loaded.card.get('noise', {}), 'spread': usual * float(np.median(blurs))}
    return dataclasses.replace(loaded, card={**loaded.card, 'noise': noise})


def pixels_off(seen: NetworkHand, true: np.ndarray) -> np.ndarray:
    """Return how far joints are from the true ones in the network's image, (21, 2) pixels."""
    plane = seen.joints[:, :2] / seen.joints[:, 2:] - true[:, :2] / true[:, 2:]
    return plane * seen.focal


def measured(found: Sequence[tuple[NetworkHand, np.ndarray]]) -> dict[str, float]:
    """Return robust standard deviations (1.48 times the median absolute error)."""
    along, across, shape, pixels, known = [], [], [], [], []
    for seen, true in found:
        doubt = float(seen.doubt.mean())
        away = seen.joints - true
        place = np.average(away, axis=0, weights=seen.shape_sigma**-2.0)
        ray = true.mean(axis=0) / np.linalg.norm(true.mean(axis=0))
        along.append(place @ ray / doubt)
        across += list((place - (place @ ray) * ray) / (doubt * seen.stray))
        shape += list((away - place).ravel() / (doubt * seen.vague))
        known += list(np.repeat(seen.spread / (doubt * seen.vague), 3))
        pixels += list(pixels_off(seen, true).ravel() / doubt)
    if not along:
        raise SystemExit('the network saw no hand: train it longer')
    values = {'along': along, 'across': across, 'pixel': pixels}
    deviations = {name: robust(errors) for name, errors in values.items()}
    return {**deviations, 'shape': beyond(np.array(shape), np.array(known))}


def robust(errors: Sequence[float] | np.ndarray) -> float:
    """Return 1.48 times the median absolute error."""
    return float(_ROBUST * np.median(np.abs(errors)))


def beyond(errors: np.ndarray, known: np.ndarray) -> float:
    """Return the deviation that errors have beside one that is known of each, metres."""

    def excess(deviation: float) -> float:
        return robust(errors / np.hypot(deviation, known)) - 1.0

    return brentq(excess, _LEAST_SHAPE, 1.0) if excess(_LEAST_SHAPE) > 0 else _LEAST_SHAPE


def map_line(found: Sequence[tuple[NetworkHand, np.ndarray]]) -> dict[str, float]:
    """Return how the deviation of joints from their maps grows with the maps' spread, pixels.

    And how far joints lie from the middle of their hand.
    """
    spreads, errors, places = [], [], []
    for seen, true in found:
        if seen.mapped is not None:
            plane = true[:, :2] / true[:, 2:]
            places.append((plane - plane.mean(axis=0)) / seen.mapped.step)
            away = (seen.mapped.points - plane) / seen.mapped.step
            spreads.append(seen.mapped.spread)
            errors.append(np.abs(away / seen.doubt[:, None]))
    if not spreads:
        return {}
    spread, error = np.concatenate(spreads), np.concatenate(errors)
    # Groups of equally many joints, from those seen for sure to those that may be anywhere.
    groups = np.array_split(np.argsort(spread), _GROUPS)
    means = [spread[rows].mean() for rows in groups]
    deviations = [robust(error[rows]) for rows in groups]
    slope, start = np.polyfit(means, deviations, 1)
    return {
        'map_slope': float(slope),
        'map_rest': float(max(-start / slope, _LEAST_REST)),
        'map_prior': float(np.std(places)),
    }


def main() -> None:
    """Measure one checkpoint and write its card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--clips', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    loaded = load_checkpoint(options.checkpoint)
    network = loaded.card['network']
    spread = {}
    if network in _USUAL and loaded.config.joint_maps:
        loaded = with_usual_spread(loaded, options.clips, options.seed)
        spread = {'spread': loaded.card['noise']['spread']}
    found = list(sightings(loaded, options.clips, options.seed))
    noise = measured(found) | spread | map_line(found)
    # Of the others the pixels say nothing that the joints in 3D do not say.
    if network != 'wildhands':
        del noise['pixel']
    card = {**loaded.card, 'noise': {name: round(value, 5) for name, value in noise.items()}}
    place = card_path(options.checkpoint)
    place.write_text(json.dumps(card, indent=2, allow_nan=False) + '\n', encoding='utf-8')
    print(f'{place}: {card["noise"]}')


if __name__ == '__main__':
    main()

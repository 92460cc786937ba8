"""The protocols by name: which files they take and what measures them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.arctic_protocol import HandArrays, evaluate_arctic
from hand_pose_ros.evaluation.depth_protocol import (
    DEPTH_PROTOCOLS,
    evaluate_files,
    evaluate_points,
)
from hand_pose_ros.evaluation.joint_files import matched, read_joints
from hand_pose_ros.evaluation.results import ProtocolResult
from hand_pose_ros.evaluation.thermohands_protocol import evaluate_thermohands
from hand_pose_ros.skeleton import JOINT_NAMES

Arrays = Mapping[str, NDArray[np.float64]]

PROTOCOLS: dict[str, str] = {
    'nyu': 'mean joint error and success rates from u v depth text, 14 joints',
    'icvl': 'the same, 16 joints',
    'msra': 'the same, 21 joints',
    'thermohands': 'MEPE, MEPE-RA, PCK and AUC of two hands',
    'arctic': 'MPJPE, MRRPE, PA-MPJPE and pixels of two hands, ARCTIC rule of valid hands',
    'h2o': 'the same on H2O',
    'assemblyhands': 'the same on AssemblyHands',
    'egoexo4d': 'the same on Ego-Exo4D: labelled joints only, root is the first of them',
    'epic': 'pixels on Epic-HandKps',
}

# What measures the output of a trained network.
_OF_NETWORK = {'therformer': 'thermohands', 'wildhands': 'arctic', 'densereg': 'single-hands'}


def evaluate_protocol(
    name: str, predictions: Path, ground_truth: Path, image_size: tuple[int, int] | None = None
) -> ProtocolResult:
    """Measure a file of predictions against a file of labels.

    Args:
        name: one of ``PROTOCOLS``.
        predictions: text for nyu, icvl and msra; else ``.jsonl`` or ``.npz``, see ``joint_files``.
        ground_truth: the same frames.
        image_size: (width, height) in pixels of the labels; the ARCTIC rule needs it.

    Raises:
        DataError: the protocol does not exist or a file cannot be used.
    """
    if name not in PROTOCOLS:
        raise DataError(f'protocol {name!r} does not exist: use one of {", ".join(PROTOCOLS)}')
    if name in DEPTH_PROTOCOLS:
        return evaluate_files(predictions, ground_truth, name)
    predicted, truth = matched(read_joints(predictions), read_joints(ground_truth))
    if name == 'thermohands':
        return evaluate_thermohands(predicted.joints, truth.joints, truth.not_padding)
    return evaluate_arctic(
        HandArrays(joints=predicted.joints, pixels=predicted.pixels),
        HandArrays(joints=truth.joints, pixels=truth.pixels),
        name,
        image_size=image_size,
    )


def evaluate_network(
    network: str, predicted: Arrays, truth: Arrays, *, data: str, conditions: dict[str, str]
) -> ProtocolResult:
    """Measure what a trained network predicted for a data set.

    Args:
        network: registered name; decides the measures.
        predicted: arrays by name: ``joints`` (N, 2, 21, 3) metres.
        truth: the same, and ``visible`` (N, 2, 21) if known.
        data: name of the data set and its split; published results are shown beside those on the
            same data only.
        conditions: what else to state.
    """
    joints, labels = predicted['joints'], truth['joints']
    title = f'{network} on {data}'
    protocol = _OF_NETWORK[network]
    if protocol == 'thermohands':
        result = evaluate_thermohands(joints, labels, title=title, conditions=conditions)
    elif protocol == 'arctic':
        result = evaluate_arctic(
            HandArrays(joints=joints), HandArrays(joints=labels), title=title,
            conditions=conditions,
        )  # fmt: skip
    else:
        visible = truth.get('visible')
        result = evaluate_points(
            joints.reshape(-1, *joints.shape[2:]), labels.reshape(-1, *labels.shape[2:]),
            visible=None if visible is None else visible.reshape(-1, visible.shape[2]) > 0.5,
            protocol=protocol, title=title, joint_names=JOINT_NAMES,
            conditions={**conditions, 'crops': 'around the true hands (a good box is given)'},
        )  # fmt: skip
    return dataclasses.replace(result, comparable=data.partition(':')[0] == result.protocol)

"""``hand-pose estimate`` with the real estimator on real and simulated recordings."""

import json

import cv2
import numpy as np
import pytest

from hand_pose_ros.cli.main import main
from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store
from hand_pose_ros.evaluation.summary import summarise
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.simulation.rig import SimulatedRig
from hand_pose_ros.skeleton import SIDES

try:
    for _model in model_store.MODELS:
        model_store.find(_model)
except ModelError as missing:
    pytest.skip(f'no network weights: {missing}', allow_module_level=True)

START = 1_700_000_000_000_000_000
PERIOD = 33_333_333


def estimate(tmp_path, *arguments) -> list[dict]:
    output = tmp_path / 'hands.jsonl'
    assert main(['estimate', *map(str, arguments), '--output', str(output)]) == 0
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize('estimator', ['landmarks', 'fusion'])
def test_real_thermal_frames_with_their_calibration(tmp_path, test_data, estimator):
    folder = test_data / 'thermal_egocentric'
    frames = estimate(
        tmp_path, folder / 'frames', '--modality', 'thermal',
        '--rig', folder / 'calibration' / 'ego_calib.json', '--overlay', tmp_path / 'seen',
        '--estimator', estimator,
    )  # fmt: skip
    assert [frame['source'] for frame in frames] == [f'{k:02d}.png' for k in range(1, 17)]
    for frame in frames:
        sides = {hand['side']: hand for hand in frame['hands']}
        assert set(sides) == set(SIDES)
        for side, hand in sides.items():
            assert hand['state'] == 'tracked'
            wrist = hand['joints_2d']['thermal'][0]
            assert (wrist[0] < 160) == (side == 'left')
            assert 0.2 < hand['joints'][0][2] < 1.0
            assert np.shape(hand['joints']) == (21, 3) and min(hand['sigma']) > 0
    assert len(list((tmp_path / 'seen').iterdir())) == 16


def test_all_cameras_of_a_simulated_session(tmp_path):
    rig = find_rig('simulated_head_rig')
    simulation = SimulatedRig(rig, seed=1, scenario='normal')
    truth = {}
    for index in range(24):
        stamp = START + index * PERIOD
        for name in rig.cameras:
            image = simulation.render(name, stamp)
            (tmp_path / 'session' / name).mkdir(parents=True, exist_ok=True)
            path = tmp_path / 'session' / name / f'{stamp}.png'
            cv2.imwrite(str(path), image[..., ::-1] if name == 'rgb' else image)
        truth[stamp] = {hand.side: hand.joints for hand in simulation.truth(stamp)}
    frames = estimate(
        tmp_path, tmp_path / 'session', '--rig', 'simulated_head_rig', '--modality', 'all'
    )
    assert [frame['stamp'] for frame in frames] == list(truth)
    settled = frames[12:]
    for side in SIDES:
        missing = {'joints': np.full((21, 3), np.nan)}
        hands = [{hand['side']: hand for hand in frame['hands']} for frame in settled]
        predicted = np.array([hand.get(side, missing)['joints'] for hand in hands])
        figures = summarise(predicted, np.array([truth[f['stamp']][side] for f in settled]))
        assert figures.found == len(settled)
        assert figures.wrist_mm < 15 and figures.mepe_mm < 20

"""The figures of benchmarks/synchronizer.py on short traces: figure 5 of the project's goals."""

import json

import pytest

from benchmarks import synchronizer as benchmark


@pytest.mark.parametrize(
    'scenario', benchmark.SCENARIOS, ids=lambda s: f'{s.name}, {s.max_spread:.0f} ms'
)
def test_scenario_meets_its_goal(scenario):
    result = benchmark.run(scenario, seconds=20, seeds=4)
    assert result.tightest >= scenario.goal
    assert result.backwards == 0
    assert result.full + result.partial >= 0.9 * result.possible
    # The time-out of 250 ms, a dropped frame or two of the slowest stream, and delivery delay.
    assert result.longest_silence < 450


def test_least_spread_by_hand():
    stamps = {'thermal': [100], 'nir': [90, 112], 'depth': [95, 130], 'rgb': [104]}
    # From 90: 90, 95, 100, 104 = 14; from 95: 95, 100, 104, 112 = 17; from 100: 30.
    assert benchmark.least_spread(stamps, 100) == 14


def test_report_is_written(tmp_path, capsys):
    file = tmp_path / 'figures.json'
    code = benchmark.main(['--seconds', '5', '--seeds', '1', '--json', str(file)])
    report = json.loads(file.read_text())
    assert code in (0, 1)
    assert len(report['scenarios']) == len(benchmark.SCENARIOS)
    assert 'messages/s' in capsys.readouterr().out

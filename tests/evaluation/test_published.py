"""The shipped table of published results: complete, sourced, and equal to the papers' numbers."""

import pytest

from hand_pose_ros.evaluation.protocols import PROTOCOLS
from hand_pose_ros.evaluation.published import published_curves, published_tables
from hand_pose_ros.evaluation.report import headline_text


def value(protocol, title, name, column=0):
    table = next(t for t in published_tables(protocol) if title in t.title)
    return next(row for row in table.rows if row.name == name).values[column]


@pytest.mark.parametrize('protocol', list(PROTOCOLS))
def test_every_protocol_has_sourced_results_for_measures_of_ours(protocol):
    tables = published_tables(protocol)
    assert tables
    for table in tables:
        assert 'arXiv' in table.source or 'github.com' in table.source
        for metric in table.metrics:
            headline_text(metric, 1.0)
        for row in table.rows:
            assert len(row.values) == len(table.columns) == len(table.metrics)
            assert all(v is None or 0 < v < 1000 for v in row.values)


def test_numbers_of_the_papers():
    assert value('nyu', '8,252', 'DenseReg') == 10.214
    assert value('icvl', '1,596', 'DenseReg') == 7.239
    assert value('msra', 'leave one', 'DenseReg') == 7.234
    assert value('nyu', 'comparisons', 'coordinate regression') == 15.04
    assert value('thermohands', 'sun glare', 'thermal', 1) == 32.56
    assert value('thermohands', 'gloves', 'thermal', 2) == 0.302
    assert value('arctic', 'ARCTIC', 'WildHands', 1) == 23.88
    assert value('h2o', 'zero-shot, models', 'WildHands', 1) == 49.49
    assert value('assemblyhands', 'auxiliary', 'Ego4D both') == 79.08
    assert value('egoexo4d', 'encoding', 'dense') == 69.11
    assert value('epic', 'released', 'HaMeR') == 4.56


def test_curves_rise_and_carry_their_method():
    curves = published_curves('nyu')
    assert curves[0].name == 'DenseReg, worst joint'
    for curve in curves + published_curves('icvl'):
        assert (curve.percent[1:] >= curve.percent[:-1]).all()
        assert len(curve.percent) == len(curve.thresholds)
    assert published_curves('thermohands') == ()


def test_an_unknown_protocol_has_nothing():
    assert published_tables('single-hands') == ()

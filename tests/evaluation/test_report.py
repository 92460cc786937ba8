"""Reports: complete, self-contained, safe with hostile names, equal to the numbers."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.arctic_protocol import HandArrays, evaluate_arctic
from hand_pose_ros.evaluation.depth_protocol import evaluate_points
from hand_pose_ros.evaluation.report import page_text, report_json, write_report
from hand_pose_ros.evaluation.thermohands_protocol import evaluate_thermohands


def depth_result(error=0.012):
    truth = np.random.default_rng(0).uniform(-0.1, 0.1, (5, 14, 3)) + np.array([0, 0, 0.6])
    return evaluate_points(
        truth + np.array([error, 0, 0]),
        truth,
        protocol='nyu',
        title='NYU, 14 joints',
        conditions={},
    )


def hands_result(kind):
    truth = np.random.default_rng(0).uniform(-0.1, 0.1, (5, 2, 21, 3)) + np.array([0, 0, 0.6])
    if kind == 'thermohands':
        return evaluate_thermohands(truth + np.array([0.01, 0, 0]), truth)
    return evaluate_arctic(HandArrays(joints=truth * 1.05), HandArrays(joints=truth))


def results():
    return [depth_result(), hands_result('thermohands'), hands_result('arctic')]


@pytest.mark.parametrize('result', results(), ids=lambda result: result.protocol)
def test_the_page_needs_nothing_from_outside(result):
    page = page_text(result)
    assert not re.search(r'(?:src|href)="https?:', page)
    assert '@import' not in page
    assert page.count('<svg') == 1
    opened = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag not in ('meta', 'br', 'path', 'use', 'image'):
                opened.append(tag)

        def handle_startendtag(self, tag, attributes):
            pass

        def handle_endtag(self, tag):
            if tag not in ('path', 'use', 'image'):
                assert opened.pop() == tag

    Balanced().feed(page)
    assert opened == []


def test_all_three_files_tell_the_same(tmp_path):
    result = depth_result()
    page, picture, data = write_report(tmp_path / 'new' / 'report', result)
    assert picture.read_bytes().startswith(b'\x89PNG')
    content = json.loads(data.read_text())
    assert content['headline']['mean_error_mm'] == pytest.approx(12.0)
    assert '12.000 mm' in page.read_text()
    published = content['published'][0]
    assert published['this_run'] == [12.0]
    assert {'name': 'DenseReg', 'values': [10.214]} in published['rows']
    assert 'this run' in page.read_text()
    assert 'V2V-PoseNet' in page.read_text()


def test_results_on_other_data_stand_alone():
    result = dataclasses.replace(depth_result(), comparable=False)
    assert 'V2V-PoseNet' not in page_text(result)
    assert report_json(result)['published'] == []


def test_numbers_that_do_not_exist_are_null_and_a_dash():
    empty = np.full((2, 2, 21, 3), np.nan)
    result = evaluate_thermohands(empty, empty)
    text = json.dumps(report_json(result), allow_nan=False)
    assert json.loads(text)['headline']['mepe_mm'] is None
    assert 'nan' not in page_text(result).lower().replace('nano', '')


def test_names_from_outside_cannot_add_to_the_page():
    hostile = '<script>alert(1)</script>'
    result = dataclasses.replace(
        depth_result(), title=hostile, conditions={hostile: hostile}, joints={hostile: 1.0}
    )
    assert '<script' not in page_text(result)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='report cannot be written'):
        write_report(tmp_path / 'file', depth_result())

"""``hand-pose check``: exit status, repair, compression, page."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'sessions'))
from recorded import write_session

from hand_pose_ros.cli.main import main

pytest.importorskip('rclpy', reason='needs the interfaces of ROS 2')


def test_a_good_bag(tmp_path, capsys):
    bag = write_session(tmp_path / 'bag', frames=12)
    arguments = ['--json', str(tmp_path / 'a.json'), '--html', str(tmp_path / 'a.html')]
    assert main(['check', str(bag), *arguments]) == 0
    assert 'good, 0.4 s' in capsys.readouterr().out
    results = json.loads((tmp_path / 'a.json').read_text())
    assert results['verdict'] == 'good' and results['streams']['thermal']['messages'] == 12
    assert '<!doctype html>' in (tmp_path / 'a.html').read_text()


def test_losses_are_status_3(tmp_path, capsys):
    bag = write_session(tmp_path / 'bag', frames=12, skip=[('depth', 4)])
    assert main(['check', str(bag)]) == 3
    assert 'lossy: depth: 1 images' in capsys.readouterr().out


def test_a_cut_bag_is_repaired(tmp_path, capsys):
    bag = write_session(tmp_path / 'bag', frames=12)
    path = bag / 'bag_0.mcap'
    path.write_bytes(path.read_bytes()[:-80])
    assert main(['check', str(bag)]) == 1
    assert '--repair' in capsys.readouterr().err
    assert main(['check', str(bag), '--repair', '--json', str(tmp_path / 'a.json')]) == 0
    assert 'the old file is bag_0.mcap.damaged' in capsys.readouterr().out
    repaired = json.loads((tmp_path / 'a.json').read_text())['repair']
    assert repaired['files']['bag_0.mcap']['messages'] == 25
    assert main(['check', str(bag), '--repair']) == 0
    assert 'nothing to repair' in capsys.readouterr().out


def test_a_repair_that_lost_something_is_status_3(tmp_path):
    bag = write_session(tmp_path / 'bag', frames=12)
    path = bag / 'bag_0.mcap'
    path.write_bytes(path.read_bytes()[:-5000])
    assert main(['check', str(bag), '--repair']) == 3


def test_damage_inside_a_whole_file_is_repaired_too(tmp_path, capsys):
    bag = write_session(tmp_path / 'bag', frames=12)
    path = bag / 'bag_0.mcap'
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    assert main(['check', str(bag), '--repair']) == 1
    assert '1 damaged chunks' in capsys.readouterr().out


def test_compression(tmp_path, capsys):
    bag = write_session(tmp_path / 'bag', frames=12)
    assert main(['check', str(bag), '--compress', '--json', str(tmp_path / 'a.json')]) == 0
    sizes = json.loads((tmp_path / 'a.json').read_text())['compressed']
    assert sizes['after'] < sizes['before']
    assert main(['check', str(bag)]) == 0


@pytest.mark.parametrize('name', ['none', 'empty'])
def test_no_bag_is_a_sentence(tmp_path, name, capsys):
    (tmp_path / 'empty').mkdir()
    for options in ([], ['--repair']):
        assert main(['check', str(tmp_path / name), *options]) == 1
        assert len(capsys.readouterr().err.strip().splitlines()) == 1

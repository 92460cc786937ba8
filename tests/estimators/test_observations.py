"""Observations: crops of several streams in one go, with unbiased sides."""

import pytest

from hand_pose_ros.estimators.observations import Look, Observer
from hand_pose_ros.estimators.regions import Region


class CountingNetworks:
    """The real networks, noting how many crops each run has."""

    def __init__(self, networks):
        self._networks = networks
        self.runs = []

    def palms(self, image):
        return self._networks.palms(image)

    def landmarks(self, crops):
        self.runs.append(len(crops))
        return self._networks.landmarks(crops)


@pytest.fixture
def counting(networks):
    return CountingNetworks(networks)


@pytest.fixture
def observer(counting, thermal_frames):
    observer = Observer(counting, {'thermal': 'thermal', 'second': 'thermal'})
    observer.begin({'thermal': thermal_frames[0], 'second': thermal_frames[4]})
    return observer


def test_palms_and_warm_blobs_lead_to_both_hands(observer):
    regions = observer.palms('thermal', 0.5)
    assert len(regions) >= 2
    hands = observer.inspect([Look(stream='thermal', region=region) for region in regions[:2]])
    assert all(hand.presence > 0.5 for hand in hands)
    left, right = sorted(hands, key=lambda hand: hand.points[:, 0].mean())
    assert left.right_probability < 0.5 < right.right_probability


def test_all_streams_share_one_run_of_the_network(observer, counting):
    regions = observer.palms('thermal', 0.5)[:2]
    counting.runs.clear()
    looks = [Look(stream=name, region=r) for name in ('thermal', 'second') for r in regions]
    hands = observer.follow(looks)
    assert len(hands) == 4
    # One of them is also looked at mirrored, to measure the lean of the side output.
    assert counting.runs == [5]


def test_the_lean_is_measured_only_now_and_then(observer, counting, thermal_frames):
    region = observer.palms('thermal', 0.5)[0]
    for number in range(8):
        observer.begin({'thermal': thermal_frames[number]})
        observer.follow([Look(stream='thermal', region=region)])
    assert counting.runs[-1] == 1


def test_nothing_to_look_at_runs_nothing(observer, counting):
    assert observer.follow([]) == [] and observer.inspect([]) == []
    assert counting.runs == []


def test_a_place_without_a_hand_has_no_presence(observer):
    corner = Region(center=observer.palms('thermal', 0.5)[0].center * 0 + 20, size=30.0, angle=0.0)
    assert observer.inspect([Look(stream='thermal', region=corner)])[0].presence < 0.5

"""Targets in a word and in a file, their points and their pictures."""

import numpy as np
import pytest

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.target import Target, parse_target


@pytest.mark.parametrize(
    ('text', 'count', 'symmetric'),
    [
        ('chessboard:9x6:0.025', 54, False),
        ('chessboard:8x6:0.025', 48, True),
        ('circles:7x5:0.03', 35, True),
        ('asymmetric_circles:4x11:0.02', 44, False),
        ('charuco:7x5:0.04', 24, False),
        ('charuco:7x5:0.04:0.03:DICT_5X5_100', 24, False),
    ],
)
def test_targets_in_a_word(text, count, symmetric):
    target = parse_target(text)
    assert target.points.shape == (count, 3)
    assert np.all(target.points[:, 2] == 0)
    assert target.symmetric == symmetric
    distances = np.linalg.norm(target.points[1:] - target.points[0], axis=1)
    step = 2 * target.spacing if target.kind == 'asymmetric_circles' else target.spacing
    assert distances[0] == pytest.approx(step)


def test_a_target_file(tmp_path):
    path = tmp_path / 'board.yaml'
    path.write_text('{kind: charuco, columns: 8, rows: 6, spacing: 0.04, marker: 0.03}')
    assert parse_target(str(path)) == Target(
        kind='charuco', columns=8, rows=6, spacing=0.04, marker=0.03
    )
    path.write_text('{kind: charuco, columns: 8, rows: 6, spacings: 0.04}')
    with pytest.raises(RigError, match="spacings is unknown, did you mean 'spacing'"):
        parse_target(str(path))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('chessboard', 'write KIND'),
        ('chessboard:9:0.02', 'write KIND'),
        ('chessboard:9x6:0.02:0.01', 'too many parts'),
        ('chessboard:2x6:0.02', '3 to 100'),
        ('charuco:8x6:0.04:0.05', 'smaller than its square'),
        ('charuco:8x6:0.04:0.03:DICT_9', 'no ArUco dictionary'),
    ],
)
def test_what_is_no_target_is_refused(text, message):
    with pytest.raises(RigError, match=message):
        parse_target(text)


@pytest.mark.parametrize('text', ['chessboard:5x4:0.03', 'circles:5x4:0.03', 'charuco:5x4:0.03'])
def test_points_lie_on_the_picture_where_they_should(text):
    target = parse_target(text)
    picture, origin = target.picture(20)
    step = target.spacing / 20
    for x, y, _ in target.points:
        column, row = np.rint((np.array([x, y]) - origin) / step).astype(int)
        around = picture[row - 2 : row + 2, column - 2 : column + 2]
        if target.kind == 'circles':
            assert np.all(around == 0)
        else:
            assert np.all(around[:2, :2] == around[0, 0])
            assert np.all(around[2:, 2:] == around[0, 0])
            assert np.all(around[:2, 2:] == 255 - around[0, 0])

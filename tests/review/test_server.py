"""The server: this machine only, the token, and answers that are data or one sentence."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.review.server import ReviewServer
from hand_pose_ros.sessions.labels import (
    ABSENT,
    ACCEPTED,
    CORRECTED,
    REJECTED,
    SessionLabels,
)


def ask(server, path, content=None, token=None, **headers):
    token = server.token if token is None else token
    base = f'http://127.0.0.1:{server.server_port}{path}'
    if content is None:
        request = urllib.request.Request(f'{base}?token={token}', headers=headers)
    else:
        request = urllib.request.Request(
            base, json.dumps(content).encode(), {'X-Token': token, **headers}
        )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == '127.0.0.1'
    assert server.token in server.url
    assert len(server.token) >= 20


@pytest.mark.parametrize(
    'path', ['/', '/page.js', '/space.js', '/session', '/frame/0', '/image/rgb/0', '/cloud/0']
)
def test_nothing_is_shown_without_the_token(server, path):
    assert ask(server, path)[0] == 200
    for token in ('', 'x', server.token[:-1], server.token + 'a'):
        status, body, _ = ask(server, path, token=token)
        assert status == 403
        assert b'quality' not in body


def test_a_site_that_points_its_own_name_here_is_refused(server):
    assert ask(server, '/session', Host='evil.example')[0] == 403
    assert ask(server, '/session', Host=f'localhost:{server.server_port}')[0] == 200


def test_changes_need_the_token_in_a_header(server, work):
    base = f'http://127.0.0.1:{server.server_port}/verdict?token={server.token}'
    body = json.dumps({'row': 0, 'sides': [0], 'verdict': 2}).encode()
    with pytest.raises(urllib.error.HTTPError, match='403'):
        urllib.request.urlopen(urllib.request.Request(base, body))
    assert not work.labels.verdict.any()
    assert ask(server, '/verdict', {'row': 0, 'sides': [0], 'verdict': 2})[0] == 200
    assert SessionLabels.load(work.folder).verdict[0, 0] == REJECTED


@pytest.mark.parametrize(
    'path',
    [
        '/../pyproject.toml',
        '/image/..%2f..%2fx/0',
        '/frame/-1',
        '/frame/x',
        '/labels.npz',
        '/work.py',
        '/image/rgb/' + 5000 * '9',
        '/frame/' + 5000 * '9',
        '/cloud/99',
    ],
)
def test_paths_lead_nowhere_else(server, path):
    status, body, _ = ask(server, path)
    assert status in (400, 404, 422)
    assert json.loads(body)['error']


@pytest.mark.parametrize(
    ('path', 'content', 'status'),
    [
        ('/verdict', {'row': 99, 'sides': [0], 'verdict': 1}, 422),
        ('/verdict', {'row': 0}, 400),
        ('/verdict', {'row': 'a', 'sides': [0], 'verdict': 1}, 400),
        ('/drag', {'row': 0, 'side': 0, 'joint': 50, 'camera': 'rgb', 'x': 1, 'y': 1}, 422),
        ('/drag', {'row': 0, 'side': 0, 'joint': 8, 'camera': 'rgb', 'x': 1e400, 'y': 1}, 422),
        ('/add', {'row': 0, 'side': 0, 'camera': 'rgb', 'x': 1, 'y': 1}, 422),
        ('/add', {'row': 99, 'side': 0, 'camera': 'rgb', 'x': 1, 'y': 1}, 422),
        ('/add', {'row': 0, 'side': 0, 'x': 1, 'y': 1}, 400),
        ('/add', {'row': 'a', 'side': 0, 'camera': 'rgb', 'x': 1, 'y': 1}, 400),
        ('/verdict', {'row': 1e400, 'sides': [0], 'verdict': 1}, 400),
        ('/verdict', [1], 400),
        ('/accept', {'quality': None}, 400),
        ('/nothing', {}, 400),
        ('/accept', {'quality': 'x' * 20_000}, 400),
    ],
)
def test_senseless_requests_are_one_sentence(server, path, content, status):
    answered, body, _ = ask(server, path, content)
    assert answered == status
    assert json.loads(body)['error']


def test_an_absent_hand_is_added_and_saved(server, work):
    work.labels.origin[2, 1] = ABSENT
    work.labels.joints[2, 1] = np.nan
    where = {'row': 2, 'side': 1, 'camera': 'thermal', 'x': 80, 'y': 60}
    status, body, _ = ask(server, '/add', where | {'camera': 'lidar'})
    assert status == 422
    assert "no image of camera 'lidar': use one of" in json.loads(body)['error']
    assert ask(server, '/add', where, token='guess')[0] == 403
    assert work.labels.origin[2, 1] == ABSENT
    status, body, _ = ask(server, '/add', where)
    assert status == 200
    frame = json.loads(body)
    assert (frame['origin'][1], frame['verdict'][1]) == (CORRECTED, ACCEPTED)
    assert len(frame['views']['thermal']['pixels'][1]) == 21
    labels = SessionLabels.load(work.folder)
    assert (labels.origin[2, 1], labels.verdict[2, 1]) == (CORRECTED, ACCEPTED)
    status, body, _ = ask(server, '/add', where)
    assert status == 422
    assert json.loads(body)['error'] == 'row 2 has a right hand already: drag its joints.'


def test_pages_may_load_nothing_from_elsewhere(server):
    _, body, headers = ask(server, '/')
    assert "default-src 'none'" in headers['Content-Security-Policy']
    assert b'http://' not in body
    assert b'https://' not in body
    assert server.token.encode() in body


def test_a_taken_port_is_one_sentence(server, work):
    with pytest.raises(DataError, match=f'port {server.server_port} of 127.0.0.1 cannot be used'):
        ReviewServer(work, server.server_port)

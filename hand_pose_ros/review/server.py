"""Server of the review page: this machine only, and only for who has the token."""

import hmac
import json
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hand_pose_ros.errors import DataError, HandPoseError
from hand_pose_ros.review.work import Drag, NewHand, ReviewWork

HOST = '127.0.0.1'
_PAGE = Path(__file__).with_name('page.html')
_SCRIPTS = ('page.js', 'images.js', 'space.js')
_LONGEST_BODY = 10_000
_IDLE = 60.0  # seconds after which a silent connection is closed
_NAMES = ('127.0.0.1', 'localhost')
# Nothing but what the page itself brings may be loaded or run.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)


class ReviewServer(ThreadingHTTPServer):
    """Serves one session under review.

    Attributes:
        work: the session.
        token: what a request has to show.
    """

    daemon_threads = True

    def __init__(self, work: ReviewWork, port: int = 0) -> None:
        """Bind to this machine's own address.

        Args:
            work: the session.
            port: 0 takes a free one.

        Raises:
            DataError: if the port is taken.
        """
        self.work = work
        self.token = secrets.token_urlsafe(18)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise DataError(
                f'port {port} of {HOST} cannot be used ({error.strerror}): name another with '
                '--port, or 0.'
            ) from None

    @property
    def url(self) -> str:
        """The page's address, token included."""
        return f'http://{HOST}:{self.server_port}/?token={self.token}'


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: ReviewServer
    protocol_version = 'HTTP/1.1'
    timeout = _IDLE

    def do_GET(self) -> None:
        """Answer with the page, data or an image."""
        address = urlsplit(self.path)
        given = parse_qs(address.query).get('token', [''])[0]
        if not self._is_allowed(given):
            return
        parts = [part for part in address.path.split('/') if part]
        work = self.server.work
        if not parts:
            query = f'.js?token={self.server.token}"'.encode()
            page = _PAGE.read_bytes().replace(b'.js"', query)
            self._send(page, 'text/html; charset=utf-8')
        elif len(parts) == 1 and parts[0] in _SCRIPTS:
            script = _PAGE.with_name(parts[0]).read_bytes()
            self._send(script, 'text/javascript; charset=utf-8')
        elif parts == ['session']:
            self._answer(work.summary)
        elif len(parts) == 2 and parts[0] == 'frame' and parts[1].isdecimal():
            self._answer(lambda: work.frame(int(parts[1])))
        elif len(parts) == 2 and parts[0] == 'cloud' and parts[1].isdecimal():
            self._answer(lambda: work.cloud(int(parts[1])))
        elif len(parts) == 3 and parts[0] == 'image' and parts[2].isdecimal():
            self._send_image(parts[1], parts[2])
        else:
            self._refuse(HTTPStatus.NOT_FOUND, 'there is no such page.')

    def do_POST(self) -> None:
        """Change a label; the token has to be in a header, which no other site can set."""
        if not self._is_allowed(self.headers.get('X-Token', '')):
            return
        try:
            length = int(self.headers.get('Content-Length', ''))
            if not 0 < length <= _LONGEST_BODY:
                raise ValueError(f'a body of {length} bytes')
            asked = json.loads(self.rfile.read(length))
            action = _ACTIONS[urlsplit(self.path).path]
        except (ValueError, KeyError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f'the request makes no sense ({error}).')
            return
        self._answer(lambda: action(self.server.work, asked))

    def log_message(self, *_: Any) -> None:
        """Say nothing: the terminal belongs to the command."""

    def _is_allowed(self, token: str) -> bool:
        """Check address and token; a site that points its own name here is refused as well."""
        host = self.headers.get('Host', '').rsplit(':', 1)[0]
        same = hmac.compare_digest(token.encode(), self.server.token.encode())
        if host in _NAMES and same:
            return True
        self._refuse(HTTPStatus.FORBIDDEN, 'open the address that hand-pose review printed.')
        return False

    def _answer(self, work: Callable[[], Any]) -> None:
        try:
            content = work()
        except HandPoseError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, f'the request makes no sense ({error!r}).')
        else:
            self._send(json.dumps(content, allow_nan=False).encode(), 'application/json')

    def _send_image(self, camera: str, row: str) -> None:
        try:
            # A number of very many digits is none for int() either.
            content = self.server.work.image(camera, int(row))
        except (HandPoseError, ValueError) as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
            return
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND, f'row {row} has no image of {camera}.')
        else:
            self._send(content, 'image/jpeg', cached=True)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        # What was sent along is not read: the connection cannot be used again.
        self.close_connection = True
        self._send(json.dumps({'error': sentence}).encode(), 'application/json', status)

    def _send(
        self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, *, cached: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(content)))
        self.send_header('Cache-Control', 'private, max-age=3600' if cached else 'no-store')
        self.send_header('Content-Security-Policy', _POLICY)
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Referrer-Policy', 'no-referrer')
        self.end_headers()
        self.wfile.write(content)


def _judge(work: ReviewWork, asked: dict[str, Any]) -> dict[str, Any]:
    sides = [int(side) for side in asked['sides']]
    work.judge(int(asked['row']), sides, int(asked['verdict']))
    return {'verdict': work.labels.verdict[int(asked['row'])].tolist()}


def _accept(work: ReviewWork, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        'accepted': work.accept_above(float(asked['quality'])),
        'verdict': work.labels.verdict.tolist(),
    }


def _undo(work: ReviewWork, asked: dict[str, Any]) -> dict[str, Any]:
    del asked
    return {'row': work.undo(), 'session': work.scores()}


def _drag(work: ReviewWork, asked: dict[str, Any]) -> dict[str, Any]:
    drag = Drag(
        row=int(asked['row']), side=int(asked['side']), joint=int(asked['joint']),
        camera=str(asked['camera']), x=float(asked['x']), y=float(asked['y']),
    )  # fmt: skip
    work.drag(drag)
    return work.frame(drag.row)


def _add(work: ReviewWork, asked: dict[str, Any]) -> dict[str, Any]:
    new = NewHand(
        row=int(asked['row']), side=int(asked['side']), camera=str(asked['camera']),
        x=float(asked['x']), y=float(asked['y']),
    )  # fmt: skip
    work.add(new)
    return work.frame(new.row)


_ACTIONS: dict[str, Callable[[ReviewWork, dict[str, Any]], dict[str, Any]]] = {
    '/verdict': _judge,
    '/accept': _accept,
    '/undo': _undo,
    '/drag': _drag,
    '/add': _add,
}

"""A headless Chromium driven over its DevTools protocol, as far as tests of a page need it."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

FLAGS = (
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--remote-debugging-port=0', '--hide-scrollbars',
)  # fmt: skip


def chromium():
    """The path of a Chromium, or None."""
    return next((path for name in ('chromium', 'google-chrome', 'chrome')
                 if (path := shutil.which(name))), None)  # fmt: skip


class Browser:
    """One page in one browser; use as a context manager."""

    def __init__(self, url, profile: Path, size=(1280, 800)):
        self._process = subprocess.Popen(
            [chromium(), *FLAGS, f'--user-data-dir={profile}', f'--window-size={size[0]},{size[1]}',
             'about:blank'],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        for line in self._process.stderr:
            found = re.search(r'ws://127\.0\.0\.1:(\d+)/', line)
            if found:
                break
        else:
            raise RuntimeError('Chromium told no port')
        pages = f'http://127.0.0.1:{found[1]}/json'
        page = self._wait(lambda: self._page(pages))
        self._socket = connect(page, max_size=None)
        self._number = 0
        self.call('Emulation.setDeviceMetricsOverride', width=size[0], height=size[1],
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        # It answers once the page is the one asked for: nothing is evaluated in the empty one.
        self.call('Page.navigate', url=url)

    @staticmethod
    def _page(address):
        with urllib.request.urlopen(address) as answer:
            found = [page for page in json.load(answer) if page['type'] == 'page']
        return found[0]['webSocketDebuggerUrl'] if found else None

    @staticmethod
    def _wait(ask, seconds=30):
        end = time.monotonic() + seconds
        while not (value := ask()):
            if time.monotonic() > end:
                raise TimeoutError('the page did not get there')
            time.sleep(0.05)
        return value

    def call(self, method, **parameters):
        self._number += 1
        self._socket.send(json.dumps({'id': self._number, 'method': method, 'params': parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=30))
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                return answer['result']

    def value(self, expression):
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def until(self, expression):
        """Wait until an expression is true."""
        return self._wait(lambda: self.value(expression))

    def mouse(self, kind, x, y):
        self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', buttons=1,
                  clickCount=1)  # fmt: skip

    def click(self, selector):
        box = self.value(
            f'(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect();'
            ' return [b.x + b.width / 2, b.y + b.height / 2]; })()'
        )
        self.mouse('mousePressed', *box)
        self.mouse('mouseReleased', *box)

    def key(self, key, **more):
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, **more)

    def drag(self, start, end):
        """Press at a place, move and let go at another."""
        self.mouse('mousePressed', *start)
        self.mouse('mouseMoved', (start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.mouse('mouseMoved', *end)
        self.mouse('mouseReleased', *end)

    def wheel(self, x, y, delta):
        self.call('Input.dispatchMouseEvent', type='mouseWheel', x=x, y=y, deltaX=0, deltaY=delta)

    def picture(self, path: Path):
        path.write_bytes(base64.b64decode(self.call('Page.captureScreenshot')['data']))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=20)
        self._process.stderr.close()

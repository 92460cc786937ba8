"""The page in a real browser: scrub, judge, drag a joint, and what is saved of it."""

import numpy as np
import pytest

from hand_pose_ros.sessions.labels import ACCEPTED, CORRECTED, REJECTED, SessionLabels
from tests.review.browser import Browser, chromium

pytestmark = pytest.mark.skipif(chromium() is None, reason='needs Chromium (apt: chromium)')


@pytest.fixture(params=[(1280, 800), (1920, 1080)], ids=['small', 'large'])
def browser(server, tmp_path, request):
    with Browser(server.url, tmp_path / 'profile', request.param) as opened:
        opened.until('document.body && document.body.dataset.row !== undefined')
        yield opened


def test_a_review_from_the_worst_frame_to_a_corrected_joint(browser, work, tmp_path):
    folder = work.folder
    assert browser.value('document.body.dataset.row') == '3'
    assert browser.value('document.documentElement.scrollHeight <= innerHeight')
    browser.picture(tmp_path / 'page.png')
    assert (tmp_path / 'page.png').stat().st_size > 100_000
    browser.click('#reject-left')
    browser.until("document.querySelector('#state-left').textContent.includes('rejected')")
    assert SessionLabels.load(folder).verdict[3, 0] == REJECTED
    browser.key('z')
    browser.until("document.querySelector('#state-left').textContent.includes('unseen')")
    browser.key('ArrowRight')
    browser.until("document.body.dataset.row === '4'")
    browser.key('a')
    browser.until("document.body.dataset.row !== '4'")
    assert SessionLabels.load(folder).verdict[4].tolist() == [ACCEPTED, ACCEPTED]
    _drag_a_finger(browser, folder)


def _drag_a_finger(browser, folder):
    before = SessionLabels.load(folder)
    row = int(browser.value('document.body.dataset.row'))
    place = browser.value("""(() => {
      const view = views.find((one) => one.name === 'rgb'), fitted = fit(view);
      const box = view.canvas.getBoundingClientRect(), joint = frame.views.rgb.pixels[0][8];
      const at = (axis, start) => start + fitted[axis] + joint[axis === 'x' ? 0 : 1] * fitted.scale;
      return [at('x', box.x), at('y', box.y)];
    })()""")
    browser.mouse('mousePressed', *place)
    browser.mouse('mouseMoved', place[0] + 6, place[1] + 4)
    browser.mouse('mouseMoved', place[0] + 9, place[1] + 6)
    browser.mouse('mouseReleased', place[0] + 9, place[1] + 6)
    browser.until("document.querySelector('#state-left').textContent.includes('corrected')")
    after = SessionLabels.load(folder)
    assert after.origin[row, 0] == CORRECTED
    moved = np.linalg.norm(after.joints[row, 0] - before.joints[row, 0], axis=1)
    assert moved[8] > 0.002
    assert moved[8] == pytest.approx(moved[5:9].max())
    np.testing.assert_array_equal(after.joints[row, 1], before.joints[row, 1])


def test_without_the_token_the_page_stays_shut(server, tmp_path):
    shut = server.url.replace(server.token, 'guess')
    with Browser(shut, tmp_path / 'profile') as opened:
        opened.until("document.body && document.body.textContent.includes('open the address')")

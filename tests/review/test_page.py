"""The page in a real browser: scrub, judge, drag a joint, and what is saved of it."""

import numpy as np
import pytest

from hand_pose_ros.sessions.labels import (
    ABSENT,
    ACCEPTED,
    CORRECTABLE,
    CORRECTED,
    REJECTED,
    UNSEEN,
    SessionLabels,
)
from tests.review.browser import Browser, chromium

pytestmark = pytest.mark.skipif(chromium() is None, reason='needs Chromium (apt: chromium)')

STILL = '!state.busy && !state.going'
JOINT = """(() => {
  const view = views.find((one) => one.name === 'rgb'), place = fit(view);
  const box = view.canvas.getBoundingClientRect(), joint = frame.views.rgb.pixels[0][8];
  return [box.x + place.x + joint[0] * place.scale, box.y + place.y + joint[1] * place.scale];
})()"""
PALM = """(() => {
  const view = views.find((one) => one.name === 'rgb'), place = fit(view);
  const box = view.canvas.getBoundingClientRect();
  const palm = [0, 5, 9, 13, 17].map((joint) => frame.views.rgb.pixels[0][joint]);
  const middle = [0, 1].map((axis) => palm.reduce((sum, point) => sum + point[axis], 0) / 5);
  return [box.x + place.x + middle[0] * place.scale, box.y + place.y + middle[1] * place.scale];
})()"""
# What is cut off, or lies outside of the window.
CLIPPED = """[
  ...document.querySelectorAll('header > *, .below > *, aside button, aside span, .view'),
].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.right > innerWidth + 1 || box.bottom > innerHeight + 1 && !one.closest('#list')
      || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0;
  }).map((one) => one.id || one.textContent)"""


@pytest.fixture(params=[(1280, 800), (1920, 1080)], ids=['small', 'large'])
def sized(server, tmp_path, request):
    with Browser(server.url, tmp_path / 'profile', request.param) as opened:
        opened.until('document.body && document.body.dataset.row !== undefined')
        yield opened


@pytest.fixture
def browser(server, tmp_path):
    with Browser(server.url, tmp_path / 'profile') as opened:
        opened.until('document.body && document.body.dataset.row !== undefined')
        yield opened


def saved(work):
    return SessionLabels.load(work.folder)


def test_it_begins_at_the_worst_frame_and_nothing_is_cut_off(sized, tmp_path):
    assert sized.value('document.body.dataset.row') == '3'
    assert sized.value('document.documentElement.scrollHeight <= innerHeight')
    assert sized.value(CLIPPED) == []
    sized.picture(tmp_path / 'page.png')
    assert (tmp_path / 'page.png').stat().st_size > 100_000
    sized.click('#accept-above')
    assert sized.value("document.querySelector('#above').open")


def test_hands_are_judged_by_click_and_by_key_and_taken_back(browser, work):
    browser.click('#reject-left')
    browser.until("document.querySelector('#state-left').textContent.includes('rejected')")
    assert saved(work).verdict[3, 0] == REJECTED
    browser.key('z')
    browser.until("document.querySelector('#state-left').textContent.includes('unseen')")
    assert saved(work).verdict[3, 0] == UNSEEN
    browser.key('ArrowRight')
    browser.until("document.body.dataset.row === '4'")
    browser.key('2')
    browser.key('r')
    browser.until("document.querySelector('#state-right').textContent.includes('rejected')")
    browser.until(STILL)
    # The left one is still to be judged: the page stays.
    assert browser.value('document.body.dataset.row') == '4'
    assert saved(work).verdict[4].tolist() == [UNSEEN, REJECTED]
    browser.key('3')
    browser.key('a')
    browser.until("document.body.dataset.row !== '4'")
    assert saved(work).verdict[4].tolist() == [ACCEPTED, ACCEPTED]


def test_a_key_held_down_judges_once(browser, work):
    browser.call('Input.dispatchKeyEvent', type='keyDown', key='a')
    browser.until("document.body.dataset.row !== '3'")
    for _ in range(5):
        browser.call('Input.dispatchKeyEvent', type='keyDown', key='a', autoRepeat=True)
    browser.key('ArrowLeft')
    browser.until(STILL)
    assert (saved(work).verdict != UNSEEN).any(axis=1).sum() == 1


def test_many_hands_are_accepted_after_a_question(browser, work):
    browser.click('#accept-above')
    assert not saved(work).verdict.any()
    browser.click('#above-no')
    browser.value("document.querySelector('#limit').value = 0.6")
    browser.click('#accept-above')
    asked = int(browser.value("document.querySelector('#so-many').textContent").split()[0])
    browser.click('#above-yes')
    browser.until("document.querySelector('#message').textContent.includes('accepted, saved')")
    assert (saved(work).verdict == ACCEPTED).sum() == asked > 3
    browser.key('z')
    browser.until("document.querySelector('#message').textContent.includes('taken back')")
    assert not saved(work).verdict.any()


def test_scrubbing_shows_the_frame_under_the_pointer(browser, work):
    box = browser.value(
        '(({ x, y, width, height }) => [x, y, width, height])'
        "(document.querySelector('#time').getBoundingClientRect())"
    )
    rows = len(work.labels.stamps)
    places = [
        (box[0] + (row + 0.5) * box[2] / rows, box[1] + box[3] / 2) for row in (rows - 1, 0, 5)
    ]
    browser.mouse('mousePressed', *places[0])
    browser.until(f"document.body.dataset.row === '{rows - 1}'")
    for place in places[1:]:
        browser.mouse('mouseMoved', *place)
    browser.mouse('mouseReleased', *places[-1])
    browser.until("document.body.dataset.row === '5'")
    browser.key('Home')
    browser.until("document.body.dataset.row === '0'")


def test_a_dragged_joint_is_fitted_saved_and_taken_back(browser, work):
    before = saved(work)
    place = browser.value(JOINT)
    # Closer, where a pixel of the image is some of the screen.
    browser.wheel(*place, -600)
    browser.until("views.find((one) => one.name === 'rgb').zoom > 1.5")
    place = browser.value(JOINT)
    browser.drag(place, [place[0] + 14, place[1] + 9])
    browser.until("document.querySelector('#state-left').textContent.includes('corrected')")
    browser.until(STILL)
    now = browser.value(JOINT)
    assert np.hypot(now[0] - place[0] - 14, now[1] - place[1] - 9) < 4
    after = saved(work)
    assert (after.origin[3, 0], after.verdict[3, 0]) == (CORRECTED, ACCEPTED)
    moved = np.linalg.norm(after.joints[3, 0] - before.joints[3, 0], axis=1)
    assert moved[8] > 0.002
    assert moved[8] == pytest.approx(moved[5:9].max())
    np.testing.assert_array_equal(after.joints[3, 1], before.joints[3, 1])
    browser.key('z')
    browser.until("document.querySelector('#state-left').textContent.includes('fitted, unseen')")
    np.testing.assert_array_equal(saved(work).joints, before.joints)


@pytest.fixture
def without_left(work):
    """No left hand in frame 3, as an annotator leaves it that has not found it."""
    for name in CORRECTABLE:
        getattr(work.labels, name)[3, 0] = 0 if name in ('origin', 'quality') else np.nan
    work.labels.save(work.folder)


@pytest.mark.parametrize('way', ['button', 'key'])
def test_an_absent_hand_is_added_dragged_and_taken_back(without_left, browser, work, way):
    browser.key('Home')
    browser.until("document.body.dataset.row === '0'")
    place = browser.value(PALM)
    for _ in range(3):
        browser.key('ArrowRight')
    browser.until("document.body.dataset.row === '3'")
    assert browser.value("document.querySelector('#state-left').textContent") == 'absent'
    if way == 'button':
        browser.click('#add-left')
    else:
        # With both hands chosen it is the one that is absent.
        browser.key('h')
        browser.until('state.adding === 0')
        browser.key('Escape')
        browser.until('state.adding === null')
        browser.key('h')
    browser.until('state.adding === 0')
    assert browser.value(CLIPPED) == []
    assert saved(work).origin[3, 0] == ABSENT
    browser.mouse('mousePressed', *place)
    browser.mouse('mouseReleased', *place)
    browser.until("document.querySelector('#state-left').textContent === 'corrected, accepted'")
    browser.until(STILL)
    assert browser.value('state.adding') is None
    np.testing.assert_allclose(browser.value(PALM), place, atol=3)
    added = saved(work)
    assert (added.origin[3, 0], added.verdict[3, 0]) == (CORRECTED, ACCEPTED)
    joint = browser.value(JOINT)
    browser.drag(joint, [joint[0] + 8, joint[1] + 6])
    browser.until("document.querySelector('#message').textContent.includes('corrected, saved')")
    browser.until(STILL)
    assert np.abs(saved(work).joints[3, 0] - added.joints[3, 0]).max() > 0.002
    for _ in range(2):
        browser.until(STILL)
        browser.key('z')
        browser.until("document.querySelector('#message').textContent.includes('taken back')")
        browser.value("say('')")
    browser.until("document.querySelector('#state-left').textContent === 'absent'")
    assert saved(work).origin[3, 0] == ABSENT


def test_a_hand_that_is_there_is_not_added(browser, work):
    browser.key('h')
    browser.until("document.querySelector('#message').textContent.includes('are there')")
    assert browser.value('state.adding') is None
    assert browser.value("document.querySelector('#add-left')") is None


def test_a_touched_joint_or_a_moved_image_changes_nothing(browser, work):
    place = browser.value(JOINT)
    browser.mouse('mousePressed', *place)
    browser.mouse('mouseReleased', *place)
    box = browser.value(
        "(({ x, y }) => [x, y])(views.find((one) => one.name === 'rgb')"
        '.canvas.getBoundingClientRect())'
    )
    browser.drag([box[0] + 20, box[1] + 40], [box[0] + 60, box[1] + 60])
    browser.key('ArrowRight')
    browser.until("document.body.dataset.row === '4'")
    assert not (saved(work).origin == CORRECTED).any()
    assert browser.value(JOINT) != place


def test_the_hands_turn_in_3d_beside_what_was_measured(browser):
    browser.key('p')
    browser.until('cloud.length > 100')
    look = '(() => { const view = views.at(-1); return view.canvas.toDataURL(); })()'
    before = browser.value(look)
    box = browser.value(
        '(({ x, y, width, height }) => [x + width / 2, y + height / 2])'
        '(views.at(-1).canvas.getBoundingClientRect())'
    )
    browser.drag(box, [box[0] + 60, box[1] + 20])
    browser.until('views.at(-1).turn !== 0.5')
    assert browser.value(look) != before


def test_a_server_that_ended_is_said(browser):
    browser.value("window.fetch = () => Promise.reject(new TypeError('gone'))")
    browser.key('ArrowRight')
    browser.until("document.querySelector('#message').textContent.includes('start it again')")


def test_without_the_token_the_page_stays_shut(server, tmp_path):
    shut = server.url.replace(server.token, 'guess')
    with Browser(shut, tmp_path / 'profile') as opened:
        opened.until("document.body && document.body.textContent.includes('open the address')")

"""The worker that takes the newest item only."""

import threading
import time

from hand_pose_ros.ros.worker import NewestOnlyWorker


def test_items_that_wait_are_replaced():
    started, go_on, done = threading.Event(), threading.Event(), []

    def work(item):
        started.set()
        go_on.wait(10)
        done.append(item)

    worker = NewestOnlyWorker(work, 'test')
    worker.put(1)
    assert started.wait(10)
    for item in (2, 3, 4):
        worker.put(item)
    go_on.set()
    end = time.monotonic() + 10
    while len(done) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    assert worker.stop()
    assert done == [1, 4]
    assert worker.replaced == 2


def test_stop_ends_the_thread_and_forgets_what_waits():
    go_on, done = threading.Event(), []

    def work(item):
        go_on.wait(10)
        done.append(item)

    worker = NewestOnlyWorker(work, 'test')
    worker.put(1)
    end = time.monotonic() + 10
    while worker._slot and time.monotonic() < end:
        time.sleep(0.001)
    worker.put(2)
    assert not worker.stop(timeout=0.05)
    go_on.set()
    assert worker.stop()
    assert done == [1]
    assert threading.active_count() < 20


def test_stopping_an_idle_worker():
    assert NewestOnlyWorker(print, 'test').stop(timeout=5)

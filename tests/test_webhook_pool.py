"""A few threads wait for generators, and none of them holds up the end of the worker."""

import time
from threading import Event

from tests.support.waiting import HANG_SECONDS
from videovault.webhook_pool import WebhookPool


def test_a_video_is_asked_about_once_at_a_time_and_again_afterwards() -> None:
    askers, go_on, asked = WebhookPool(), Event(), []
    askers.start(2)

    def ask() -> None:
        asked.append("one")
        go_on.wait(HANG_SECONDS)

    for _ in range(3):
        askers.take("one", ask)
    other = Event()
    askers.take("other", other.set)
    assert other.wait(HANG_SECONDS)
    assert asked == ["one"]
    go_on.set()
    askers.stop(HANG_SECONDS)
    askers.finish()
    assert asked == ["one"]


def test_a_call_that_fails_leaves_its_thread_for_the_next() -> None:
    askers, done = WebhookPool(), Event()
    askers.start(1)
    askers.take("one", lambda: 1 / 0)
    askers.take("other", done.set)
    assert done.wait(HANG_SECONDS)
    askers.stop(0)


def test_what_runs_is_waited_for_and_what_has_not_begun_is_not() -> None:
    askers, began, asked = WebhookPool(), Event(), []
    askers.start(1)

    def ask() -> None:
        began.set()
        time.sleep(0.05)
        asked.append("first")

    askers.take("one", ask)
    askers.take("other", lambda: asked.append("second"))
    assert began.wait(HANG_SECONDS)
    askers.stop(HANG_SECONDS)
    askers.finish()
    assert asked == ["first"]


def test_a_call_that_hangs_is_left_behind() -> None:
    askers, began, never, over = WebhookPool(), Event(), Event(), Event()
    askers.start(1)

    def hang() -> None:
        began.set()
        never.wait(HANG_SECONDS)
        over.set()

    askers.take("one", hang)
    assert began.wait(HANG_SECONDS)
    askers.stop(0.05)
    askers.finish()
    assert not over.is_set()
    never.set()
    assert over.wait(HANG_SECONDS)

"""The webhook pool: a few threads, none of which delays the end of the worker."""

import time
from threading import Event

import pytest
from sqlalchemy import event

from tests.support.generator import SCRIPT, Generator
from tests.support.waiting import HANG_SECONDS
from videovault import db, worker
from videovault.services.accounts import accounts
from videovault.services.generation import orders
from videovault.worker import WebhookPool, produce_video


def test_only_one_call_per_video_is_queued_or_running() -> None:
    pool, may_end, calls = WebhookPool(), Event(), []
    pool.start(2)

    def call() -> None:
        calls.append("one")
        may_end.wait(HANG_SECONDS)

    for _ in range(3):
        pool.submit("one", call)
    other = Event()
    pool.submit("other", other.set)
    assert other.wait(HANG_SECONDS)
    assert calls == ["one"]
    may_end.set()
    pool.stop(HANG_SECONDS)
    pool.finish()
    assert calls == ["one"]


def test_a_call_that_fails_leaves_its_thread_for_the_next() -> None:
    pool, done = WebhookPool(), Event()
    pool.start(1)
    pool.submit("one", lambda: 1 / 0)
    pool.submit("other", done.set)
    assert done.wait(HANG_SECONDS)
    pool.stop(0)


def test_running_calls_finish_and_queued_ones_do_not_start() -> None:
    pool, started, calls = WebhookPool(), Event(), []
    pool.start(1)

    def call() -> None:
        started.set()
        time.sleep(0.05)
        calls.append("first")

    pool.submit("one", call)
    assert started.wait(HANG_SECONDS)
    pool.submit("other", lambda: calls.append("second"))
    assert pool.stop(HANG_SECONDS) == ["other"]
    pool.finish()
    assert calls == ["first"]


def test_a_hanging_call_is_abandoned() -> None:
    pool, started, may_end, ended = WebhookPool(), Event(), Event(), Event()
    pool.start(1)

    def hang() -> None:
        started.set()
        may_end.wait(HANG_SECONDS)
        ended.set()

    pool.submit("one", hang)
    assert started.wait(HANG_SECONDS)
    pool.stop(0.05)
    pool.finish()
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(HANG_SECONDS)


@pytest.mark.usefixtures("installation")
def test_no_generator_is_called_outside_a_pool_that_stops_meanwhile(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker waits only a short time for its other threads."""
    pool = WebhookPool()
    pool.start(1)
    monkeypatch.setattr(worker, "_webhooks", pool)
    generator.mode = "poll"
    anna = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    orders.request(anna, {**SCRIPT, "avatar": "Anna"}, enqueue=list)
    event.listen(db.engine(), "begin", lambda _: pool.stop(0))  # the signal comes while the row is read
    produce_video("another")
    assert not pool.is_running
    assert generator.requests == []

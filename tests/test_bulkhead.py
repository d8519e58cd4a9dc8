"""Which calls run in a bulkhead, which wait, and which are refused."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from videovault.bulkhead import Bulkhead
from videovault.errors import Busy

PATIENCE_SECONDS = 30


@contextmanager
def occupied(bulkhead: Bulkhead, calls: int) -> Iterator[None]:
    """Occupy the bulkhead with this many calls, each in a thread of its own, during the block."""
    over, inside = threading.Event(), threading.Semaphore(0)

    def call() -> None:
        with bulkhead.slot():
            inside.release()
            over.wait(PATIENCE_SECONDS)

    threads = [threading.Thread(target=call) for _ in range(calls)]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=PATIENCE_SECONDS)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)


def test_a_call_beyond_the_capacity_is_refused_at_once() -> None:
    bulkhead = Bulkhead(at_once=2, waiting=0, seconds=PATIENCE_SECONDS)
    with occupied(bulkhead, 2):
        with pytest.raises(Busy):
            bulkhead.check_capacity()
        with pytest.raises(Busy), bulkhead.slot():
            raise AssertionError
    with bulkhead.slot():
        bulkhead.check_capacity()


def test_a_call_that_waits_too_long_is_refused_and_frees_its_place() -> None:
    bulkhead = Bulkhead(at_once=1, waiting=1, seconds=0.05)
    with occupied(bulkhead, 1):
        for _ in range(3):
            with pytest.raises(Busy), bulkhead.slot():
                raise AssertionError


def test_a_waiting_call_runs_when_a_slot_is_free() -> None:
    bulkhead = Bulkhead(at_once=1, waiting=1, seconds=PATIENCE_SECONDS)
    done = threading.Event()

    def call() -> None:
        with bulkhead.slot():
            done.set()

    with occupied(bulkhead, 1):
        waiting = threading.Thread(target=call)
        waiting.start()
    assert done.wait(PATIENCE_SECONDS)
    waiting.join()


def test_a_call_that_fails_gives_its_slot_back() -> None:
    bulkhead = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), bulkhead.slot():
            raise ZeroDivisionError


def test_a_refusal_has_a_retry_time() -> None:
    bulkhead = Bulkhead(at_once=1, waiting=0, seconds=0.05)
    with occupied(bulkhead, 1), ExitStack() as stack, pytest.raises(Busy) as refused:
        stack.enter_context(bulkhead.slot())
    assert refused.value.code == "RATE_LIMITED"
    assert refused.value.retry_after > 0

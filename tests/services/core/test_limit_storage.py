"""Counting attempts in this process takes bounded memory and time, whatever strangers send."""

import threading
import time

import pytest
from limits import parse_many
from limits.strategies import MovingWindowRateLimiter

from videovault.services.core.rate_limits import FIRST_SWEEP, BoundedMemory

MINUTE = parse_many("5/minute")[0]
MONTH = parse_many("1/30 days")[0]


def test_keys_of_windows_that_are_over_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = BoundedMemory()
    limiter, later = MovingWindowRateLimiter(storage), time.time() + 61
    for number in range(FIRST_SWEEP):
        limiter.hit(MINUTE, str(number))
    assert len(storage.events) == FIRST_SWEEP
    monkeypatch.setattr(time, "time", lambda: later)
    limiter.hit(MINUTE, "one more")
    assert len(storage.events) == 1


def test_a_flood_of_keys_is_bounded_and_spares_what_counts_longest() -> None:
    storage = BoundedMemory(most=2000)
    limiter = MovingWindowRateLimiter(storage)
    limiter.hit(MONTH, "known")
    for number in range(20_000):
        limiter.hit(MINUTE, str(number))
        assert len(storage.events) <= 2000
    assert not limiter.test(MONTH, "known")
    assert not all(limiter.hit(MINUTE, "19999") for _ in range(5))


def test_the_window_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter, start = MovingWindowRateLimiter(BoundedMemory()), time.time()

    def hits_at(seconds: float) -> bool:
        monkeypatch.setattr(time, "time", lambda: start + seconds)
        return limiter.hit(MINUTE, "key")

    assert [hits_at(second) for second in (0, 10, 20, 30, 40, 50)] == [True] * 5 + [False]
    assert limiter.get_window_stats(MINUTE, "key").reset_time == pytest.approx(start + 60)
    assert [hits_at(second) for second in (60.5, 60.6, 70.5)] == [True, False, True]


def test_threads_never_share_a_place() -> None:
    storage = BoundedMemory(most=500)
    limiter, granted = MovingWindowRateLimiter(storage), []

    def hammer(own: int) -> None:
        for number in range(400):
            limiter.hit(MONTH, f"{own} {number}")
            storage.clear(MONTH.key_for(f"{own} {number}"))
            if limiter.hit(MINUTE, "shared"):
                granted.append(own)

    threads = [threading.Thread(target=hammer, args=(own,)) for own in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(granted) == MINUTE.amount

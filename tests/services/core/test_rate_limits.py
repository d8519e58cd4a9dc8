"""Failed sign-ins are throttled with growing waits, and an attacker cannot lock a user out for long."""

import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from limits import parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from tests.support.app import free_port
from tests.support.frozen_proxy import frozen_proxy
from tests.support.installation import Configure
from videovault.errors import NotSignedIn, RateLimited
from videovault.gateways import redis_connection
from videovault.services.core import rate_limits
from videovault.services.core.rate_limits import FIRST_SWEEP, BoundedMemoryStorage

ADA, HERE, THERE = "ada@example.com", "203.0.113.7", "203.0.113.8"
Advance = Callable[[float], None]


@pytest.fixture(params=["memory", "Redis"])
def storage(request: pytest.FixtureRequest, configure: Configure) -> Iterator[str]:
    """An empty storage for the counts."""
    if request.param == "Redis":
        configure(REDIS_URL=request.getfixturevalue("redis_url"))
    yield request.param
    rate_limits.limiter()._shared.storage.reset()
    _close(rate_limits.limiter())


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Move the clock forward by seconds."""
    real, passed = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + passed)

    def forward(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    return forward


def guess(email: str = ADA, address: str = HERE) -> int:
    """Try a wrong password: 0, or the seconds to wait if it was throttled."""
    try:
        with rate_limits.login(email, address):
            raise NotSignedIn  # noqa: TRY301 - as accounts.login does
    except NotSignedIn:
        return 0
    except RateLimited as error:
        return error.retry_after


@pytest.mark.usefixtures("storage")
def test_the_wait_grows_to_a_quarter_of_an_hour(advance: Advance) -> None:
    waits = []
    for _ in range(30):
        wait = guess()
        if wait:
            waits.append(wait)
            advance(wait)
    assert waits[0] <= 60
    assert 60 < waits[1] <= 300
    assert 300 < waits[2] <= 900
    assert max(waits) <= 900


@pytest.mark.usefixtures("storage")
def test_five_mistakes_cost_nothing_and_the_right_password_clears_them() -> None:
    for _ in range(4):
        assert [guess() for _ in range(4)] == [0] * 4
        with rate_limits.login(ADA, HERE):
            pass
    assert [bool(guess()) for _ in range(6)] == [False] * 5 + [True]


@pytest.mark.usefixtures("storage")
def test_refused_attempts_do_not_prolong_the_wait(advance: Advance) -> None:
    for _ in range(5):
        guess()
    wait = guess()
    for _ in range(20):
        advance(1)
        assert guess() <= wait
    advance(wait)
    assert guess() == 0


@pytest.mark.usefixtures("storage")
def test_attempts_from_other_addresses_do_not_lock_the_owner_out() -> None:
    for _ in range(20):
        guess()
    assert guess()
    assert guess(address=THERE) == 0
    assert guess(email="bob@example.com") == 0


def test_attempts_from_many_addresses_lock_an_account_for_minutes_only(
    configure: Configure, advance: Advance
) -> None:
    configure()
    for number in range(100):
        assert guess(address=f"198.51.100.{number}") == 0
    wait = guess(address=HERE)
    assert 0 < wait <= 300
    advance(wait)
    assert guess(address=HERE) == 0


def test_one_address_cannot_try_a_password_on_many_accounts(configure: Configure) -> None:
    configure()
    assert not any(guess(email=f"{number}@example.com") for number in range(100))
    assert 0 < guess(email="last@example.com") <= 300


def test_the_spelling_of_an_email_address_does_not_evade_limits(configure: Configure) -> None:
    configure()
    assert [bool(guess(email=email)) for email in (ADA, "ADA@example.com", f" {ADA} ") * 2][-1]


def test_an_email_address_is_counted_in_its_normalized_form(configure: Configure) -> None:
    configure()
    spelled = ["ada@ｅｘａｍｐｌｅ.com", "ada@example。com", ADA]  # noqa: RUF001 - that is the point
    assert [bool(guess(email=email)) for email in spelled * 2] == [False] * 5 + [True]


def test_disabled_limits_refuse_nothing(configure: Configure) -> None:
    configure(RATE_LIMITS="off")
    assert not any(guess() for _ in range(200))


def test_processes_that_share_a_redis_count_together(configure: Configure, redis_url: str) -> None:
    configure(REDIS_URL=redis_url)
    one, other = rate_limits.limiter(), rate_limits.Limiter(rate_limits.limiter()._shared.storage)
    assert [one.take(rate_limits.PASSWORD_ATTEMPTS, "shared", "x") for _ in range(3)] == [0] * 3
    assert [bool(other.take(rate_limits.PASSWORD_ATTEMPTS, "shared", "x")) for _ in range(3)] == [
        False,
        False,
        True,
    ]
    other._shared.storage.reset()
    _close(one)


def test_without_redis_each_process_counts_by_itself(configure: Configure) -> None:
    configure(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert [bool(guess()) for _ in range(6)] == [False] * 5 + [True]


def test_a_frozen_redis_is_asked_once_and_then_left_alone_for_a_while(
    configure: Configure, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "ANSWER_SECONDS", 0.2)
    with frozen_proxy(("127.0.0.1", urlsplit(redis_url).port or 0)) as proxy:
        configure(REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
        limiter = rate_limits.limiter()
        assert limiter.take(rate_limits.PASSWORD_ATTEMPTS, "frozen", "x") == 0
        proxy.freeze()
        assert limiter.take(rate_limits.PASSWORD_ATTEMPTS, "frozen", "x") == 0
        proxy.abandon()
        assert [limiter.take(rate_limits.PASSWORD_ATTEMPTS, "frozen", "x") for _ in range(4)] == [0] * 4
        assert limiter.take(rate_limits.PASSWORD_ATTEMPTS, "frozen", "x") > 0, "it counts by itself"
        limiter._shared_again_at = 0.0
        assert limiter.take(rate_limits.PASSWORD_ATTEMPTS, "frozen", "x") == 0, "Redis has seen one attempt"
        limiter._shared.storage.reset()
        _close(limiter)


def test_no_personal_address_is_stored(configure: Configure) -> None:
    configure()
    guess()
    stored = rate_limits.limiter()._shared.storage
    assert isinstance(stored, MemoryStorage)
    assert stored.events
    assert ADA not in str(stored.events)
    assert HERE not in str(stored.events)


def _close(limiter: rate_limits.Limiter) -> None:
    storage = limiter._shared.storage
    if isinstance(storage, RedisStorage):
        storage.storage.close()


# Counting in this process takes bounded memory and time.

MINUTE = parse_many("5/minute")[0]
MONTH = parse_many("1/30 days")[0]


def test_keys_of_expired_windows_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = BoundedMemoryStorage()
    limiter, later = MovingWindowRateLimiter(storage), time.time() + 61
    for number in range(FIRST_SWEEP):
        limiter.hit(MINUTE, str(number))
    assert len(storage.events) == FIRST_SWEEP
    monkeypatch.setattr(time, "time", lambda: later)
    limiter.hit(MINUTE, "one more")
    assert len(storage.events) == 1


def test_a_flood_of_keys_is_bounded_and_keeps_the_longest_windows() -> None:
    storage = BoundedMemoryStorage(max_keys=2000)
    limiter = MovingWindowRateLimiter(storage)
    limiter.hit(MONTH, "known")
    for number in range(20_000):
        limiter.hit(MINUTE, str(number))
        assert len(storage.events) <= 2000
    assert not limiter.test(MONTH, "known")
    assert not all(limiter.hit(MINUTE, "19999") for _ in range(5))


def test_the_window_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter, start = MovingWindowRateLimiter(BoundedMemoryStorage()), time.time()

    def hits_at(seconds: float) -> bool:
        monkeypatch.setattr(time, "time", lambda: start + seconds)
        return limiter.hit(MINUTE, "key")

    assert [hits_at(second) for second in (0, 10, 20, 30, 40, 50)] == [True] * 5 + [False]
    assert limiter.get_window_stats(MINUTE, "key").reset_time == pytest.approx(start + 60)
    assert [hits_at(second) for second in (60.5, 60.6, 70.5)] == [True, False, True]


def test_concurrent_hits_never_pass_the_limit() -> None:
    storage = BoundedMemoryStorage(max_keys=500)
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

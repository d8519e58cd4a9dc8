"""Rate limits (throttling) by moving windows, counted in this process or, for all processes together, in Redis."""

import heapq
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.storage.memory import Entry
from limits.strategies import MovingWindowRateLimiter

from videovault import logs, security
from videovault.config import settings
from videovault.errors import InvalidInput, RateLimited
from videovault.formatting import format_duration
from videovault.gateways import redis_connection
from videovault.services.core import client_ip, fields

MAX_KEYS = 100_000  # about 40 MB
FIRST_SWEEP = 1000
Windows = Sequence[RateLimitItem]
Limit = tuple[Windows, str, str]  # the arguments of ``check``
Question = Callable[[MovingWindowRateLimiter, Windows, tuple[str, str]], int]

# The wait grows with each full window: one minute, five, fifteen.
PASSWORD_ATTEMPTS = parse_many("5/minute; 8/5 minutes; 10/15 minutes")  # of one password from one address
# An attacker could lock a user out with this limit, so it is high and only reached from many addresses at once.
ACCOUNT_ATTEMPTS = parse_many("100/5 minutes")
ADDRESS_LOGINS = parse_many("100/5 minutes")  # an office may share one address
REGISTRATIONS = parse_many("30/hour")  # from one address
RESET_EMAILS = parse_many("3/15 minutes; 10/day")  # to one e-mail address, whether or not it has an account
ADDRESS_RESET_EMAILS = parse_many("30/hour")  # requested from one address
RESETS = parse_many("30/hour")  # from one address: each costs the hashing of a password
SCRIPTS = parse_many("30/minute; 300/hour")  # of one account, like the next
GENERATIONS = parse_many("30/minute; 300/hour")
TEST_ORDERS = parse_many("6/10 minutes; 30/day")  # of all admins together: each may cost a render
STORES = parse_many("120/minute; 2000/hour")
LINKS = parse_many("1200/minute")  # galleries with links, and links one by one, of one account
LONG_REPORTS = parse_many("20/minute")  # reports over 16 KiB, of one account or on one video
WRONG_KEYS = parse_many("20/hour")  # of share links, from one address
# Unauthenticated callbacks that are recorded, from one address and from all together.
CALLBACKS = parse_many("10/minute; 100/hour")
ALL_CALLBACKS = parse_many("600/minute")
# How long an address that signed in to an account keeps its own limit, and the number of such addresses.
KNOWN = parse_many("1/30 days")
KNOWN_ADDRESSES = parse_many("20/30 days")

OWN_SECONDS = 5.0  # this process counts by itself after a failure of Redis, before it asks again
log = logs.get(__name__)


def check(windows: Windows, purpose: str, who: str) -> None:
    """Count one attempt of ``who``. Raises RateLimited, with the seconds to wait, beyond the limit."""
    if settings().rate_limits == "on":
        _refuse(limiter().take(windows, purpose, who))


def check_without_counting(windows: Windows, purpose: str, who: str) -> None:
    """As ``check`` without counting: where only failed attempts count, by a ``check`` afterwards."""
    if settings().rate_limits == "on":
        _refuse(limiter().wait(windows, purpose, who))


def check_address(windows: Windows, purpose: str, address: str) -> None:
    """As ``check`` for an address, and for its IPv6 /56 and /48 with their higher limits."""
    _check_all(_levels(windows, purpose, address))


def check_address_without_counting(windows: Windows, purpose: str, address: str) -> None:
    """As ``check_address``, without counting."""
    for count in _levels(windows, purpose, address):
        check_without_counting(*count)


def count_unauthenticated_callback(address: str) -> bool:
    """Count one unauthenticated callback from ``address``; whether to record it."""
    counts = [*_levels(CALLBACKS, "callback", address), (ALL_CALLBACKS, "callbacks", "")]
    try:
        _check_all(counts)
    except RateLimited:
        return False
    return True


@contextmanager
def login(email: str, address: str, device: str = "") -> Iterator[None]:
    """Guard one sign-in attempt; failed ones are throttled. Raises RateLimited.

    Attempts count for unknown accounts too, so that limits do not reveal which accounts exist. A browser whose cookie
    ``device`` proves an earlier sign-in to this account has its own limit (OWASP, device cookies). An address with an
    earlier sign-in is exempt from the account's limit, which other addresses can exhaust.
    """
    security.hashing.check_capacity()  # a call refused for lack of capacity is not an attempt
    account = _account(email)
    nonce = security.device_nonce(device, account)
    if nonce:
        counts: list[Limit] = [(PASSWORD_ATTEMPTS, "login-device", f"{account} {nonce}")]
    else:
        check_address(ADDRESS_LOGINS, "login-address", address)
        counts = _levels(PASSWORD_ATTEMPTS, "login", address, account)
    with _guess(counts):
        if not nonce and not _is_known(account, address):
            check(ACCOUNT_ATTEMPTS, "login-account", account)
        yield
    _remember(account, address)


@contextmanager
def confirmation(user_id: str) -> Iterator[None]:
    """Guard one confirmation of the password by a signed-in user. Raises RateLimited.

    A stolen session must not be enough to guess the account's password.
    """
    security.hashing.check_capacity()
    with _guess([(PASSWORD_ATTEMPTS, "confirmation", user_id)]):
        yield


def check_reset_email(email: str, address: str, device: str = "") -> None:
    """Count one password-reset e-mail to ``email``, requested from ``address``. Raises RateLimited.

    Browsers and addresses with an earlier sign-in to the account have their own limit, as in ``login``.
    """
    account = _account(email)
    nonce = security.device_nonce(device, account)
    if nonce:
        check(RESET_EMAILS, "letter-device", f"{account} {nonce}")
        return
    check_address(ADDRESS_RESET_EMAILS, "letter-address", address)
    if _is_known(account, address):
        check(RESET_EMAILS, "letter-known", f"{account} {address}")
    else:
        check(RESET_EMAILS, "letter", account)


class BoundedMemoryStorage(MemoryStorage):
    """Moving windows of at most ``max_keys`` keys; beyond that, those that would expire first are dropped.

    ``limits.storage.MemoryStorage`` keeps the keys of expired windows and scans all keys after each hit. Keys are
    derived from what clients send, so its memory and CPU time grow without bound.
    """

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        super().__init__()
        self.timer.cancel()  # its thread would scan the keys without our lock
        self._max_keys = max_keys
        self._lock = threading.Lock()
        self._sweep_above = min(FIRST_SWEEP, max_keys)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        at = time.time()
        with self._lock:
            entries = [entry for entry in self.events.get(key, ()) if entry.expiry > at]
            if len(entries) + amount > limit:
                return False
            self.events[key] = [Entry(expiry)] * amount + entries
            if len(self.events) > self._sweep_above:
                self._sweep(at)
        return True

    def clear(self, key: str) -> None:
        with self._lock:
            self.events.pop(key, None)

    def reset(self) -> int | None:
        with self._lock:
            return super().reset()

    def _sweep(self, at: float) -> None:
        """Drop expired keys; rarely enough that the cost per hit stays constant."""
        held = [(entries[0].expiry, key) for key, entries in self.events.items() if entries[0].expiry > at]
        if len(held) > self._max_keys:
            held = heapq.nlargest(self._max_keys * 9 // 10, held)
        self.events = {key: self.events[key] for _, key in held}
        self._sweep_above = min(self._max_keys, max(FIRST_SWEEP, 2 * len(held)))


class Limiter:
    """Moving windows in a shared storage, or in this process's memory while that cannot be reached."""

    def __init__(self, storage: Storage) -> None:
        self._shared = MovingWindowRateLimiter(storage)
        self._own = MovingWindowRateLimiter(BoundedMemoryStorage())
        self._shared_again_at = 0.0

    def take(self, windows: Windows, purpose: str, who: str) -> int:
        """Count one attempt and return 0, or count nothing and return the seconds to wait."""
        return self._asked(_take, windows, (purpose, security.token_hash(who)))

    def wait(self, windows: Windows, purpose: str, who: str) -> int:
        """The seconds until one attempt is let through, 0 when it is now; nothing is counted."""
        return self._asked(_wait, windows, (purpose, security.token_hash(who)))

    def forget(self, windows: Windows, purpose: str, who: str) -> None:
        """Reset the counts of ``who``."""

        def clear(strategy: MovingWindowRateLimiter, windows: Windows, name: tuple[str, str]) -> int:
            for window in windows:
                strategy.clear(window, *name)
            return 0

        name = (purpose, security.token_hash(who))
        self._asked(clear, windows, name)
        clear(self._own, windows, name)

    def _asked(self, question: Question, windows: Windows, name: tuple[str, str]) -> int:
        """``name`` contains a hash, so that no e-mail or IP address is kept in a shared storage."""
        if time.monotonic() >= self._shared_again_at:
            try:
                return question(self._shared, windows, name)
            except StorageError as error:
                self._shared_again_at = time.monotonic() + OWN_SECONDS  # each request would wait again
                reason = type(error.__cause__ or error).__name__
                log.warning("limits cannot be shared, this process counts by itself", reason=reason)
        return question(self._own, windows, name)


@lru_cache(maxsize=1)
def limiter() -> Limiter:
    url = settings().redis_url
    return Limiter(_redis(url) if url else BoundedMemoryStorage())


def _redis(url: str) -> Storage:
    return RedisStorage(url, wrap_exceptions=True, **redis_connection.client_options())


def _take(strategy: MovingWindowRateLimiter, windows: Windows, name: tuple[str, str]) -> int:
    """All windows are tested before any is counted, so that refused attempts do not prolong the wait."""
    seconds = _wait(strategy, windows, name)
    if seconds:
        return seconds
    return _longest(strategy, [window for window in windows if not strategy.hit(window, *name)], name)


def _wait(strategy: MovingWindowRateLimiter, windows: Windows, name: tuple[str, str]) -> int:
    return _longest(strategy, [window for window in windows if not strategy.test(window, *name)], name)


def _longest(strategy: MovingWindowRateLimiter, full: Windows, name: tuple[str, str]) -> int:
    until = [strategy.get_window_stats(window, *name).reset_time for window in full]
    return max(1, math.ceil(max(until) - time.time())) if until else 0


@contextmanager
def _guess(counts: Sequence[Limit]) -> Iterator[None]:
    """One attempt, counted unless it succeeds; success clears the counts."""
    _check_all(counts)
    yield
    if settings().rate_limits == "on":
        for count in counts:
            limiter().forget(*count)


def _check_all(counts: Sequence[Limit]) -> None:
    """All limits are tested before any is counted, so that a refused attempt counts nowhere. Raises RateLimited."""
    for count in counts:
        check_without_counting(*count)
    for count in counts:
        check(*count)


def _levels(windows: Windows, purpose: str, address: str, account: str = "") -> list[Limit]:
    return [
        (
            [type(window)(window.amount * factor, window.multiples) for window in windows],
            purpose,
            f"{account} {network}" if account else network,
        )
        for network, factor in client_ip.rate_limit_networks(address)
    ]


def _is_known(account: str, address: str) -> bool:
    """Whether this address has recently signed in to the account."""
    return settings().rate_limits == "on" and limiter().wait(KNOWN, "known", f"{account} {address}") > 0


def _remember(account: str, address: str) -> None:
    """Note a sign-in to the account from this address."""
    if settings().rate_limits == "off":
        return
    if not _is_known(account, address) and limiter().take(KNOWN_ADDRESSES, "known-addresses", account):
        return
    limiter().forget(KNOWN, "known", f"{account} {address}")
    limiter().take(KNOWN, "known", f"{account} {address}")


def _account(email: str) -> str:
    """The normalised address, so that another spelling does not bypass the limit."""
    try:
        return fields.normalize_email(email)
    except InvalidInput:
        return email.strip().lower()


def _refuse(seconds: int) -> None:
    if seconds:
        raise RateLimited(
            f"Too many attempts. Try again in {format_duration(60 * math.ceil(seconds / 60))}.",
            seconds,
        )

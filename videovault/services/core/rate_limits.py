"""How often somebody may try: counted in this process, or in Redis for all processes together."""

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
from videovault.services.core import client_ip, fields

# Rate limits counted in this process, in bounded memory. ``limits.storage.MemoryStorage`` keeps the key of every window that has expired, and walks through all keys after each hit. Keys are made of what strangers send, so its memory and its CPU time grew without bound.

MAX_KEYS = 100_000  # about 40 MB
FIRST_SWEEP = 1000


class BoundedMemoryStorage(MemoryStorage):
    """Moving windows of at most ``most`` keys; for more, those go first that would have expired first."""

    def __init__(self, most: int = MAX_KEYS) -> None:
        super().__init__()
        self._most = most
        self._lock = threading.Lock()
        self._sweep_above = min(FIRST_SWEEP, most)

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
        """Drop what has expired; seldom enough that the cost per hit stays constant."""
        held = [(entries[0].expiry, key) for key, entries in self.events.items() if entries[0].expiry > at]
        if len(held) > self._most:
            held = heapq.nlargest(self._most * 9 // 10, held)
        self.events = {key: self.events[key] for _, key in held}
        self._sweep_above = min(self._most, max(FIRST_SWEEP, 2 * len(held)))


Windows = Sequence[RateLimitItem]
Limit = tuple[Windows, str, str]  # the arguments of ``check``
Question = Callable[[MovingWindowRateLimiter, Windows, tuple[str, str]], int]

# The wait grows with each window that is full: a minute, five, a quarter of an hour.
PASSWORD_ATTEMPTS = parse_many("5/minute; 8/5 minutes; 10/15 minutes")  # of one password from one address
# Others could keep somebody out with it, so it is wide, and only takes many addresses at once.
ACCOUNT_ATTEMPTS = parse_many("100/5 minutes")
ADDRESS_LOGINS = parse_many("100/5 minutes")  # an office may come by one address
REGISTRATIONS = parse_many("30/hour")  # from one address
RESET_EMAILS = parse_many("3/15 minutes; 10/day")  # to one e-mail address, whether it has an account or not
ADDRESS_RESET_EMAILS = parse_many("30/hour")  # asked for from one address
RESETS = parse_many("30/hour")  # from one address: each costs the hashing of a password
SCRIPTS = parse_many("30/minute; 300/hour")  # of one account, as the next two
GENERATIONS = parse_many("30/minute; 300/hour")
TEST_ORDERS = parse_many("6/10 minutes; 30/day")  # of all admins together: each may cost a render
STORES = parse_many("120/minute; 2000/hour")
LINKS = parse_many("1200/minute")  # galleries with links, and links one by one, of one account
LONG_REPORTS = parse_many("20/minute")  # reports over 16 KiB, of one account or on one video
WRONG_KEYS = parse_many("20/hour")  # of share links, from one address
# Unauthenticated callbacks that are recorded, from one address and from all together.
CALLBACKS = parse_many("10/minute; 100/hour")
ALL_CALLBACKS = parse_many("600/minute")
# How long an address that signed in to an account keeps its own allowance, and for how many addresses that holds.
KNOWN = parse_many("1/30 days")
KNOWN_ADDRESSES = parse_many("20/30 days")

REDIS_SECONDS = 2.0  # then this process counts by itself
log = logs.get(__name__)


def check(windows: Windows, purpose: str, who: str) -> None:
    """Count one attempt of ``who``. Raises RateLimited, with the seconds to wait, when it is one too many."""
    if settings().rate_limits == "on":
        _refuse(limiter().take(windows, purpose, who))


def check_without_counting(windows: Windows, purpose: str, who: str) -> None:
    """As ``check``, without counting: for attempts of which only the wrong ones count, by ``check`` afterwards."""
    if settings().rate_limits == "on":
        _refuse(limiter().wait(windows, purpose, who))


def check_address(windows: Windows, purpose: str, address: str) -> None:
    """As ``check`` for an address, and for the IPv6 /56 and /48 around it with their larger allowances."""
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
    """Let one attempt to sign in through; wrong ones soon have to wait. Raises RateLimited.

    The address counts for an account that does not exist, too, so that limits do not tell who is here. A browser
    whose cookie ``device`` shows that it signed in to this account before has its own allowance (OWASP, device
    cookies). An address that did is not held to the limit of the account, which other addresses can exhaust.
    """
    security.hashing.check_capacity()  # what is refused for that is no guess
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
    """Let through one try of the password that whoever is signed in is asked for once more. Raises RateLimited.

    Whoever took over a session must not find out the password that goes with it.
    """
    security.hashing.check_capacity()
    with _guess([(PASSWORD_ATTEMPTS, "confirmation", user_id)]):
        yield


def check_reset_email(email: str, address: str, device: str = "") -> None:
    """Count one letter that somebody at ``address`` wants sent to ``email``. Raises RateLimited.

    Browsers and addresses that signed in to the account before have their own allowance, as in ``login``.
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


class Limiter:
    """Moving windows over one storage; while that cannot be reached, over the memory of this process."""

    def __init__(self, storage: Storage) -> None:
        self._shared = MovingWindowRateLimiter(storage)
        self._own = MovingWindowRateLimiter(BoundedMemoryStorage())

    def take(self, windows: Windows, purpose: str, who: str) -> int:
        """Count one attempt and return 0, or count nothing and return the seconds to wait."""
        return self._asked(_take, windows, (purpose, security.token_hash(who)))

    def wait(self, windows: Windows, purpose: str, who: str) -> int:
        """The seconds until one attempt is let through, 0 when it is now; nothing is counted."""
        return self._asked(_wait, windows, (purpose, security.token_hash(who)))

    def forget(self, windows: Windows, purpose: str, who: str) -> None:
        """Start anew for ``who``."""
        for window in windows:
            for strategy in (self._shared, self._own):
                try:
                    strategy.clear(window, purpose, security.token_hash(who))
                except StorageError:
                    log.exception("limits cannot be shared, this process counts by itself")

    def _asked(self, question: Question, windows: Windows, name: tuple[str, str]) -> int:
        """``name`` holds a hash: no addresses of people in a shared storage."""
        try:
            return question(self._shared, windows, name)
        except StorageError:
            log.exception("limits cannot be shared, this process counts by itself")
            return question(self._own, windows, name)


@lru_cache(maxsize=1)
def limiter() -> Limiter:
    url = settings().redis_url
    return Limiter(_redis(url) if url else BoundedMemoryStorage())


def _redis(url: str) -> Storage:
    return RedisStorage(
        url, wrap_exceptions=True, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    )


def _take(strategy: MovingWindowRateLimiter, windows: Windows, name: tuple[str, str]) -> int:
    """All windows are asked before any is counted in, so that refused attempts do not prolong the wait."""
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
    """One attempt that is counted unless it succeeds; success clears the counts."""
    _check_all(counts)
    yield
    if settings().rate_limits == "on":
        for count in counts:
            limiter().forget(*count)


def _check_all(counts: Sequence[Limit]) -> None:
    """All are asked before any is counted, so that a refused attempt counts nowhere. Raises RateLimited."""
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
    """Whether the account was signed in to from this address lately."""
    return settings().rate_limits == "on" and limiter().wait(KNOWN, "known", f"{account} {address}") > 0


def _remember(account: str, address: str) -> None:
    """Note that the account was signed in to from this address."""
    if settings().rate_limits == "off":
        return
    if not _is_known(account, address) and limiter().take(KNOWN_ADDRESSES, "known-addresses", account):
        return
    limiter().forget(KNOWN, "known", f"{account} {address}")
    limiter().take(KNOWN, "known", f"{account} {address}")


def _account(email: str) -> str:
    """The address as accounts are found by it, so that no other spelling is a way round."""
    try:
        return fields.normalize_email(email)
    except InvalidInput:
        return email.strip().lower()


def _refuse(seconds: int) -> None:
    if seconds:
        raise RateLimited(
            f"That was tried too often. Please try again in {format_duration(60 * math.ceil(seconds / 60))}.",
            seconds,
        )

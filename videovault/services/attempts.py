"""How often an address has shown wrong keys of late: who guesses is refused for a while, in this process."""

import math
import time
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from videovault.config import settings
from videovault.errors import RateLimited

WRONG_KEYS = RateLimitItemPerHour(20)


def check(address: str) -> None:
    """Raises RateLimited when too many wrong keys came from this address within an hour."""
    if settings().rate_limits == "off":
        return
    window = limiter().get_window_stats(WRONG_KEYS, *_named(address))
    if window.remaining <= 0:
        wait = max(1, math.ceil(window.reset_time - time.time()))
        raise RateLimited("Too many wrong links were opened from here. Please try again in an hour.", wait)


def count(address: str) -> None:
    """One more wrong key from this address."""
    limiter().hit(WRONG_KEYS, *_named(address))


@lru_cache(maxsize=1)
def limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 address also where it came inside an IPv6 one; None for what is no address."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (known.ipv4_mapped or known) if isinstance(known, IPv6Address) else known


def _named(address: str) -> tuple[str, str]:
    """One household has a whole /64 of IPv6 addresses."""
    known = parsed(address)
    if isinstance(known, IPv6Address):
        return "share", str(IPv6Address(int(known) >> 64 << 64))
    return "share", str(known)

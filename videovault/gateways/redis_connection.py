"""Connections to Redis: how long clients wait, and a check whether it can be used.

Every call ends, on a frozen connection too, and none is repeated for long.
"""

import secrets
from typing import Any

from videovault.errors import UpstreamError

ANSWER_SECONDS = 2.0  # for an answer, and for a connection
IDLE_SECONDS = 15  # a connection that was idle for so long is tested before its next use
CHECK_SECONDS = 4.0  # for an answer during the check
CHECK_KEY_SECONDS = 10


def client_options(seconds: float | None = None) -> dict[str, Any]:
    """Options of a synchronous client: keyword arguments of ``from_url``."""
    from redis.backoff import NoBackoff  # takes 100 ms
    from redis.retry import Retry

    # A connection may have been closed while idle.
    return _options(seconds or ANSWER_SECONDS) | {"retry": Retry(NoBackoff(), 1)}


def async_client_options() -> dict[str, Any]:
    """The same for an asynchronous client."""
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return _options(ANSWER_SECONDS) | {"retry": Retry(NoBackoff(), 1)}


class RedisUnusable(UpstreamError):
    """The message says why."""


def write_and_read(url: str) -> None:
    """Write a key that expires soon, and read it. Raises RedisUnusable."""
    from redis import Redis
    from redis.exceptions import RedisError

    key = f"videovault-checks:{secrets.token_hex(8)}"
    try:
        with Redis.from_url(
            url,
            socket_connect_timeout=CHECK_SECONDS,
            socket_timeout=CHECK_SECONDS,
            retry_on_timeout=False,
        ) as client:
            client.set(key, "1", ex=CHECK_KEY_SECONDS)
            if client.get(key) != b"1":
                raise RedisUnusable("It does not return what was just written.")
            client.delete(key)
    except (RedisError, ValueError) as error:
        raise RedisUnusable(str(error).rstrip(".") + ".") from error


def _options(seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "socket_keepalive": True,
        "health_check_interval": IDLE_SECONDS,
    }

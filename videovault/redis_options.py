"""How long clients of Redis wait. Every call ends, on a frozen connection too, and none is repeated for long."""

from typing import Any

SECONDS = 2.0  # for an answer, and for a connection
CHECK_SECONDS = 15  # a connection that was idle for so long is tested before its next use


def client_options(seconds: float | None = None) -> dict[str, Any]:
    """Options of a synchronous client: keyword arguments of ``from_url``."""
    from redis.backoff import NoBackoff  # takes 100 ms
    from redis.retry import Retry

    return _options(seconds or SECONDS) | {
        "retry": Retry(NoBackoff(), 1)
    }  # a connection may have been closed while idle


def async_client_options() -> dict[str, Any]:
    """The same for an asynchronous client."""
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return _options(SECONDS) | {"retry": Retry(NoBackoff(), 1)}


def _options(seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "socket_keepalive": True,
        "health_check_interval": CHECK_SECONDS,
    }

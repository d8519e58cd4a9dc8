"""Check whether a Redis can be used."""

import secrets

from videovault.errors import UpstreamError

SECONDS = 4.0
KEY_SECONDS = 10


class RedisUnusable(UpstreamError):
    """The message says why."""


def write_and_read(url: str) -> None:
    """Write a key that expires soon, and read it. Raises RedisUnusable."""
    from redis import Redis
    from redis.exceptions import RedisError

    key = f"videovault-checks:{secrets.token_hex(8)}"
    try:
        with Redis.from_url(
            url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS, retry_on_timeout=False
        ) as client:
            client.set(key, "1", ex=KEY_SECONDS)
            if client.get(key) != b"1":
                raise RedisUnusable("It does not return what was just written.")
            client.delete(key)
    except (RedisError, ValueError) as error:
        raise RedisUnusable(str(error).rstrip(".") + ".") from error

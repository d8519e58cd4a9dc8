"""A real Redis: one for the session, or one of its own that a test may stop, kill and freeze."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from tests.support.app import free_port
from tests.support.part import Part, running


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of the session's server."""
    with running_redis() as server:
        yield f"{server.url}/0"


@contextmanager
def running_redis(*, is_durable: bool = False) -> Iterator[Part]:
    """Its ``url`` names no database. Durable: each change is on disk, so that a kill loses nothing. Skips without Redis."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis (redis-server) is not installed here")
    with tempfile.TemporaryDirectory(prefix="videovault-redis-") as name:
        port, folder = free_port(), Path(name)
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name]
        options += ["--appendonly", "yes" if is_durable else "no"]
        environment = {"URL": f"redis://127.0.0.1:{port}"}
        with running(
            Part("redis", (program, *options), folder, folder / "log", lambda: _answers(port), environment)
        ) as part:
            yield part


def _answers(port: int) -> bool:
    with redis.Redis(port=port, socket_timeout=2) as client, suppress(redis.RedisError):
        return bool(client.ping())
    return False

"""A real Redis for the session, kept in memory only."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NotThere

from tests.support.app import free_port
from tests.support.waiting import HANG_SECONDS


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of the server; skipped where Redis is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis (redis-server) is not installed here")
    with running_redis() as url:
        yield url


@contextmanager
def running_redis() -> Iterator[str]:
    """The address of a server of its own."""
    program = shutil.which("redis-server")
    assert program, "Redis (redis-server) is not installed here"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="videovault-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + HANG_SECONDS
    with Redis(port=port) as client:
        while not _answers(client):
            assert time.monotonic() < until, "redis-server does not answer"
            time.sleep(0.05)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except NotThere:
        return False

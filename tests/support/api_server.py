"""The API alone in a process of its own, for attacks by raw sockets."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from starlette.types import ASGIApp

from tests.support.app import ROOT, free_port
from videovault.api.app import create_api
from videovault.api.middleware.stack import wrap_in_middleware

START_SECONDS = 60


def make() -> ASGIApp:
    """What the process serves."""
    return wrap_in_middleware(create_api())


@contextmanager
def api_server() -> Iterator[int]:
    """The port of an API with the settings and the database of this test."""
    port = free_port()
    options = ["--interface", "asgi", "--factory", "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "granian", *options, "--log-level", "error", f"{__name__}:make"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the API does not answer")

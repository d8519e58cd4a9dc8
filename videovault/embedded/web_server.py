"""Reserves the port that pages, API and websocket share, and starts the server on it."""

import errno
import fcntl
import json
import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from videovault import logs
from videovault.config import Settings
from videovault.embedded.processes import connection_limit
from videovault.errors import ConfigurationError

SERVER, LISTENER = "videovault.embedded.web_process", "VIDEOVAULT_LISTENER"
STOP_SECONDS = 40  # beyond the calls of generators, for which the embedded worker waits
# Internal to Reflex, whose version is pinned: serve the built pages, compile nothing.
SERVE_BUILT_PAGES = ("__REFLEX_SKIP_COMPILE", "__REFLEX_MOUNT_FRONTEND_COMPILED_APP")


@contextmanager
def port_reserved(data_dir: Path, host: str, port: int) -> Iterator[IO[str]]:
    """Keep a second start on the same DATA_DIR from sharing the port, which granian's SO_REUSEPORT would allow.

    Raises ConfigurationError when the port cannot be listened on.
    """
    with (data_dir / f"port-{port}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"Port {port} on {host} cannot be used: another VideoVault is starting or running on it. "
                f"{_advice(OSError(errno.EADDRINUSE, ''), port)}"
            ) from error
        check_port(host, port)
        yield lock


def check_port(host: str, port: int) -> None:
    """Raises ConfigurationError when the port cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host} cannot be used: {error.strerror}. {_advice(error, port)}"
            ) from error


def _advice(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Stop the program that listens there, or choose another port: PORT={port + 1} make run"
    if error.errno == errno.EACCES:
        return "Ports below 1024 belong to root: choose another PORT."
    return "HOST has to be an address of this machine, such as 127.0.0.1 or 0.0.0.0."


def serve(settings: Settings, port_lock: IO[str]) -> NoReturn:
    """Replace this process with ``web_process``, which keeps ``port_lock``: its memory goes, its id stays."""
    os.environ.setdefault("REFLEX_ENV_MODE", "prod")
    # For jemalloc, the HTTP server's allocator: without its thread it keeps the memory of closed connections.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0")
    os.environ.update(dict.fromkeys(SERVE_BUILT_PAGES, "True"))
    listener = {
        "host": settings.host,
        "port": settings.port,
        "max_connections": connection_limit(settings.max_connections),
        "stop_seconds": stop_seconds(settings),
        "summary": _summary(settings),
    }
    os.set_inheritable(port_lock.fileno(), True)
    logs.flush()
    os.environ[LISTENER] = json.dumps(listener)
    os.execv(sys.executable, [sys.executable, "-m", SERVER])  # noqa: S606 - no shell is wanted


def stop_seconds(settings: Settings) -> int:
    """How long the serving process may take to stop."""
    return STOP_SECONDS + (math.ceil(settings.webhook_timeout_seconds) if settings.workers else 0)


def _summary(settings: Settings) -> str:
    objects = (
        f"the embedded S3 ({settings.data_dir / 's3'})"
        if settings.uses_embedded_s3
        else f"the bucket {settings.aws_s3_bucket_name}"
    )
    generator = "the embedded studio" if settings.uses_embedded_studio else "your webhooks"
    workers = (
        f"one worker process, {settings.workers} transfers at once"
        if settings.workers
        else "workers elsewhere"
    )
    return (
        f"\n  VideoVault is ready: {settings.base_url}\n\n"
        f"  videos   {objects}\n  making   {generator}\n  storing  {workers}\n"
        f"  data     {settings.data_dir.resolve()}\n\n  Ctrl-C stops all of it.\n"
    )

"""Serves pages, API and websocket on one port, and announces it once it answers."""

import errno
import fcntl
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from videovault.config import Settings
from videovault.embedded.process import connection_limit
from videovault.errors import ConfigurationError

START_SECONDS = 60.0
STOP_SECONDS = 40
POLL_SECONDS = 0.2
HEAD_SECONDS = 30  # for a request's head, and between two requests of one connection
# Internal to Reflex, whose version is pinned: serve the built pages, compile nothing.
SERVE_BUILT_PAGES = ("__REFLEX_SKIP_COMPILE", "__REFLEX_MOUNT_FRONTEND_COMPILED_APP")
BACKLOG = 2048  # connections that the system accepts before the server does


@contextmanager
def port_reserved(data_dir: Path, host: str, port: int) -> Iterator[None]:
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
        yield


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


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; the app's lifespan starts and stops everything else."""
    os.environ.setdefault("REFLEX_ENV_MODE", "prod")
    # For jemalloc, the HTTP server's allocator: without its thread it keeps the memory of closed connections.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0")
    os.environ.update(dict.fromkeys(SERVE_BUILT_PAGES, "True"))
    # A forked child would deadlock on locks that threads of this process held at that moment.
    multiprocessing.set_start_method("spawn")
    ready = threading.Event()
    threading.Thread(target=_announce, args=(settings, ready), daemon=True).start()
    server = Server(
        "videovault.videovault:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # with HTTP/2 enabled, a connection that sends nothing is never closed
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000),
        backlog=BACKLOG,
        backpressure=connection_limit(settings.max_connections),
        factory=True,
        workers=1,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.warning,
    )
    threading.Thread(target=_stop_while_starting, args=(server, ready), daemon=True).start()
    server.serve()


def _stop_while_starting(server: Any, ready: threading.Event) -> None:
    """Kill granian's child, which loses a signal that arrives while it starts and would then continue to serve.

    It has served nothing yet, and its own children end with it.
    """
    while not server.interrupt_signal:
        if ready.wait(POLL_SECONDS):
            return
    while True:
        for child in multiprocessing.active_children():
            child.kill()
        time.sleep(POLL_SECONDS)


def _announce(settings: Settings, ready: threading.Event) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/healthz"
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):
                ready.set()
                print(_summary(settings), flush=True)  # noqa: T201 - for the terminal
                return
        except OSError:
            time.sleep(POLL_SECONDS)
    text = f"VideoVault does not answer at {url} after {START_SECONDS:.0f} s and stops."
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - for the terminal
    os.kill(os.getpid(), signal.SIGTERM)


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

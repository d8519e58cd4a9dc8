"""This process: its limits, its signals and its end."""

import asyncio
import atexit
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from videovault import logs

RESERVED_FILES = 512  # for the database, S3, webhooks and the files of the pages
DEFAULT_LIMIT = 65_536  # systems without a hard limit do not accept "unlimited" either


def raise_open_file_limit() -> None:
    """Raise the soft limit of open files to the hard one, for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DEFAULT_LIMIT if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit(wanted: int) -> int:
    """``wanted``, or less if the limit of open files is low.

    Half of the files are for requests and half for page sockets; the HTTP server limits only the former.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(64, min(wanted, (soft - RESERVED_FILES) // 2))


def exit_without_teardown() -> None:
    """Flush the logs and end at once, with success.

    During the interpreter's teardown, threads of the HTTP server that call Python are unwound by force, and Rust then aborts
    the process with a panic.
    """
    logs.flush()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or without a reader
            stream.flush()
    os._exit(0)


def skip_teardown_in_child() -> None:
    """Let the server's child process end this way; its parent ignores the status."""
    if multiprocessing.parent_process() is not None:
        atexit.register(exit_without_teardown)


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEAT_SECONDS = 1.0  # a signal to the process group also comes from the parent, at almost the same time


@contextmanager
def on_stop_signal(
    callback: Callable[[], object],
    repeated: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Call ``callback`` in the running event loop on STOP_SIGNALS, before the existing handler.

    ``repeated`` is called when the same signal comes again, REPEAT_SECONDS or more after the first one. After Ctrl-C this
    process gets both signals: from the terminal, and from its parent.

    The lifespan itself ends only after the last request. The server's handler stays: asyncio's works through the wakeup
    descriptor, which is not changed.
    """
    if threading.current_thread() is not threading.main_thread():  # other threads must not set handlers
        yield
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    first: dict[int, float] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if number not in first:
            first[number] = clock()
            loop.call_soon_threadsafe(callback)
        elif clock() - first[number] >= REPEAT_SECONDS:
            loop.call_soon_threadsafe(repeated)
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in STOP_SIGNALS:
        _set_handler(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            _set_handler(number, handler)


def _set_handler(number: signal.Signals, handler: object) -> None:
    signal.signal(number, handler)  # type: ignore[arg-type] # from getsignal
    signal.siginterrupt(number, False)  # as asyncio does: system calls are restarted

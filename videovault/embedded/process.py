"""How many files and connections this process may have open."""

import asyncio
import atexit
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from videovault import logs

RESERVED = 512  # for the database, S3, webhooks and the files of the pages
WITHOUT_LIMIT = 65_536  # where the system names no hard limit, it does not accept "unlimited" either


def raise_open_file_limit() -> None:
    """Raise the soft limit of open files to the hard one, for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WITHOUT_LIMIT if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit(wanted: int) -> int:
    """``wanted``, or less where open files are scarce.

    Half of them are for requests, half for page sockets: the HTTP server limits the former only.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(64, min(wanted, (soft - RESERVED) // 2))


# Ends a process without the interpreter's own teardown. While the interpreter is torn down, a thread of the HTTP server that still asks for it is unwound by force, and Rust answers that by aborting the whole process with a panic.


def exit_without_teardown() -> None:
    """Write what is left of the log and end at once, with success."""
    logs.flush()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or its reader is gone
            stream.flush()
    os._exit(0)


def skip_teardown_in_child() -> None:
    """Let the server's child process end this way; its parent does not look at the status."""
    if multiprocessing.parent_process() is not None:
        atexit.register(exit_without_teardown)


# Hears the signal that ends the server when it comes: the lifespan ends only after the last request.

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_stop_signal(tell: Callable[[], object]) -> Iterator[None]:
    """Call ``tell`` in the running event loop at the first of STOP_SIGNALS, before whoever handles it already.

    The server's own handler stays: asyncio's works through the wakeup descriptor, which is left alone.
    """
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in STOP_SIGNALS:
        _set(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            _set(number, handler)


def _set(number: signal.Signals, handler: object) -> None:
    signal.signal(number, handler)  # type: ignore[arg-type] # what getsignal gave
    signal.siginterrupt(number, False)  # as asyncio wants it: system calls go on

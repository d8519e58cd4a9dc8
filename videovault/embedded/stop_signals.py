"""Hears the signal that ends the server when it comes: the lifespan ends only after the last request."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def told_to_stop(tell: Callable[[], object]) -> Iterator[None]:
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

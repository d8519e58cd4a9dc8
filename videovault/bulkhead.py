"""Limits on how many calls use an expensive resource at once: the next ones wait briefly, and further ones are refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Semaphore

from videovault.errors import Busy

# Work for the processor: more at once would finish none of it earlier.
CPU_CONCURRENCY = max(2, min(4, os.cpu_count() or 2))


class Bulkhead:
    """``at_once`` calls run, ``waiting`` more wait for at most ``seconds``; the threads of all others stay free."""

    def __init__(self, *, at_once: int, waiting: int, seconds: float) -> None:
        self._most = at_once + waiting
        self._seconds = seconds
        self._free = Semaphore(at_once)
        self._inside = 0
        self._lock = Lock()

    def check_room(self) -> None:
        """Raises Busy where a call would be refused at once."""
        if self._inside >= self._most:
            raise Busy

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Run the block when its turn comes. Raises Busy."""
        with self._lock:
            self.check_room()
            self._inside += 1
        try:
            if not self._free.acquire(timeout=self._seconds):
                raise Busy
            try:
                yield
            finally:
                self._free.release()
        finally:
            with self._lock:
                self._inside -= 1

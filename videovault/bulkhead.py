"""Limits on concurrent use of an expensive resource: a few calls wait briefly, further ones are refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Semaphore

from videovault.errors import Busy

# For CPU-bound work: more at once would finish none of it earlier.
CPU_CONCURRENCY = max(2, min(4, os.cpu_count() or 2))


class Bulkhead:
    """Runs ``at_once`` calls while ``waiting`` more wait for at most ``seconds``, so that other threads stay free."""

    def __init__(self, *, at_once: int, waiting: int, seconds: float) -> None:
        self._capacity = at_once + waiting
        self._seconds = seconds
        self._free = Semaphore(at_once)
        self._inside = 0
        self._lock = Lock()

    def check_capacity(self) -> None:
        """Raises Busy if a call would be refused immediately."""
        if self._inside >= self._capacity:
            raise Busy

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Run the block once a slot is free. Raises Busy."""
        with self._lock:
            self.check_capacity()
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

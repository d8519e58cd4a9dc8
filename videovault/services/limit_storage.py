"""Rate limits counted in this process, in bounded memory.

``limits.storage.MemoryStorage`` keeps the key of every window that has expired, and walks through all keys after each
hit. Keys are made of what strangers send, so its memory and its CPU time grew without bound.
"""

import heapq
import threading
import time

from limits.storage import MemoryStorage
from limits.storage.memory import Entry

MOST_KEYS = 100_000  # about 40 MB
FIRST_SWEEP = 1000


class BoundedMemory(MemoryStorage):
    """Moving windows of at most ``most`` keys; for more, those go first that would have expired first."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        super().__init__()
        self._most = most
        self._lock = threading.Lock()
        self._sweep_above = min(FIRST_SWEEP, most)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        at = time.time()
        with self._lock:
            entries = [entry for entry in self.events.get(key, ()) if entry.expiry > at]
            if len(entries) + amount > limit:
                return False
            self.events[key] = [Entry(expiry)] * amount + entries
            if len(self.events) > self._sweep_above:
                self._sweep(at)
        return True

    def clear(self, key: str) -> None:
        with self._lock:
            self.events.pop(key, None)

    def reset(self) -> int | None:
        with self._lock:
            return super().reset()

    def _sweep(self, at: float) -> None:
        """Drop what has expired; seldom enough that the cost per hit stays constant."""
        held = [(entries[0].expiry, key) for key, entries in self.events.items() if entries[0].expiry > at]
        if len(held) > self._most:
            held = heapq.nlargest(self._most * 9 // 10, held)
        self.events = {key: self.events[key] for _, key in held}
        self._sweep_above = min(self._most, max(FIRST_SWEEP, 2 * len(held)))

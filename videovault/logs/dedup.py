"""Limit repeated log lines that clients can cause at any rate."""

import threading
import time
from collections.abc import Callable

from videovault import logs

QUIET_SECONDS = 600.0  # until the same limit is logged again for an address
MAX_LINES = 100  # in that time, for all addresses together
MAX_KEYS = 1000

log = logs.get(__name__)


class LimitLog:
    """Logs when a limit starts to apply to a client, but not each rejection. Thread-safe, at most ``MAX_LINES`` entries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: set[tuple[str, str]] = set()
        self._until = 0.0

    def note(self, limit: str, address: str) -> None:
        """``address`` is the client's or its network; empty if unknown."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._logged, self._until = set(), time.monotonic() + QUIET_SECONDS
            if (limit, address) in self._logged or len(self._logged) >= MAX_LINES:
                return
            self._logged.add((limit, address))
        log.warning("limit reached", limit=limit, address=address)


class OncePerInterval:
    """Whether a key is due, at most once in ``seconds``. Thread-safe, at most ``MAX_KEYS`` entries."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}  # oldest first
        self._lock = threading.Lock()

    def is_due(self, key: str) -> bool:
        now = self._clock()
        with self._lock:
            if now - self._last.get(key, -self._seconds) < self._seconds:
                return False
            self._last.pop(key, None)
            self._last[key] = now
            if len(self._last) > MAX_KEYS:
                del self._last[next(iter(self._last))]
            return True

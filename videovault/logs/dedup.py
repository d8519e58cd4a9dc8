"""One log line when a limit begins to apply to a client, and not one for each refusal."""

import threading
import time
from collections.abc import Callable
from threading import Lock

from videovault import logs

QUIET_SECONDS = 600.0  # until the same limit is logged again for the same address
MAX_LINES = 100  # in that time, however many addresses there are

log = logs.get(__name__)


class LimitLog:
    """Usable from any thread; keeps at most ``MOST_LINES`` entries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: set[tuple[str, str]] = set()
        self._until = 0.0

    def note(self, limit: str, address: str) -> None:
        """``address`` is the client's, or its network's; empty if unknown."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._logged, self._until = set(), time.monotonic() + QUIET_SECONDS
            if (limit, address) in self._logged or len(self._logged) >= MAX_LINES:
                return
            self._logged.add((limit, address))
        log.warning("limit reached", limit=limit, address=address)


# What may be logged in full once in a while only, since people from outside can cause it as often as they like.

MAX_KEYS = 1000


class OncePerInterval:
    """Tells for each key whether ``seconds`` have passed since it was due the last time."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}  # the latest last
        self._lock = Lock()

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

"""What may be logged in full once in a while only, since people from outside can cause it as often as they like."""

import time
from collections.abc import Callable
from threading import Lock

MOST_KEYS = 1000


class Seldom:
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
            if len(self._last) > MOST_KEYS:
                del self._last[next(iter(self._last))]
            return True

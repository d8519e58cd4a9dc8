"""One log line when a limit begins to apply to a client, and not one for each refusal."""

import threading
import time

from videovault import logs

QUIET_SECONDS = 600.0  # until the same limit is logged again for the same address
MOST_LINES = 100  # in that time, however many addresses there are

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
            if (limit, address) in self._logged or len(self._logged) >= MOST_LINES:
                return
            self._logged.add((limit, address))
        log.warning("limit reached", limit=limit, address=address)

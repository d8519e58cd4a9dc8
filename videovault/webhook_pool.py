"""Threads that wait for generators, which may take minutes to answer, so that transfers need not wait for them."""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from videovault import logs

log = logs.get(__name__)


class WebhookPool:
    """Takes calls as they come and makes a few of them at a time.

    Nothing is lost with them: what waits here is still unasked in its row, and is handed out again. The threads
    are daemons, unlike an executor's, for a call that hangs must not hold up the end of the process.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[str, Callable[[], object]]] = SimpleQueue()
        self._taken: set[str] = set()
        self._running = 0
        self._changed = threading.Condition()
        self._ends_at = 0.0
        self.is_running = False

    def start(self, at_once: int) -> None:
        self.is_running = True
        for number in range(at_once):
            threading.Thread(target=self._work, name=f"asker-{number}", daemon=True).start()

    def take(self, video_id: str, ask: Callable[[], object]) -> None:
        """Have ``ask`` done, unless something is being asked about this video already."""
        with self._changed:
            if video_id not in self._taken:
                self._taken.add(video_id)
                self._calls.put((video_id, ask))

    def stop(self, seconds: float) -> None:
        """Begin nothing more; ``finish`` waits so long, from now on, for what is running."""
        self.is_running = False
        self._ends_at = time.monotonic() + seconds

    def finish(self) -> None:
        """Wait for running calls to end, since their answers may be paid for."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, self._ends_at - time.monotonic())

    def _work(self) -> None:
        while True:
            video_id, ask = self._calls.get()
            if not self._begin():
                return
            try:
                ask()
            except Exception:  # the database's, as all else has become a reason in the row
                log.exception("asking failed, it will be tried again", video_id=video_id)
            finally:
                self._end(video_id)

    def _begin(self) -> bool:
        with self._changed:
            self._running += self.is_running
            return self.is_running

    def _end(self, video_id: str) -> None:
        with self._changed:
            self._running -= 1
            self._taken.discard(video_id)
            self._changed.notify_all()

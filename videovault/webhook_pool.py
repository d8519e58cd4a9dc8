"""A bounded thread pool for generator webhooks, which may take minutes, so that transfers do not wait for them."""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from videovault import logs

log = logs.get(__name__)


class WebhookPool:
    """Runs a few calls at a time and queues the rest.

    A lost call does no harm: its video's row still shows an order to send, and ``repair`` enqueues it again. The
    threads are daemons, unlike an executor's: a hanging call must not delay the end of the process.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[str, Callable[[], object]]] = SimpleQueue()
        self._video_ids: set[str] = set()
        self._running = 0
        self._changed = threading.Condition()
        self._deadline = 0.0
        self.is_running = False

    def start(self, at_once: int) -> None:
        self.is_running = True
        for number in range(at_once):
            threading.Thread(target=self._run, name=f"webhook-{number}", daemon=True).start()

    def submit(self, video_id: str, call: Callable[[], object]) -> None:
        """Run ``call``, unless one for this video is queued or running."""
        with self._changed:
            if video_id not in self._video_ids:
                self._video_ids.add(video_id)
                self._calls.put((video_id, call))

    def stop(self, seconds: float) -> None:
        """Start no more calls; ``finish`` waits up to ``seconds`` from now for those that are running."""
        self.is_running = False
        self._deadline = time.monotonic() + seconds

    def finish(self) -> None:
        """Wait for running calls to end: their responses may have been paid for."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, self._deadline - time.monotonic())

    def _run(self) -> None:
        while True:
            video_id, call = self._calls.get()
            if not self._started():
                return
            try:
                call()
            except Exception:  # of the database: all others are recorded in the row
                log.exception("webhook call failed, will be retried", video_id=video_id)
            finally:
                self._finished(video_id)

    def _started(self) -> bool:
        with self._changed:
            self._running += self.is_running
            return self.is_running

    def _finished(self, video_id: str) -> None:
        with self._changed:
            self._running -= 1
            self._video_ids.discard(video_id)
            self._changed.notify_all()

"""A worker's hold on a video's row: a heartbeat that tells how far the work is and hears when to stop."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import SQLAlchemyError

from videovault import logs
from videovault.db import db_now, transaction
from videovault.errors import DiskFull
from videovault.models import Video
from videovault.services.core import lifecycle
from videovault.services.core.capacity import SpaceReservation

BEAT_SECONDS = 0.5

log = logs.get(__name__)


class LeaseLost(Exception):
    """The row is no longer this worker's: cancelled, deleted or claimed by another."""


class WorkerStopping(Exception):
    """The worker is stopping; the video goes back to the queue."""


class Lease:
    """Held with ``with``; ``stopping`` tells whether this worker has been asked to end."""

    def __init__(self, video: Video, stopping: Callable[[], bool]) -> None:
        self._video = video
        self._stopping = stopping
        self._lost = threading.Event()
        self._over = threading.Event()
        self._room = SpaceReservation(video)
        self._bytes: tuple[int, int | None] | None = None
        self._rate = Rate()
        self._heart = threading.Thread(target=self._beat, name=f"lease-{video.id}", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._heart.join()

    def begin(self, bytes_total: int | None) -> None:
        """Make room for so many bytes. Raises QuotaExceeded, DiskFull."""
        self._room.begin(bytes_total)

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """Remember how far the transfer is; the next heartbeat tells it. Raises as ``begin`` and ``check`` do."""
        self._bytes = (bytes_done, bytes_total)
        self.check()
        self._room.took(bytes_done)

    def check(self) -> None:
        """Raises Superseded or Interrupted when the work is to end."""
        if self._lost.is_set():
            raise LeaseLost
        if self._stopping():
            raise WorkerStopping

    def note(self, **values: Any) -> None:
        """Set columns of the row at once. Raises Superseded when it is no longer ours."""
        with transaction(essential=True) as session:
            if not lifecycle.update_if_unchanged(session, self._video, heartbeat_at=db_now(), **values):
                self._lost.set()
                raise LeaseLost

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self.note(**self._progress())
            except LeaseLost:
                return
            except (SQLAlchemyError, DiskFull) as error:
                # A busy database is no reason to lose a transfer; the lease outlives many beats.
                log.warning("heartbeat missed", reason=type(error).__name__)

    def _progress(self) -> dict[str, Any]:
        if self._bytes is None:
            return {}
        done, total = self._bytes
        return {"bytes_done": done, "bytes_total": total, "bytes_per_second": self._rate.at(done)}


class Rate:
    """Bytes per second as a person wants to see them: of late, without jumping."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._smooth: float | None = None

    def at(self, bytes_done: int) -> float | None:
        """The rate with ``bytes_done`` reached now, None at the first call, which may be that of a resumed transfer.

        A transfer that begins anew does not count backwards.
        """
        last, self._last = self._last, (time.monotonic(), bytes_done)
        if last is None:
            return None
        fresh = max(0, bytes_done - last[1]) / max(self._last[0] - last[0], 0.001)
        self._smooth = fresh if self._smooth is None else 0.7 * self._smooth + 0.3 * fresh
        return self._smooth

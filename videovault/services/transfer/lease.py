"""Heartbeats of workers: the lease on the row of each video in work, and the registry of the worker processes.

A lease records the progress and detects when the work must stop. A worker process deregisters on shutdown.
"""

import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, delete, select

from videovault import logs, metrics
from videovault.clock import db_now, read_db_now
from videovault.db import reading, transaction
from videovault.errors import DiskFull
from videovault.models import Video, Worker
from videovault.services.core import lifecycle
from videovault.services.core.quota import SpaceReservation

HEARTBEAT_SECONDS = 0.5  # of a lease
BEAT_SECONDS = 5.0  # of a worker process
SILENT_AFTER = timedelta(seconds=20)
KEEP_SILENT_FOR = timedelta(days=1)
# Leases of live workers expire in an outage of the database that lasts longer. Afterwards they need time for a heartbeat.
OUTAGE_SECONDS, GRACE_SECONDS = 5.0, 5.0

log = logs.get(__name__)


class LeaseLost(Exception):
    """The row no longer belongs to this worker: cancelled, deleted or claimed by another one."""


class WorkerStopping(Exception):
    """The worker is shutting down; the video returns to the queue."""


class Lease:
    """A context manager; ``stopping`` returns whether this worker is shutting down."""

    def __init__(self, video: Video, stopping: Callable[[], bool]) -> None:
        self._video = video
        self._stopping = stopping
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._reservation = SpaceReservation(video)
        self._bytes: tuple[int, int | None] | None = None
        self._rate = _SmoothedRate()
        self._thread = threading.Thread(
            target=logs.in_this_context(self._send_heartbeats), name=f"lease-{video.id}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def begin(self, bytes_total: int | None) -> None:
        """Reserve space for the bytes. Raises QuotaExceeded, DiskFull."""
        self._reservation.begin(bytes_total)

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """Keep the progress for the next heartbeat. Raises as ``begin`` and ``check`` do."""
        self._bytes = (bytes_done, bytes_total)
        self.check()
        self._reservation.took(bytes_done)

    def check(self) -> None:
        """Raises LeaseLost or WorkerStopping when the work must end."""
        if self._lost.is_set():
            raise LeaseLost
        if self._stopping():
            raise WorkerStopping

    def note(self, **values: Any) -> None:
        """Set columns of the row at once. Raises LeaseLost when it is no longer ours."""
        with transaction(essential=True) as session:
            if not lifecycle.update_if_unchanged(session, self._video, heartbeat_at=db_now(), **values):
                self._lost.set()
                raise LeaseLost

    def _send_heartbeats(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self.note(**self._progress())
            except LeaseLost:
                return
            except (SQLAlchemyError, DiskFull) as error:
                # A busy database must not end a transfer; the lease lasts for many heartbeats.
                metrics.MISSED_HEARTBEATS.inc(kind="lease")
                log.warning("heartbeat missed", reason=type(error).__name__)

    def _progress(self) -> dict[str, Any]:
        if self._bytes is None:
            return {}
        done, total = self._bytes
        return {"bytes_done": done, "bytes_total": total, "bytes_per_second": self._rate.update(done)}


class _SmoothedRate:
    """Recent bytes per second, smoothed for display."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._smooth: float | None = None

    def update(self, bytes_done: int) -> float | None:
        """The rate now that ``bytes_done`` are reached; None at the first call, which may follow a resumption.

        A restarted transfer does not count negatively.
        """
        last, self._last = self._last, (time.monotonic(), bytes_done)
        if last is None:
            return None
        latest = max(0, bytes_done - last[1]) / max(self._last[0] - last[0], 0.001)
        self._smooth = latest if self._smooth is None else 0.7 * self._smooth + 0.3 * latest
        return self._smooth


class OutageWatch:
    """Detects outages of the database, and standstills of this machine, between the calls of ``leases_are_valid``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answered = clock()
        self._ended = self._answered  # perhaps: this worker may have started right after an outage

    def leases_are_valid(self) -> bool:
        """Whether a lease without a heartbeat means a dead worker: not during an outage, nor right after one."""
        try:
            with reading() as session:
                read_db_now(session)
        except SQLAlchemyError:
            return False
        last, self._answered = self._answered, self._clock()
        if self._answered - last > OUTAGE_SECONDS:
            self._ended = self._answered
        return self._answered - self._ended >= GRACE_SECONDS


# The registry of worker processes.


class WorkerRegistration:
    """The entry of this process, which runs up to ``at_once`` transfers."""

    def __init__(self, at_once: int) -> None:
        self._id = uuid4().hex
        self._at_once = at_once

    def beat(self) -> None:
        """Record that this worker is alive."""
        try:
            with transaction(essential=True) as session:
                at = read_db_now(session)
                row = session.get(Worker, self._id) or self._new_row(at)
                row.seen_at = at
                session.add(row)
        except (SQLAlchemyError, DiskFull):
            metrics.MISSED_HEARTBEATS.inc(kind="worker")
            raise

    def deregister(self) -> None:
        """Remove the entry on an orderly shutdown."""
        with transaction(essential=True) as session:
            session.exec(delete(Worker).where(col(Worker.id) == self._id))

    def _new_row(self, at: datetime) -> Worker:
        host = socket.gethostname()[:100]
        return Worker(id=self._id, host=host, at_once=self._at_once, started_at=at, seen_at=at)


def list_workers() -> tuple[list[Worker], list[Worker]]:
    """The workers that are alive, and those that fell silent within a day; both by latest heartbeat first."""
    with reading() as session:
        silent_before = read_db_now(session) - SILENT_AFTER
        workers = session.exec(select(Worker).order_by(col(Worker.seen_at).desc())).all()
    alive = [worker for worker in workers if worker.seen_at >= silent_before]
    return alive, [worker for worker in workers if worker.seen_at < silent_before]


def purge() -> None:
    """Delete workers that have been silent for a day."""
    with transaction() as session:
        session.exec(delete(Worker).where(col(Worker.seen_at) < read_db_now(session) - KEEP_SILENT_FOR))

"""The registry of worker processes: each sends a heartbeat while it runs and deregisters on shutdown."""

import socket
from datetime import datetime, timedelta
from uuid import uuid4

from sqlmodel import col, delete, select

from videovault.clock import read_db_now
from videovault.db import reading, transaction
from videovault.models import Worker

BEAT_SECONDS = 5.0
SILENT_AFTER = timedelta(seconds=20)
KEEP_SILENT_FOR = timedelta(days=1)


class WorkerRegistration:
    """The entry of this process, which runs up to ``at_once`` transfers."""

    def __init__(self, at_once: int) -> None:
        self._id = uuid4().hex
        self._at_once = at_once

    def beat(self) -> None:
        """Record that this worker is alive."""
        with transaction(essential=True) as session:
            at = read_db_now(session)
            row = session.get(Worker, self._id) or self._new_row(at)
            row.seen_at = at
            session.add(row)

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

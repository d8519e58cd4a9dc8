"""Which worker processes are alive: each says so again and again, and takes its leave at an orderly end."""

import socket
from datetime import datetime, timedelta
from uuid import uuid4

from sqlmodel import col, delete, select

from videovault.db import read_db_now, reading, transaction
from videovault.models import Worker

BEAT_SECONDS = 5.0
SILENT_AFTER = timedelta(seconds=20)
KEEP_SILENT_FOR = timedelta(days=1)


class WorkerRegistration:
    """This process, which does ``at_once`` transfers at a time."""

    def __init__(self, at_once: int) -> None:
        self._id = uuid4().hex
        self._at_once = at_once

    def beat(self) -> None:
        """Say that this worker is alive."""
        with transaction(essential=True) as session:
            at = read_db_now(session)
            row = session.get(Worker, self._id) or self._introduced(at)
            row.seen_at = at
            session.add(row)

    def leave(self) -> None:
        """It ends as it should: nobody is to wait for it."""
        with transaction(essential=True) as session:
            session.exec(delete(Worker).where(col(Worker.id) == self._id))

    def _introduced(self, at: datetime) -> Worker:
        host = socket.gethostname()[:100]
        return Worker(id=self._id, host=host, at_once=self._at_once, started_at=at, seen_at=at)


def list_workers() -> tuple[list[Worker], list[Worker]]:
    """The workers that are alive, and those that fell silent within a day, the latest heard of first."""
    with reading() as session:
        fresh = read_db_now(session) - SILENT_AFTER
        workers = session.exec(select(Worker).order_by(col(Worker.seen_at).desc())).all()
    alive = [worker for worker in workers if worker.seen_at >= fresh]
    return alive, [worker for worker in workers if worker.seen_at < fresh]


def purge() -> None:
    """Forget workers that have been silent for a day."""
    with transaction() as session:
        session.exec(delete(Worker).where(col(Worker.seen_at) < read_db_now(session) - KEEP_SILENT_FOR))

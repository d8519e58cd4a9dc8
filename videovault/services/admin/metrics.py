"""The gauges of the metrics: what the rows say about the whole installation, and this process's connections."""

from collections.abc import Mapping
from concurrent.futures import TimeoutError as NotInTime
from datetime import datetime
from functools import lru_cache

from sqlalchemy import ColumnElement, ScalarSelect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool
from sqlmodel import col, func, or_

from videovault import db, logs
from videovault.clock import read_db_now
from videovault.db import reading
from videovault.metrics import (
    DATABASE_UP,
    OLDEST_QUEUED,
    OLDEST_UNORDERED,
    POOL,
    POOL_SIZE,
    WORK,
    WORKERS_ALIVE,
    Gauge,
    Reading,
)
from videovault.models import CopyState, Status, Video
from videovault.services.admin.health import SharedRun
from videovault.services.core.lifecycle import in_status
from videovault.services.transfer import lease

CACHE_SECONDS = 5.0
TIMEOUT_SECONDS = 2.0
MAX_COUNTED = 10_000  # per stage, so that no scrape reads more of an index

UNORDERED = in_status(Status.GENERATING) & col(Video.requested_at).is_(None)
STAGES: Mapping[str, ColumnElement[bool]] = {
    "unordered": UNORDERED,
    "generating": in_status(Status.GENERATING) & col(Video.requested_at).is_not(None),
    "queued": in_status(Status.QUEUED),
    "storing": in_status(Status.STORING),
    "deleting": in_status(Status.DELETING),
    "copying": col(Video.copy_state).in_((CopyState.DUE, CopyState.MAKING)),
}
log = logs.get(__name__)


@lru_cache(maxsize=1)
def shared_run() -> SharedRun[Mapping[Gauge, Reading]]:
    """This process's query, shared by all scrapes of some seconds."""
    return SharedRun("metrics", CACHE_SECONDS)


def installation() -> Mapping[Gauge, Reading]:
    """What the rows say, at most ``CACHE_SECONDS`` old. If the database does not answer in time, only that."""
    try:
        return shared_run().start(_read_installation).result(TIMEOUT_SECONDS)
    except NotInTime:
        log.warning("metrics without the database", reason=f"no answer within {TIMEOUT_SECONDS:g} seconds")
    except SQLAlchemyError as error:
        log.warning("metrics without the database", reason=type(error).__name__)
    return {DATABASE_UP: 0.0}


def connections() -> Mapping[Gauge, Reading]:
    """The database connections of this process."""
    pool = db.engine().pool
    if not isinstance(pool, QueuePool):  # SQLite in memory
        return {}
    used, limit = pool.checkedout(), pool.size() + pool._max_overflow  # noqa: SLF001 - it has no public name
    return {
        POOL: {"in_use": used, "idle": pool.checkedin(), "overflow": max(0, pool.overflow())},
        POOL_SIZE: limit,
    }


def _read_installation() -> Mapping[Gauge, Reading]:
    """By one statement that reads index entries of videos in work only."""
    with reading() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text(f"SET LOCAL statement_timeout = {TIMEOUT_SECONDS * 1000:.0f}"))
        counts = [_count(rows).label(stage) for stage, rows in STAGES.items()]
        row = session.execute(
            select(*counts, _oldest(_can_be_stored(read_db_now(session))), _oldest(UNORDERED))
        )
        *numbers, queued, unordered = row.one()
        at = read_db_now(session)
    return {
        DATABASE_UP: 1.0,
        WORK: dict(zip(STAGES, numbers, strict=True)),
        OLDEST_QUEUED: _age(queued, at),
        OLDEST_UNORDERED: _age(unordered, at),
        WORKERS_ALIVE: len(lease.list_workers()[0]),
    }


def _count(rows: ColumnElement[bool]) -> ScalarSelect[int]:
    limited = select(col(Video.id)).where(rows).limit(MAX_COUNTED).subquery()
    return select(func.count()).select_from(limited).scalar_subquery()


def _oldest(rows: ColumnElement[bool]) -> ScalarSelect[datetime | None]:
    queued_at = col(Video.queued_at)
    return (
        select(queued_at).where(rows, queued_at.is_not(None)).order_by(queued_at).limit(1).scalar_subquery()
    )


def _can_be_stored(at: datetime) -> ColumnElement[bool]:
    """Without those whose generator does not serve the file yet."""
    next_fetch = col(Video.next_fetch_at)
    return (col(Video.status) == Status.QUEUED) & or_(next_fetch.is_(None), next_fetch <= at)


def _age(since: datetime | None, at: datetime) -> float:
    return max(0.0, (at - since).total_seconds()) if since else 0.0

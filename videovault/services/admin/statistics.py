"""Figures of the whole installation: for the admin's pages, and the gauges of the metrics."""

from collections.abc import Mapping
from concurrent.futures import TimeoutError as NotInTime
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, ScalarSelect, literal, select, text, union_all
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool
from sqlmodel import Session, col, func, or_

from videovault import db, logs
from videovault.clock import read_db_now, utcnow
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
from videovault.models import CopyState, Event, Status, Video
from videovault.services.admin.health import SharedRun
from videovault.services.core import quota
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.lifecycle import in_status
from videovault.services.core.views import PublicStatus, View
from videovault.services.transfer import lease

DAYS = 30
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


class DayView(View):
    """What was stored on one day."""

    day: date
    videos: int = 0
    bytes: int = 0


class StatsView(View):
    """Accounts, videos by status, stored bytes, and the last days, oldest first."""

    people: int
    videos: dict[PublicStatus, int]
    bytes: int
    days: list[DayView]


def stats(caller: Caller, zone: str = "UTC", *, days: int = DAYS) -> StatsView:
    """The installation's statistics; ``zone`` is the time zone of the days. Raises Forbidden for non-admins."""
    check_admin(caller)
    with reading() as session:
        counted = quota.counts_of_all(session)
        return StatsView(
            people=counted.accounts,
            videos=counted.by_public_status,
            bytes=counted.stored_bytes,
            days=_days(session, zone_of(zone), days),
        )


def zone_of(name: str) -> tzinfo:
    """The browser's time zone; UTC for an unknown one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """The start and end of a day; not 24 hours apart when daylight saving begins or ends."""
    begin, end = (datetime.combine(each, time.min, zone) for each in (day, day + timedelta(days=1)))
    return begin.astimezone(UTC), end.astimezone(UTC)


def _days(session: Session, zone: tzinfo, number: int) -> list[DayView]:
    """What was stored on each day, including what has been deleted since."""
    today = utcnow().astimezone(zone).date()
    days = [today - timedelta(days=ago) for ago in reversed(range(number))]
    size = col(Event.detail)["size"].as_float()  # as_integer() would overflow for a large video
    stored = [
        select(literal(index), func.count(), func.sum(size)).where(
            col(Event.kind) == "stored", col(Event.at) >= begin, col(Event.at) < end
        )
        for index, (begin, end) in enumerate(bounds(day, zone) for day in days)
    ]
    rows = session.connection().execute(union_all(*stored))
    sums = {index: (count, int(total or 0)) for index, count, total in rows}
    found = (sums.get(index, (0, 0)) for index in range(number))
    return [
        DayView(day=day, videos=count, bytes=total) for day, (count, total) in zip(days, found, strict=True)
    ]


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

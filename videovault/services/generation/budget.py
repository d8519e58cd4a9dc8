"""The daily budget: how many renders each account, and all accounts together, may order per UTC day."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlmodel import Session, col, delete, select

from videovault.clock import read_db_now
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import RateLimited
from videovault.formatting import format_duration
from videovault.models import GenerationCount
from videovault.services.core.access import Caller
from videovault.services.core.views import View

ALL_ACCOUNTS = ""
RETENTION = timedelta(days=7)


class BudgetView(View):
    """The rest of today's budget: ``left`` of ``limit`` for the account, ``left_in_total`` for all; None: no limit."""

    limit: int | None
    left: int | None
    left_in_total: int | None


def spend(session: Session, owner_id: str) -> None:
    """Count one render of an account's video, in the transaction that orders it.

    Raises RateLimited with the seconds until the next day if the budget of the account or the installation is used up.
    """
    at = read_db_now(session)
    count, total = (_increment(session, user_id, at) for user_id in (owner_id, ALL_ACCOUNTS))
    limit, limit_in_total = settings().generations_per_day, settings().generations_per_day_total
    if limit and count > limit:
        used = "Your 1 video for today is" if limit == 1 else f"Your {limit:,} videos for today are"
        raise _used_up(f"{used} used up.", at)
    if limit_in_total and total > limit_in_total:
        raise _used_up("All videos that this installation may make today are used up.", at)


def remaining(caller: Caller) -> BudgetView:
    """The caller's rest of today's budget."""
    limit, limit_in_total = settings().generations_per_day, settings().generations_per_day_total
    if not limit and not limit_in_total:
        return BudgetView(limit=None, left=None, left_in_total=None)
    with reading() as session:
        today = select(GenerationCount).where(GenerationCount.day == read_db_now(session).date())
        rows = session.exec(today.where(col(GenerationCount.user_id).in_((caller.user_id, ALL_ACCOUNTS))))
        counts = {row.user_id: row.count for row in rows}
    return BudgetView(
        limit=limit or None,
        left=max(0, limit - counts.get(caller.user_id, 0)) if limit else None,
        left_in_total=max(0, limit_in_total - counts.get(ALL_ACCOUNTS, 0)) if limit_in_total else None,
    )


def purge() -> None:
    """Delete the counts of past days."""
    with transaction() as session:
        oldest = (read_db_now(session) - RETENTION).date()
        session.exec(delete(GenerationCount).where(col(GenerationCount.day) < oldest))


def _increment(session: Session, user_id: str, at: datetime) -> int:
    """Today's count including this render. The row stays locked until the transaction ends, so counts are unique."""
    insert: Any = sqlite.insert
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # takes 30 ms

        insert = postgresql.insert
    counted = (
        insert(GenerationCount)
        .values(user_id=user_id, day=at.date(), count=1)
        .on_conflict_do_update(index_elements=["user_id", "day"], set_={"count": GenerationCount.count + 1})
    )
    return int(session.connection().execute(counted.returning(col(GenerationCount.count))).scalar_one())


def _used_up(reason: str, at: datetime) -> RateLimited:
    midnight = datetime.combine(at.date() + timedelta(days=1), time(), tzinfo=UTC)
    seconds = max(1, int((midnight - at).total_seconds()))
    wait = format_duration(seconds)
    return RateLimited(f"{reason} You can make more after midnight UTC, in about {wait}.", seconds)

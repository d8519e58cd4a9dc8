"""Statistics of the installation, and what was stored on each of the last days."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy import literal
from sqlmodel import Session, col, func, select, union_all

from videovault.clock import utcnow
from videovault.db import reading
from videovault.models import Event
from videovault.services.core import quota
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.views import PublicStatus, View

DAYS = 30


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
            Event.kind == "stored", col(Event.at) >= begin, col(Event.at) < end
        )
        for index, (begin, end) in enumerate(bounds(day, zone) for day in days)
    ]
    rows = session.connection().execute(union_all(*stored))
    sums = {index: (count, int(total or 0)) for index, count, total in rows}
    found = (sums.get(index, (0, 0)) for index in range(number))
    return [
        DayView(day=day, videos=count, bytes=total) for day, (count, total) in zip(days, found, strict=True)
    ]

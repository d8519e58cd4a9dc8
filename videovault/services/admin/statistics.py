"""How much there is, and how much was stored on each of the last days."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, case, col, func, select

from videovault.db import reading
from videovault.models import Event, Status, User, Video, utcnow
from videovault.services.admin.views import DayView, StatsView
from videovault.services.core import quota
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.views import PUBLIC_STATUS, PublicStatus

DAYS = 30


def stats(caller: Caller, zone: str = "UTC", *, days: int = DAYS) -> StatsView:
    """The installation's figures; days are those of the time zone named so. Raises Forbidden for non-admins."""
    check_admin(caller)
    with reading() as session:
        people = select(func.count()).select_from(User).where(col(User.closed_at).is_(None))
        return StatsView(
            people=session.exec(people).one(),
            videos=_counts(session),
            bytes=int(
                session.exec(select(func.sum(quota.BYTES_STORED)).where(Video.status == Status.READY)).one()
                or 0
            ),
            days=_days(session, zone_of(zone), days),
        )


def zone_of(name: str) -> tzinfo:
    """The zone that a browser names; UTC for one that is not known here."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """When a day begins and ends there; one in which clocks are changed is longer or shorter."""
    begin, end = (datetime.combine(each, time.min, zone) for each in (day, day + timedelta(days=1)))
    return begin.astimezone(UTC), end.astimezone(UTC)


def _counts(session: Session) -> dict[PublicStatus, int]:
    counts: dict[PublicStatus, int] = dict.fromkeys(PUBLIC_STATUS.values(), 0)
    for status, count in session.exec(select(Video.status, func.count()).group_by(col(Video.status))):
        if status in PUBLIC_STATUS:
            counts[PUBLIC_STATUS[status]] += count
    return counts


def _days(session: Session, zone: tzinfo, number: int) -> list[DayView]:
    """By what was stored then, also where it has been deleted since."""
    today = utcnow().astimezone(zone).date()
    days = [today - timedelta(days=ago) for ago in reversed(range(number))]
    ends: list[Any] = [(col(Event.at) < bounds(day, zone)[1], index) for index, day in enumerate(days[:-1])]
    which = case(*ends, else_=number - 1)
    size = col(Event.detail)["size"].as_float()  # as_integer() would be too short for a large video
    stored = (
        select(which.label("day"), func.count(), func.sum(size))
        .where(Event.kind == "stored", col(Event.at) >= bounds(days[0], zone)[0])
        .group_by("day")
    )
    sums = {index: (count, int(total or 0)) for index, count, total in session.execute(stored)}
    found = (sums.get(index, (0, 0)) for index in range(number))
    return [
        DayView(day=day, videos=count, bytes=total) for day, (count, total) in zip(days, found, strict=True)
    ]

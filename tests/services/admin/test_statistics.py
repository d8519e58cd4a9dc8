"""Statistics, with days in the time zone of the caller."""

from datetime import UTC, date, datetime, timedelta

import pytest

from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Forbidden
from videovault.models import Event, Status
from videovault.services.admin import statistics
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller

LARGE = 3 * 1024**3  # more than 32 bits


def stored(at: datetime, size: int) -> None:
    with transaction() as session:
        session.add(Event(kind="stored", at=at, detail={"size": size}))


def test_only_admins_may(bert: Caller) -> None:
    with pytest.raises(Forbidden):
        statistics.stats(bert)


def test_videos_are_counted_by_status(anna: Caller, bert: Caller) -> None:
    with transaction() as session:
        for owner in (anna, bert):
            session.add(lifecycle.new_video(owner.user_id, Status.READY, "Bread", size=LARGE))
        session.add(lifecycle.new_video(anna.user_id, Status.QUEUED, "Cake", size=7))
        session.add(lifecycle.new_video(anna.user_id, Status.DELETING, "Gone", size=7))
    found = statistics.stats(anna)
    assert found.videos == {"draft": 0, "processing": 1, "ready": 2, "failed": 0}
    assert (found.people, found.bytes) == (2, 2 * LARGE)


def test_days_count_what_was_stored_on_them(anna: Caller) -> None:
    noon = utcnow().replace(hour=12, minute=0)
    for ago, size in ((0, LARGE), (0, LARGE), (2, 5), (29, 7), (31, 9)):
        stored(noon - timedelta(days=ago), size)
    days = statistics.stats(anna).days
    assert [day.day for day in days] == [noon.date() - timedelta(days=ago) for ago in range(29, -1, -1)]
    assert [(each.videos, each.bytes) for each in (days[0], days[-3], days[-2], days[-1])] == [
        (1, 7),
        (1, 5),
        (0, 0),
        (2, 2 * LARGE),
    ]


def test_days_end_at_midnight_in_the_callers_time_zone(anna: Caller) -> None:
    yesterday = utcnow().date() - timedelta(days=1)
    late = datetime.combine(yesterday, datetime.min.time(), UTC) + timedelta(hours=20)
    stored(late, 1)
    by_day = {day.day: day.videos for day in statistics.stats(anna, "Asia/Tokyo").days}
    assert by_day[yesterday + timedelta(days=1)] == 1
    assert {day.day: day.videos for day in statistics.stats(anna, "Etc/UTC").days}[yesterday] == 1


def test_a_day_with_a_clock_change_has_its_own_length() -> None:
    begin, end = statistics.bounds(date(2026, 3, 29), statistics.zone_of("Europe/Berlin"))
    assert end - begin == timedelta(hours=23)


@pytest.mark.parametrize("name", ["", "Nowhere/At_All", "../../etc/passwd", "x" * 5000, "a\0b"])
def test_an_unknown_time_zone_counts_as_utc(name: str) -> None:
    assert statistics.zone_of(name) is UTC

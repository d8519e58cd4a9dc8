"""Who did what when, for admins: by person, kind of thing and day."""

from datetime import date
from typing import cast

from videovault.services.admin import audit_log, statistics, users
from videovault.services.admin.audit_log import KINDS, ActivityQuery
from videovault.services.admin.statistics import bounds, zone_of
from videovault.services.admin.views import DayView, EntryView, Group
from videovault.services.core.access import Caller
from videovault.services.core.views import iso
from videovault.state import tables, wording
from videovault.state.admin.base import AdminState
from videovault.state.admin.wording import sentence
from videovault.state.background import quickly
from videovault.state.session import signed_in
from videovault.state.view_models import Shape

PAGE = 50
BAD = ("login_failed", "confirmation_failed", "reset_failed", "status.failed", "object_swapped")
SUGGESTIONS = 8


class Entry(Shape):
    """``from_here`` leads to all that was done from the same address; ``times`` is empty for what was done once."""

    number: int
    at: str
    text: str
    is_bad: bool
    client_ip: str = ""
    from_here: str = ""
    times: str = ""
    last_at: str = ""

    @classmethod
    def of(cls, view: EntryView) -> "Entry":
        is_cancelled = view.kind == "status.failed" and view.by == "person"
        return cls(
            number=view.number,
            at=iso(view.at),
            text=sentence(view),
            is_bad=view.kind in BAD and not is_cancelled,
            client_ip=view.client_ip,
            from_here=f"/admin/activity?{tables.address(ip=view.client_ip)}",
            times=wording.times(view.times) if view.times > 1 else "",
            last_at=iso(view.last_at) if view.last_at else "",
        )


class AdminActivityState(AdminState):
    """``address`` is the query that asks for what is shown; ``people`` are those whom the person typed may mean."""

    entries: list[Entry] = []
    has_more: bool = False
    is_loaded: bool = False

    group: str = ""
    person: str = ""
    client_ip: str = ""
    day: str = ""
    people: list[str] = []
    address: str = ""

    _zone: str = "UTC"
    _cursor: str = ""

    @signed_in
    async def load(self, caller: Caller) -> None:
        if not self._admit(caller):
            return
        asked = self.router.url.query_parameters
        self.searches += self.person != asked.get("person", "")
        self.searches += self.client_ip != asked.get("ip", "")
        group, self.person, self.day = (asked.get(name, "") for name in ("what", "person", "day"))
        self.client_ip = asked.get("ip", "")
        self.group = group if group in KINDS else ""
        self._zone = asked.get("zone", "UTC")
        await self._read(caller)

    @signed_in
    async def show(self, caller: Caller, group: str) -> None:
        """One kind of thing only, all for an empty one."""
        self.group = group if group in KINDS else ""
        await self._read(caller)

    @signed_in
    async def show_person(self, caller: Caller, person: str) -> None:
        """What these did, by a part of address or name, and who they may be."""
        self.person = person
        await self._read(caller)
        found = await quickly(users.find, caller, q=person, sort="email", limit=SUGGESTIONS)
        self.people = [each.email for each in found.people]

    @signed_in
    async def show_client_ip(self, caller: Caller, client_ip: str) -> None:
        """What was done from one client address, or from those that begin like this."""
        self.client_ip = client_ip
        await self._read(caller)

    @signed_in
    async def show_day(self, caller: Caller, day: str, zone: str) -> None:
        """One day only, as it is where the browser named ``zone`` is; all for an empty one."""
        self.day, self._zone = day, zone
        await self._read(caller)

    @signed_in
    async def more(self, caller: Caller) -> None:
        await self._read(caller, self._cursor)

    async def _read(self, caller: Caller, cursor: str = "") -> None:
        found = await quickly(audit_log.page, caller, self._query(cursor))
        entries = [Entry.of(view) for view in found.entries]
        self.entries = [*self.entries, *entries] if cursor else entries
        self._cursor, self.has_more = found.next_cursor or "", found.next_cursor is not None
        self.is_loaded = True
        zone = self._zone if self.day else ""
        self.address = tables.address(
            what=self.group, person=self.person, ip=self.client_ip, day=self.day, zone=zone
        )

    def _query(self, cursor: str) -> ActivityQuery:
        since, until = bounds(day, zone_of(self._zone)) if (day := _parsed(self.day)) else (None, None)
        return ActivityQuery(
            group=cast("Group | None", self.group or None),
            person=self.person,
            client_ip=self.client_ip,
            since=since,
            until=until,
            cursor=cursor,
            limit=PAGE,
        )


def _parsed(day: str) -> date | None:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        return None
    return found if 1970 < found.year < 9999 else None


# How much there is, and what was stored on each of the last days.


class Day(Shape):
    """``day`` is its noon, wherever one is: midnight in UTC is the day before in half of the world."""

    day: str
    videos: int
    bytes: int
    size: str

    @classmethod
    def of(cls, view: DayView) -> "Day":
        size = wording.size(view.bytes)
        return cls(day=f"{view.day.isoformat()}T12:00", videos=view.videos, bytes=view.bytes, size=size)


class AdminFiguresState(AdminState):
    days: list[Day] = []
    people: str = ""
    videos: str = ""
    storage: str = ""
    lately: str = ""
    is_loaded: bool = False

    @signed_in
    async def load(self, caller: Caller, zone: str) -> None:
        """In days as they are where the browser named ``zone`` is."""
        if not self._admit(caller):
            return
        found = await quickly(statistics.stats, caller, zone)
        self.days = [Day.of(view) for view in found.days]
        self.people = wording.accounts(found.people)
        self.videos = wording.videos(sum(found.videos.values()))
        self.storage = wording.size(found.bytes)
        videos, size = sum(day.videos for day in self.days), sum(day.bytes for day in self.days)
        self.lately = f"{wording.videos(videos)}, {wording.size(size)}"
        self.is_loaded = True

"""Who did what when, for admins: by person, kind of thing and day."""

from datetime import date
from typing import Any, Final, cast

from videovault.services.admin import audit_log, statistics, users
from videovault.services.admin.audit_log import EVENT_GROUPS, AuditEntryView, AuditLogQuery, Group
from videovault.services.admin.statistics import DayView, bounds, zone_of
from videovault.services.core.access import Caller
from videovault.services.core.views import iso_utc
from videovault.state import tables, wording
from videovault.state.admin.base import AdminState
from videovault.state.background import run_in_db_pool
from videovault.state.session import signed_in
from videovault.state.view_models import ViewModel

# What people did, in sentences: the one place for their wording, each a whole with places for names.

SOMEBODY = "Somebody"
GONE = "a video that is gone"
SENTENCES: Final = {
    "login": "{who} signed in.",
    "login_failed": "Somebody tried to sign in as {who} with a wrong password.",
    "login_failed.unknown": "Somebody tried to sign in with an address that has no account.",
    "confirmation_failed": "{who} entered a wrong current password.",
    "reset_failed": "Someone tried an invalid or used link for a new password.",
    "logout": "{who} signed out.",
    "signed_out": "{who} signed out another device.",
    "register": "{who} created an account.",
    "account_closed": "Somebody deleted their account.",
    "password_changed": "{who} changed their password.",
    "forgot_password": "{who} asked for a link to set another password.",
    "password_reset": "{who} set another password by a link.",
    "token_created": "{who} made the API token {name}.",
    "token_revoked": "{who} revoked the API token {name}.",
    "token_revoked.unknown": "{who} revoked an API token.",
    "draft": "{who} began {video}.",
    "store_requested": "{who} added {video} from a link.",
    "renamed": "{who} renamed “{from}” to “{to}”.",
    "renamed.other": "{who} renamed “{from}” of {subject} to “{to}”.",
    "status.generating": "{who} had {video} made.",
    "status.generating.other": "{who} had {video} of {subject} made.",
    "status.generating.again": "{who} had {video} made again.",
    "status.generating.again.other": "{who} had {video} of {subject} made again.",
    "retried": "{who} tried {video} again.",
    "retried.other": "{who} tried {video} of {subject} again.",
    "status.ready": "{video} became ready.",
    "status.failed": "{video} failed: {why}",
    "status.failed.person": "{who} cancelled {video}.",
    "status.failed.person.other": "{who} cancelled {video} of {subject}.",
    "copy_retried": "{who} had a copy of {video} that browsers can play tried again.",
    "copy_retried.other": "{who} had a copy of {video} of {subject} that browsers can play tried again.",
    "copy_made": "A copy of {video} that browsers can play was made.",
    "copy_failed": "No copy of {video} that browsers can play could be made: {why}",
    "object_swapped": "S3 was found to hold another file than the one stored for {video}.",
    "download": "{who} downloaded {video}.",
    "download.other": "{who} downloaded {video} of {subject}.",
    "links": "{who} got a link to {video}.",
    "links.other": "{who} got a link to {video} of {subject}.",
    "links.gallery": "{who} got links to the videos of their gallery.",
    "links.gallery.other": "{who} got links to the videos of {subject}.",
    "share_download.located": "Someone downloaded {video} by its link.",
    "share_download": "Somebody downloaded {video} by its link, from {network}.",
    "shared": "{who} shared {video}.",
    "shared.other": "{who} shared {video} of {subject}.",
    "unshared": "{who} stopped sharing {video}.",
    "unshared.other": "{who} stopped sharing {video} of {subject}.",
    "key_replaced": "{who} gave {video} a new key, so older links are dead.",
    "key_replaced.other": "{who} gave {video} of {subject} a new key, so older links are dead.",
    "share_opened.located": "Someone opened {video} by its link.",
    "share_opened": "Somebody opened {video} by its link, from {network}.",
    "delete": "{who} deleted {video}.",
    "delete.other": "{who} deleted {video} of {subject}.",
    "create_admin": "{who} was made an admin on the command line.",
    "sessions_ended": "{who} signed {subject} out everywhere.",
    "key_read": "{who} read the secret key of {video}.",
    "key_read.other": "{who} read the secret key of {video} of {subject}.",
    "source_read": "{who} read the address that {video} was fetched from.",
    "source_read.other": "{who} read the address that {video} of {subject} was fetched from.",
    "invited": "{who} invited {email}.",
    "invited.anybody": "{who} made an invitation for whoever has its link.",
    "reset_link": "{who} made a link for {subject} to set another password.",
    "replayed": "{who} applied a report on {video} again.",
    "replayed.other": "{who} applied a report on {video} of {subject} again.",
    "field_chosen": "{who} chose where a video's address stands in the generator's answers.",
    "field_forgotten": "{who} let addresses be found by themselves in the generator's answers again.",
    "test_ordered": "{who} sent a test order to the generator.",
    "rescued": "{who} gave {video} the address of its file.",
    "rescued.other": "{who} gave {video} of {subject} the address of its file.",
    "reconciled": "{who} had the differences between S3 and database mended; {left} left.",
    "reconciled.machine": "The differences between S3 and database were mended on the command line; {left} left.",
    "restored": "A backup was restored on the command line.",
    "avatar_added": "{who} added the avatar {name}.",
    "avatar_changed": "{who} changed the avatar {name}.",
    "avatar_deleted": "{who} deleted the avatar {name}.",
    "avatars_reordered": "{who} changed the order of the avatars.",
    "user_changed": "{who} changed the account of {subject}.",
    "user_changed.is_admin.True": "{who} made {subject} an admin.",
    "user_changed.is_admin.False": "{who} took the admin's rights from {subject}.",
    "user_changed.is_active.True": "{who} reactivated the account of {subject}.",
    "user_changed.is_active.False": "{who} deactivated the account of {subject}.",
    "user_changed.quota": "{who} set the quota of {subject} to {quota}.",
}


def sentence(entry: AuditEntryView) -> str:
    """What the entry tells, such as ``anna@example.com signed in.``"""
    key = _key(entry)
    if entry.actor and entry.subject not in ("", entry.actor):
        key = f"{key}.other" if f"{key}.other" in SENTENCES else key
    text = SENTENCES.get(key, SENTENCES.get(entry.kind, "{who}: {kind}"))
    told = text.format_map(_names(entry))
    return told[:1].upper() + told[1:] if text.startswith("{video}") else told


def _key(entry: AuditEntryView) -> str:
    """Which variant of the kind's sentence it is."""
    variants = {
        "login_failed": ".unknown" if not entry.actor else "",
        "share_opened": ".located" if entry.client_ip else "",
        "share_download": ".located" if entry.client_ip else "",
        "links": "" if entry.video_id else ".gallery",
        "invited": "" if entry.detail.get("email") else ".anybody",
        "status.failed": ".person" if entry.by == "person" else "",
        "status.generating": ".again" if entry.detail.get("from") == "failed" else "",
        "token_revoked": "" if entry.detail.get("name") else ".unknown",
        "reconciled": "" if entry.actor else ".machine",
        "user_changed": _changed(entry.detail),
    }
    return entry.kind + variants.get(entry.kind, "")


def _changed(detail: dict[str, Any]) -> str:
    if "quotaBytes" in detail:
        return ".quota"
    for right in ("is_admin", "is_active"):
        if right in detail:
            return f".{right}.{detail[right]}"
    return ""


def _names(entry: AuditEntryView) -> dict[str, Any]:
    title = wording.shortened(entry.title) if entry.title else ""
    names = {
        "network": "an unknown network",
        "why": "no reason was given.",
        "name": "",
        "email": "",
        "from": "",
        "to": "",
        "left": 0,
    }
    said = {name: value for name, value in entry.detail.items() if value not in (None, "")}
    return (
        names
        | said
        | {
            "who": entry.actor or SOMEBODY,
            "subject": entry.subject or "somebody who has left",
            "video": f"“{title}”" if title else GONE,
            "quota": _quota(entry.detail.get("quotaBytes")),
            "kind": entry.kind,
        }
    )


def _quota(size: Any) -> str:
    if size is None:
        return "that of the installation"
    return wording.size(size) if size else "no limit"


PAGE = 50
BAD = ("login_failed", "confirmation_failed", "reset_failed", "status.failed", "object_swapped")
SUGGESTIONS = 8


class Entry(ViewModel):
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
    def of(cls, view: AuditEntryView) -> "Entry":
        is_cancelled = view.kind == "status.failed" and view.by == "person"
        return cls(
            number=view.number,
            at=iso_utc(view.at),
            text=sentence(view),
            is_bad=view.kind in BAD and not is_cancelled,
            client_ip=view.client_ip,
            from_here=f"/admin/activity?{tables.query_string(ip=view.client_ip)}",
            times=wording.times(view.times) if view.times > 1 else "",
            last_at=iso_utc(view.last_at) if view.last_at else "",
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
        self.group = group if group in EVENT_GROUPS else ""
        self._zone = asked.get("zone", "UTC")
        await self._read(caller)

    @signed_in
    async def show(self, caller: Caller, group: str) -> None:
        """One kind of thing only, all for an empty one."""
        self.group = group if group in EVENT_GROUPS else ""
        await self._read(caller)

    @signed_in
    async def show_person(self, caller: Caller, person: str) -> None:
        """What these did, by a part of address or name, and who they may be."""
        self.person = person
        await self._read(caller)
        found = await run_in_db_pool(users.find_users, caller, q=person, sort="email", limit=SUGGESTIONS)
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
        found = await run_in_db_pool(audit_log.list_entries, caller, self._query(cursor))
        entries = [Entry.of(view) for view in found.entries]
        self.entries = [*self.entries, *entries] if cursor else entries
        self._cursor, self.has_more = found.next_cursor or "", found.next_cursor is not None
        self.is_loaded = True
        zone = self._zone if self.day else ""
        self.address = tables.query_string(
            what=self.group, person=self.person, ip=self.client_ip, day=self.day, zone=zone
        )

    def _query(self, cursor: str) -> AuditLogQuery:
        since, until = bounds(day, zone_of(self._zone)) if (day := _parsed(self.day)) else (None, None)
        return AuditLogQuery(
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


class Day(ViewModel):
    """``day`` is its noon, wherever one is: midnight in UTC is the day before in half of the world."""

    day: str
    videos: int
    bytes: int
    size: str

    @classmethod
    def of(cls, view: DayView) -> "Day":
        size = wording.size(view.bytes)
        return cls(day=f"{view.day.isoformat()}T12:00", videos=view.videos, bytes=view.bytes, size=size)


class AdminStatisticsState(AdminState):
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
        found = await run_in_db_pool(statistics.stats, caller, zone)
        self.days = [Day.of(view) for view in found.days]
        self.people = wording.accounts(found.people)
        self.videos = wording.videos(sum(found.videos.values()))
        self.storage = wording.size(found.bytes)
        videos, size = sum(day.videos for day in self.days), sum(day.bytes for day in self.days)
        self.lately = f"{wording.videos(videos)}, {wording.size(size)}"
        self.is_loaded = True

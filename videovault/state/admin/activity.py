"""The activity page: the audit log as sentences, with filters, and statistics of what was stored."""

from datetime import date
from typing import Any, Final, cast

from videovault.formatting import format_size
from videovault.services.admin import audit_log, statistics, users
from videovault.services.admin.audit_log import EVENT_GROUPS, AuditEntryView, AuditLogQuery, Group
from videovault.services.admin.statistics import DayView, bounds, zone_of
from videovault.services.core.access import Caller
from videovault.services.core.views import iso_utc
from videovault.state import tables, wording
from videovault.state.background import run_in_db_pool
from videovault.state.session import AdminState, signed_in
from videovault.state.view_models import ViewModel

PAGE = 50
BAD_KINDS = ("login_failed", "confirmation_failed", "reset_failed", "status.failed", "object_swapped")
MAX_SUGGESTIONS = 8
SOMEONE = "Someone"
DELETED_VIDEO = "a deleted video"
# Whole sentences by event kind and variant, with places for names.
SENTENCES: Final = {
    "login": "{who} signed in.",
    "login_failed": "Someone tried to sign in as {who} with a wrong password.",
    "login_failed.unknown": "Someone tried to sign in with an address that has no account.",
    "confirmation_failed": "{who} entered a wrong current password.",
    "reset_failed": "Someone tried an invalid or used password reset link.",
    "logout": "{who} signed out.",
    "signed_out": "{who} signed out another device.",
    "register": "{who} created an account.",
    "account_closed": "Someone deleted their account.",
    "password_changed": "{who} changed their password.",
    "forgot_password": "{who} requested a password reset link.",
    "password_reset": "{who} reset their password by link.",
    "token_created": "{who} created the API token {name}.",
    "token_revoked": "{who} revoked the API token {name}.",
    "token_revoked.unknown": "{who} revoked an API token.",
    "draft": "{who} started {video}.",
    "store_requested": "{who} imported {video} from a link.",
    "renamed": "{who} renamed “{from}” to “{to}”.",
    "renamed.other": "{who} renamed “{from}” of {subject} to “{to}”.",
    "status.generating": "{who} requested {video}.",
    "status.generating.other": "{who} requested {video} of {subject}.",
    "status.generating.again": "{who} requested {video} again.",
    "status.generating.again.other": "{who} requested {video} of {subject} again.",
    "retried": "{who} retried {video}.",
    "retried.other": "{who} retried {video} of {subject}.",
    "status.ready": "{video} became ready.",
    "status.failed": "{video} failed: {why}",
    "status.failed.person": "{who} cancelled {video}.",
    "status.failed.person.other": "{who} cancelled {video} of {subject}.",
    "copy_retried": "{who} retried the playable copy of {video}.",
    "copy_retried.other": "{who} retried the playable copy of {video} of {subject}.",
    "copy_made": "A playable copy of {video} was made.",
    "copy_failed": "No playable copy of {video} could be made: {why}",
    "object_swapped": "S3 holds another file than the one stored for {video}.",
    "download": "{who} downloaded {video}.",
    "download.other": "{who} downloaded {video} of {subject}.",
    "links": "{who} got a link to {video}.",
    "links.other": "{who} got a link to {video} of {subject}.",
    "links.gallery": "{who} got links to the videos of their gallery.",
    "links.gallery.other": "{who} got links to the videos of {subject}.",
    "share_download.located": "Someone downloaded {video} by its link.",
    "share_download": "Someone downloaded {video} by its link, from {network}.",
    "shared": "{who} shared {video}.",
    "shared.other": "{who} shared {video} of {subject}.",
    "unshared": "{who} stopped sharing {video}.",
    "unshared.other": "{who} stopped sharing {video} of {subject}.",
    "key_replaced": "{who} reset the share link of {video}. Older links no longer work.",
    "key_replaced.other": "{who} reset the share link of {video} of {subject}. Older links no longer work.",
    "share_opened.located": "Someone opened {video} by its link.",
    "share_opened": "Someone opened {video} by its link, from {network}.",
    "delete": "{who} deleted {video}.",
    "delete.other": "{who} deleted {video} of {subject}.",
    "create_admin": "{who} was made an admin on the command line.",
    "sessions_ended": "{who} signed {subject} out everywhere.",
    "key_read": "{who} read the secret key of {video}.",
    "key_read.other": "{who} read the secret key of {video} of {subject}.",
    "source_read": "{who} read the source URL of {video}.",
    "source_read.other": "{who} read the source URL of {video} of {subject}.",
    "invited": "{who} invited {email}.",
    "invited.anybody": "{who} created an invitation for anyone with its link.",
    "reset_link": "{who} created a password reset link for {subject}.",
    "replayed": "{who} applied a report on {video} again.",
    "replayed.other": "{who} applied a report on {video} of {subject} again.",
    "field_chosen": "{who} chose the field of a video's address in the generator's answers.",
    "field_forgotten": "{who} removed the chosen field, so the generator's answers are searched again.",
    "test_ordered": "{who} sent a test order to the generator.",
    "rescued": "{who} attached a file to {video}.",
    "rescued.other": "{who} attached a file to {video} of {subject}.",
    "reconciled": "{who} repaired the mismatches between S3 and the database; {left} left.",
    "reconciled.machine": "The mismatches between S3 and the database were repaired on the command line; {left} left.",
    "restored": "A backup was restored on the command line.",
    "installation_changed": "The installation was moved on the command line: {name} from {from} to {to}.",
    "avatar_added": "{who} added the avatar {name}.",
    "avatar_changed": "{who} changed the avatar {name}.",
    "avatar_deleted": "{who} deleted the avatar {name}.",
    "avatars_reordered": "{who} changed the order of the avatars.",
    "user_changed": "{who} changed the account of {subject}.",
    "user_changed.is_admin.True": "{who} made {subject} an admin.",
    "user_changed.is_admin.False": "{who} removed the admin role from {subject}.",
    "user_changed.is_active.True": "{who} reactivated the account of {subject}.",
    "user_changed.is_active.False": "{who} deactivated the account of {subject}.",
    "user_changed.quota": "{who} set the quota of {subject} to {quota}.",
}


class Entry(ViewModel):
    """``from_here`` links to all events from the same address; ``times`` is empty for a single event."""

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
            is_bad=view.kind in BAD_KINDS and not is_cancelled,
            client_ip=view.client_ip,
            from_here=f"/admin/activity?{tables.query_string(ip=view.client_ip)}",
            times=wording.times(view.times) if view.times > 1 else "",
            last_at=iso_utc(view.last_at) if view.last_at else "",
        )


class Day(ViewModel):
    """``day`` is noon without a time zone: midnight in UTC would be the day before in half of the world."""

    day: str
    videos: int
    bytes: int
    size: str

    @classmethod
    def of(cls, view: DayView) -> "Day":
        size = format_size(view.bytes)
        return cls(day=f"{view.day.isoformat()}T12:00", videos=view.videos, bytes=view.bytes, size=size)


class AdminActivityState(AdminState):
    """``address`` is the query of what is shown; ``suggestions`` are users that match ``person``."""

    entries: list[Entry] = []
    has_more: bool = False
    is_loaded: bool = False

    group: str = ""
    person: str = ""
    client_ip: str = ""
    day: str = ""
    suggestions: list[str] = []
    address: str = ""

    _zone: str = "UTC"
    _cursor: str = ""

    @signed_in
    async def load(self, caller: Caller) -> None:
        if not self._admit(caller):
            return
        query = self.router.url.query_parameters
        self.filters_number += self.person != query.get("person", "")
        self.filters_number += self.client_ip != query.get("ip", "")
        group, self.person, self.day = (query.get(name, "") for name in ("what", "person", "day"))
        self.client_ip = query.get("ip", "")
        self.group = group if group in EVENT_GROUPS else ""
        self._zone = query.get("zone", "UTC")
        await self._read(caller)

    @signed_in
    async def show(self, caller: Caller, group: str) -> None:
        """Show one group of events, or all."""
        self.group = group if group in EVENT_GROUPS else ""
        await self._read(caller)

    @signed_in
    async def show_person(self, caller: Caller, person: str) -> None:
        """Filter by a part of e-mail address or name, and suggest users."""
        self.person = person
        await self._read(caller)
        found = await run_in_db_pool(users.find_users, caller, q=person, sort="email", limit=MAX_SUGGESTIONS)
        self.suggestions = [each.email for each in found.people]

    @signed_in
    async def show_client_ip(self, caller: Caller, client_ip: str) -> None:
        """Filter by a client address or the start of one."""
        self.client_ip = client_ip
        await self._read(caller)

    @signed_in
    async def show_day(self, caller: Caller, day: str, zone: str) -> None:
        """Filter by a day in the browser's time zone; empty for all."""
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
        since, until = bounds(day, zone_of(self._zone)) if (day := _parse_day(self.day)) else (None, None)
        return AuditLogQuery(
            group=cast("Group | None", self.group or None),
            person=self.person,
            client_ip=self.client_ip,
            since=since,
            until=until,
            cursor=cursor,
            limit=PAGE,
        )


class AdminStatisticsState(AdminState):
    days: list[Day] = []
    accounts: str = ""
    videos: str = ""
    storage: str = ""
    last_30_days: str = ""
    is_loaded: bool = False

    @signed_in
    async def load(self, caller: Caller, zone: str) -> None:
        """Count by days in the browser's time zone."""
        if not self._admit(caller):
            return
        found = await run_in_db_pool(statistics.stats, caller, zone)
        self.days = [Day.of(view) for view in found.days]
        self.accounts = wording.accounts(found.people)
        self.videos = wording.videos(sum(found.videos.values()))
        self.storage = format_size(found.bytes)
        videos, size = sum(day.videos for day in self.days), sum(day.bytes for day in self.days)
        self.last_30_days = f"{wording.videos(videos)}, {format_size(size)}"
        self.is_loaded = True


def sentence(entry: AuditEntryView) -> str:
    """The entry as a sentence, such as ``anna@example.com signed in.``"""
    key = _key(entry)
    if entry.actor and entry.subject not in ("", entry.actor):
        key = f"{key}.other" if f"{key}.other" in SENTENCES else key
    text = SENTENCES.get(key, SENTENCES.get(entry.kind, "{who}: {kind}"))
    filled = text.format_map(_names(entry))
    return filled[:1].upper() + filled[1:] if text.startswith("{video}") else filled


def _key(entry: AuditEntryView) -> str:
    """The key in SENTENCES without ``.other``."""
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
        "user_changed": _changed_variant(entry.detail),
    }
    return entry.kind + variants.get(entry.kind, "")


def _changed_variant(detail: dict[str, Any]) -> str:
    if "quotaBytes" in detail:
        return ".quota"
    for right in ("is_admin", "is_active"):
        if right in detail:
            return f".{right}.{detail[right]}"
    return ""


def _names(entry: AuditEntryView) -> dict[str, Any]:
    title = wording.shortened(entry.title) if entry.title else ""
    defaults = {
        "network": "an unknown network",
        "why": "no reason was given.",
        "name": "",
        "email": "",
        "from": "",
        "to": "",
        "left": 0,
    }
    detail = {name: value for name, value in entry.detail.items() if value not in (None, "")}
    return (
        defaults
        | detail
        | {
            "who": entry.actor or SOMEONE,
            "subject": entry.subject or "a deleted user",
            "video": f"“{title}”" if title else DELETED_VIDEO,
            "quota": _quota_text(entry.detail.get("quotaBytes")),
            "kind": entry.kind,
        }
    )


def _quota_text(size: Any) -> str:
    if size is None:
        return "the default"
    return format_size(size) if size else "no limit"


def _parse_day(day: str) -> date | None:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        return None
    return found if 1970 < found.year < 9999 else None

"""Who did what when, as the events tell it: for admins, by person, kind of thing and time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, exists
from sqlmodel import Session, and_, col, func, or_, select

from videovault.db import reading
from videovault.models import Event, User, Video
from videovault.services.admin.views import AuditEntryView, AuditLogView, Group
from videovault.services.core import client_ip as core_client_ip
from videovault.services.core import cursors
from videovault.services.core.access import Caller, check_admin

STATUS = "status"
# Which kinds of events each group tells of; ``status.ready`` is a change of status to ready. Whatever is in none
# is the machine's own business.
EVENT_GROUPS: Final[Mapping[Group, Sequence[str]]] = {
    "sign-ins": (
        *("login", "login_failed", "logout", "signed_out", "register", "account_closed"),
        *("password_changed", "forgot_password", "password_reset", "token_created", "token_revoked"),
        *("confirmation_failed", "reset_failed"),
    ),
    "creations": ("draft", "store_requested", "renamed", "status.generating", "retried", "copy_retried"),
    "results": ("status.ready", "status.failed", "copy_made", "copy_failed", "object_swapped"),
    "downloads": ("download", "share_download", "links"),
    "shares": ("shared", "unshared", "key_replaced", "share_opened"),
    "deletions": ("delete",),
    "admin": (
        *("user_changed", "sessions_ended", "create_admin", "invited", "reset_link"),
        *("replayed", "rescued", "field_chosen", "test_ordered", "reconciled", "restored", "key_read"),
        *("source_read", "field_forgotten"),
        *("avatar_added", "avatar_changed", "avatar_deleted", "avatars_reordered"),
    ),
}
# What of an event's own detail may be shown; the rest of it is for the machine.
SHOWN_DETAILS = (
    "from",
    "to",
    "name",
    "email",
    "network",
    "views",
    "by",
    "why",
    "left",
    "is_admin",
    "is_active",
    "ended",
)


@dataclass(frozen=True)
class AuditLogQuery:
    """``person`` is part of the address or name of who did it; ``until`` is not in the time; ``cursor`` as it was given.

    ``client_ip`` is a whole client address, or how one begins.
    """

    group: Group | None = None
    user_id: str = ""
    person: str = ""
    client_ip: str = ""
    since: datetime | None = None
    until: datetime | None = None
    cursor: str = ""
    limit: int = 50


def list_entries(caller: Caller, query: AuditLogQuery) -> AuditLogView:
    """One page of what was done, newest first. Raises Forbidden for anyone but admins, InvalidInput."""
    check_admin(caller)
    wanted = select(Event).where(*_wanted(query)).order_by(col(Event.id).desc()).limit(query.limit + 1)
    with reading() as session:
        found = session.exec(wanted).all()
        events = found[: query.limit]
        owners = _owners(session, events)
        people, titles = _people(session, events, owners), _titles(session, events)
    more = str(events[-1].id) if len(found) > query.limit else None
    entries = [_entry(event, people, owners, titles) for event in events]
    return AuditLogView(entries=entries, next_cursor=more)


def _wanted(query: AuditLogQuery) -> list[ColumnElement[bool]]:
    groups = [query.group] if query.group else list(EVENT_GROUPS)
    wanted = [_is_one_of([kind for group in groups for kind in EVENT_GROUPS[group]])]
    person = query.person.strip()
    if query.user_id:
        wanted.append(col(Event.actor_id) == query.user_id)
    if person:
        wanted.append(col(Event.actor_id).in_(select(User.id).where(_is_called(person))))
    if query.client_ip.strip():
        wanted.append(_is_from(query.client_ip.strip()))
    if query.since:
        wanted.append(col(Event.at) >= query.since)
    if query.until:
        wanted.append(col(Event.at) < query.until)
    if query.cursor:
        wanted.append(col(Event.id) < cursors.decode_id(query.cursor))
    return wanted


def _is_one_of(kinds: Iterable[str]) -> ColumnElement[bool]:
    plain = [kind for kind in kinds if not kind.startswith(f"{STATUS}.")]
    reached = [kind.removeprefix(f"{STATUS}.") for kind in kinds if kind.startswith(f"{STATUS}.")]
    if not reached:
        return col(Event.kind).in_(plain)
    # Of these there are many: the newest are found faster by going back in time than by the index of all of a kind.
    kind = col(Event.kind).concat("")
    return or_(kind.in_(plain), and_(kind == STATUS, col(Event.detail)["to"].as_string().in_(reached)))


def _is_from(typed: str) -> ColumnElement[bool]:
    """203.0.113.7 alone, and not 203.0.113.70; the beginning of an address means all that begin so."""
    address = core_client_ip.parse_address(typed)
    at = col(Event.client_ip)
    return at == str(address) if address else at.startswith(typed.lower(), autoescape=True)


def _is_called(words: str) -> ColumnElement[bool]:
    """A whole address means that person alone, also where it is a part of others."""
    is_it = func.lower(col(User.email)) == words.lower()
    parts = (column.icontains(words, autoescape=True) for column in (col(User.email), col(User.name)))
    return or_(is_it, and_(~exists(select(User.id).where(is_it)), or_(*parts)))


def _people(session: Session, events: Sequence[Event], owners: Mapping[str, str]) -> Mapping[str, str]:
    """The addresses of everybody these events speak of, by id."""
    named = {event.actor_id for event in events} | {event.detail.get("userId") for event in events}
    named |= set(owners.values())
    found = select(User.id, User.email).where(col(User.id).in_(named), col(User.closed_at).is_(None))
    return dict(session.exec(found).all())


def _titles(session: Session, events: Sequence[Event]) -> Mapping[str, str]:
    """The titles of the videos these events speak of, by id; of those that are gone, as they were then."""
    named = {event.video_id for event in events if event.video_id}
    gone = select(Event).where(col(Event.video_id).in_(named), col(Event.kind) == "delete")
    titles = {str(event.video_id): str(event.detail.get("title", "")) for event in session.exec(gone)}
    return titles | dict(session.exec(select(Video.id, Video.title).where(col(Video.id).in_(named))).all())


def _owners(session: Session, events: Sequence[Event]) -> Mapping[str, str]:
    """Whose the videos are that these events speak of, by the video's id."""
    named = {event.video_id for event in events if event.video_id}
    return dict(session.exec(select(Video.id, Video.owner_id).where(col(Video.id).in_(named))).all())


def _entry(
    event: Event, people: Mapping[str, str], owners: Mapping[str, str], titles: Mapping[str, str]
) -> AuditEntryView:
    detail: dict[str, Any] = {name: event.detail[name] for name in SHOWN_DETAILS if name in event.detail}
    if "quota_bytes" in event.detail:
        detail["quotaBytes"] = event.detail["quota_bytes"]
    return AuditEntryView(
        number=event.id or 0,
        at=event.at,
        kind=f"{STATUS}.{event.detail.get('to')}" if event.kind == STATUS else event.kind,
        actor=people.get(event.actor_id or "", ""),
        subject=people.get(event.detail.get("userId") or owners.get(event.video_id or "", ""), ""),
        video_id=event.video_id or "",
        title=titles.get(event.video_id or "", ""),
        by=str(event.detail.get("by", "")) if event.kind == STATUS else "",
        client_ip=event.client_ip,
        times=event.times,
        last_at=event.last_at,
        detail=detail,
    )

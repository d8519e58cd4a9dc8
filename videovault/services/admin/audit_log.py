"""The audit log, for admins: who did what when, by person, kind of event and time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, false
from sqlmodel import Session, and_, col, or_, select

from videovault.db import reading
from videovault.models import Event, User, Video
from videovault.services.core import cursors
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.client_ip import parse_address
from videovault.services.core.cursors import Position
from videovault.services.core.views import Timestamp, View

Group = Literal["sign-ins", "creations", "results", "downloads", "shares", "deletions", "admin"]
STATUS = "status"
MAX_PEOPLE = 20  # whose events are read from the index of each
# The kinds of events in each group; ``status.ready`` is a change of status to ready. Kinds in no group are internal.
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
        *("source_read", "field_forgotten", "installation_changed"),
        *("avatar_added", "avatar_changed", "avatar_deleted", "avatars_reordered"),
    ),
}
# The parts of an event's detail that may be shown; the others are internal.
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


class AuditEntryView(View):
    """An event. ``kind`` is the event's, with the new status for a change of status: ``status.ready``.

    ``actor`` and ``subject`` are e-mail addresses: who did it, and whose account or video it was done to; empty if
    unknown or deleted. ``title`` is the video's, also of a deleted one. ``by``, for changes of status: person,
    generator, worker or repair. ``client_ip`` is empty for internal events and after 90 days. ``times``: how often
    in this hour; ``last_at``: the last time, if more than once. ``detail``: further values of this kind.
    """

    number: int
    at: Timestamp
    kind: str
    actor: str = ""
    subject: str = ""
    video_id: str = ""
    title: str = ""
    by: str = ""
    client_ip: str = ""
    times: int = 1
    last_at: Timestamp | None = None
    detail: dict[str, str | int | bool | None]


class AuditLogView(View):
    """One page of the audit log, newest first."""

    entries: list[AuditEntryView]
    next_cursor: str | None = None


@dataclass(frozen=True)
class AuditLogQuery:
    """``person`` is part of the actor's e-mail address or name; ``until`` is exclusive; ``cursor`` is from an earlier page.

    ``client_ip`` is a client address or its beginning.
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
    """One page of the audit log, newest first. Raises Forbidden for non-admins, InvalidInput."""
    check_admin(caller)
    order = (col(Event.at).desc(), col(Event.id).desc())
    with reading() as session:
        position = _position(session, query.cursor)
        events, more = cursors.read_page(session, Event, _parts(session, query), order, position, query.limit)
        owners = _owners(session, events)
        people, titles = _people(session, events, owners), _titles(session, events)
    entries = [_entry(event, people, owners, titles) for event in events]
    return AuditLogView(entries=entries, next_cursor=str(more[-1]) if more else None)


def _position(session: Session, cursor: str) -> Position | None:
    """The place in time of a cursor, which is an event's number; the event itself may be gone."""
    if not cursor:
        return None
    number = cursors.decode_id(cursor)
    older = select(Event.at).where(col(Event.id) <= number).order_by(col(Event.id).desc()).limit(1)
    return [session.exec(older).first() or datetime.min.replace(tzinfo=UTC), number]


def _parts(session: Session, query: AuditLogQuery) -> list[cursors.Conditions]:
    """The conditions of each part of the list: of each person or kind of event, if there are few."""
    groups = [query.group] if query.group else list(EVENT_GROUPS)
    kinds = [kind for group in groups for kind in EVENT_GROUPS[group]]
    # Concatenated, so that the database does not read all events of these kinds.
    common = [_matches_kind(col(Event.kind).concat(""), kinds)]
    if query.since:
        common.append(col(Event.at) >= query.since)
    if query.until:
        common.append(col(Event.at) < query.until)
    if query.client_ip.strip():
        common.append(_matches_ip(query.client_ip.strip()))
    people = _actors(session, query)
    if people is not None and len(people) <= MAX_PEOPLE:
        return [[col(Event.actor_id) == user_id, *common] for user_id in people] or [[false()]]
    if people is not None:
        matching = select(User.id).where(_matches_person(query.person.strip()))
        return [[col(Event.actor_id).in_(matching), *common]]
    if query.group and not query.client_ip.strip():
        by_name = {kind.partition(".")[0] for kind in kinds}
        return [[col(Event.kind) == name, *common] for name in sorted(by_name)]
    return [common]


def _actors(session: Session, query: AuditLogQuery) -> Sequence[str] | None:
    """The people who are asked for, one more than ``MAX_PEOPLE`` if there are more; None for all."""
    person = query.person.strip()
    if not person:
        return [query.user_id] if query.user_id else None
    # A whole e-mail address matches only that person, even if others contain it.
    found = session.exec(select(User.id).where(User.email == person.lower())).all()
    if not found:
        found = session.exec(select(User.id).where(_matches_person(person)).limit(MAX_PEOPLE + 1)).all()
    return [user_id for user_id in found if query.user_id in ("", user_id)]


def _matches_kind(kind: ColumnElement[str], kinds: Iterable[str]) -> ColumnElement[bool]:
    plain = [each for each in kinds if not each.startswith(f"{STATUS}.")]
    reached = [each.removeprefix(f"{STATUS}.") for each in kinds if each.startswith(f"{STATUS}.")]
    is_reached = and_(kind == STATUS, col(Event.detail)["to"].as_string().in_(reached))
    return or_(kind.in_(plain), is_reached) if reached else kind.in_(plain)


def _matches_ip(typed: str) -> ColumnElement[bool]:
    """A whole address matches exactly (203.0.113.7, not 203.0.113.70); the beginning of one matches as a prefix."""
    address = parse_address(typed)
    at = col(Event.client_ip)
    return at == str(address) if address else at.startswith(typed.lower(), autoescape=True)


def _matches_person(words: str) -> ColumnElement[bool]:
    return or_(cursors.contains(User.email, words), cursors.contains(User.name, words))


def _people(session: Session, events: Sequence[Event], owners: Mapping[str, str]) -> Mapping[str, str]:
    """The e-mail addresses of the people in these events, by id."""
    named = {event.actor_id for event in events} | {event.detail.get("userId") for event in events}
    named |= set(owners.values())
    found = select(User.id, User.email).where(col(User.id).in_(named), col(User.closed_at).is_(None))
    return dict(session.exec(found).all())


def _titles(session: Session, events: Sequence[Event]) -> Mapping[str, str]:
    """The titles of the videos in these events, by id; of deleted videos, their last titles."""
    named = {event.video_id for event in events if event.video_id}
    gone = select(Event).where(col(Event.video_id).in_(named), col(Event.kind) == "delete")
    titles = {str(event.video_id): str(event.detail.get("title", "")) for event in session.exec(gone)}
    return titles | dict(session.exec(select(Video.id, Video.title).where(col(Video.id).in_(named))).all())


def _owners(session: Session, events: Sequence[Event]) -> Mapping[str, str]:
    """The owners of the videos in these events, by the video's id."""
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

"""The audit log: events that clients can repeat at will are counted per hour, and every kind of event expires."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, literal, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, delete, exists, func, or_, select, update

from videovault import logs
from videovault.clock import UtcDateTime, utcnow
from videovault.db import AUDIT_LOCK_SECONDS, advisory_lock, changes_row, reading, transaction
from videovault.errors import DiskFull
from videovault.models import Event, Video
from videovault.services.core import cursors
from videovault.services.core.client_ip import parse_address, rate_limit_key

# The limit for one kind and hour, however many addresses call; further calls share one row.
MAX_ROWS_PER_HOUR = 1000
ADDRESS_DAYS = 90  # afterwards the event is kept without its client address
DELETE_BATCH = 2000  # rows per transaction, so that others can write in between
RECOUNT_SHARE = 20  # the limit of rows may be exceeded by 1/20
# Per kinds and limit: the newest event at the last count, and the one at which to count again.
_counted_at: dict[tuple[str | int, ...], tuple[int, int]] = {}
_looked_at: dict[str, tuple[datetime, int]] = {}  # the last integrity event of each kind that was looked at
log = logs.get(__name__)


@dataclass(frozen=True)
class Retention:
    """How long events of these kinds are kept, and the maximum number of rows; the oldest are deleted first."""

    kinds: Sequence[str]
    days: int
    rows: int


RETENTION: Final = (
    Retention(("login_failed", "confirmation_failed", "reset_failed"), 30, 20_000),
    Retention(("download", "share_download", "share_opened", "links"), 90, 200_000),
    Retention(("login", "logout", "signed_out", "forgot_password"), 180, 100_000),
    Retention(
        (
            "key_read",
            "source_read",
            "user_changed",
            "sessions_ended",
            "create_admin",
            "invited",
            "reset_link",
            "replayed",
            "rescued",
            "field_chosen",
            "field_forgotten",
            "test_ordered",
            "reconciled",
            "restored",
            "installation_changed",
            "register",
            "account_closed",
            "password_changed",
            "password_reset",
            "token_created",
            "token_revoked",
            "avatar_added",
            "avatar_changed",
            "avatar_deleted",
            "avatars_reordered",
        ),
        730,
        100_000,
    ),
)
# For all other kinds, which concern videos.
DEFAULT_RETENTION: Final = Retention((), 400, 1_000_000)
# The last of these tells whether an object is the stored one, so it is kept as long as its video.
REBUILT, KEY_REPLACED, TAGGED, SWAPPED = "rebuilt", "key_replaced", "tagged", "object_swapped"
INTEGRITY_KINDS: Final = (REBUILT, KEY_REPLACED, TAGGED, SWAPPED)


def record_hourly(
    session: Session,
    kind: str,
    *,
    actor_id: str | None = None,
    video_id: str | None = None,
    client_ip: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Count an event that clients can repeat at will: one row per hour, kind, user, video and address.

    IPv6 addresses of one /64 network count as one. Beyond ``MAX_ROWS_PER_HOUR`` all share one row without address and
    names. ``client_ip`` defaults to that of the current request.
    """
    at = utcnow()
    address = logs.client_ip() if client_ip is None else str(parse_address(client_ip) or "")
    hour = at.replace(minute=0, second=0, microsecond=0)
    advisory_lock(session, f"tally {kind}")  # else two could both add the row
    who = (
        actor_id or "",
        video_id or "",
        rate_limit_key(address),
        str((detail or {}).get("userId", "")),
    )
    key = _key(kind, hour, *who)
    if _counted(session, key, at, detail):
        return
    rows = select(func.count()).select_from(Event).where(Event.kind == kind, col(Event.at) >= hour)
    row = Event(
        kind=kind,
        at=at,
        actor_id=actor_id,
        video_id=video_id,
        client_ip=address,
        detail=dict(detail or {}),
        tally_key=key,
    )
    if session.exec(rows).one() >= MAX_ROWS_PER_HOUR:
        key = _key(kind, hour)
        if _counted(session, key, at, {}):
            return
        row = Event(kind=kind, at=at, client_ip="", tally_key=key)
    session.add(row)


def try_record_hourly(kind: str, **values: Any) -> None:
    """As ``record_hourly``, in a transaction of its own, for reads: these must work on a full disk too.

    An event that cannot be written to the database is logged.
    """
    try:
        with transaction(lock_timeout=AUDIT_LOCK_SECONDS) as session:
            record_hourly(session, kind, **values)
    except (DiskFull, SQLAlchemyError) as error:
        log.error("event not recorded", kind=kind, reason=type(error).__name__, **values)  # noqa: TRY400 - the reason is enough


def record_key_read(reader_id: str, video: Video) -> None:
    """An admin is about to see the secret key of another user's video; without this entry it is not shown."""
    if reader_id != video.owner_id:
        with transaction() as session:
            record_hourly(session, "key_read", **_seen(reader_id, video))


def record_source_read(reader_id: str, video: Video) -> None:
    """As ``record_key_read``, for the URL that a video was fetched from, which may contain a secret."""
    if reader_id != video.owner_id:
        with transaction() as session:
            record_hourly(session, "source_read", **_seen(reader_id, video))


def _seen(reader_id: str, video: Video) -> dict[str, Any]:
    return {"actor_id": reader_id, "video_id": video.id, "detail": {"userId": video.owner_id}}


def purge() -> None:
    """Delete expired events, and the client addresses of events older than ``ADDRESS_DAYS``."""
    kinds = _kinds()
    named = {*INTEGRITY_KINDS, *(kind for retention in RETENTION for kind in retention.kinds)}
    others = replace(DEFAULT_RETENTION, kinds=sorted(kinds - named))
    for retention in (*RETENTION, others):
        kept = sorted(kinds.intersection(retention.kinds))
        for kind in kept:
            _delete(col(Event.kind) == kind, _is_older(retention.days))
        _trim(kept, retention.rows)
    for kind in kinds.intersection(INTEGRITY_KINDS):
        _purge_outdated(kind)
    with transaction() as session:
        has_address = col(Event.client_ip) != literal("", literal_execute=True)
        session.exec(update(Event).where(_is_older(ADDRESS_DAYS), has_address).values(client_ip=""))


def _kinds() -> set[str]:
    """All kinds of which there are events, at a look-up for each."""
    kinds, last = set(), ""
    with reading() as session:
        while last := session.exec(select(func.min(Event.kind)).where(col(Event.kind) > last)).one() or "":
            kinds.add(last)
    return kinds


def _trim(kinds: Sequence[str], rows: int) -> None:
    """Delete all but the newest ``rows``; counted again only after as many new events as may exceed it noticeably."""
    are_meant = col(Event.kind).in_(kinds)
    with reading() as session:
        newest = session.exec(select(func.max(Event.id))).one() or 0
        before, due = _counted_at.get((*kinds, rows), (0, 0))
        if before <= newest < due:
            return
        number = session.exec(select(func.count()).select_from(Event).where(are_meant)).one()
        _counted_at[(*kinds, rows)] = newest, newest + max(rows - number, 0) + rows // RECOUNT_SHARE
    excess = number - rows
    parts = [[col(Event.kind) == kind] for kind in kinds]
    while excess > 0:
        with transaction() as session:
            order = (col(Event.at), col(Event.id))
            oldest, _ = cursors.read_page(session, Event, parts, order, None, min(excess, DELETE_BATCH))
            excess -= len(oldest) or excess
            gone = delete(Event).where(col(Event.id).in_([event.id for event in oldest]))
            session.exec(gone.execution_options(synchronize_session=False))


def _purge_outdated(kind: str) -> None:
    """Look at the next old integrity events of this kind: all of them, over several calls."""
    at, number = _looked_at.get(kind, (datetime.min.replace(tzinfo=UTC), 0))
    following = tuple_(col(Event.at), col(Event.id)) > tuple_(literal(at, UtcDateTime), literal(number))
    some = select(Event.at, Event.id).where(Event.kind == kind, _is_older(DEFAULT_RETENTION.days), following)
    with transaction() as session:
        found = session.exec(some.order_by(col(Event.at), col(Event.id)).limit(DELETE_BATCH)).all()
        ids = [event_id for _, event_id in found]
        outdated = delete(Event).where(col(Event.id).in_(ids), _is_outdated())
        session.exec(outdated.execution_options(synchronize_session=False))
    if len(found) == DELETE_BATCH:
        _looked_at[kind] = found[-1][0], found[-1][1] or 0
    else:
        _looked_at.pop(kind, None)


def _delete(*wanted: ColumnElement[bool]) -> None:
    some = select(Event.id).where(*wanted).limit(DELETE_BATCH)
    deleted = DELETE_BATCH
    while deleted == DELETE_BATCH:
        with transaction() as session:
            gone = delete(Event).where(col(Event.id).in_(some)).execution_options(synchronize_session=False)
            deleted = session.exec(gone).rowcount


def _is_older(days: int) -> ColumnElement[bool]:
    return col(Event.at) < utcnow() - timedelta(days=days)


def _is_outdated() -> ColumnElement[bool]:
    """Its video is gone, or a later event of the same kinds replaces it."""
    later = aliased(Event)
    replaced = exists(
        select(later.id).where(
            later.video_id == Event.video_id,
            col(later.kind).in_(INTEGRITY_KINDS),
            col(later.id) > col(Event.id),
        )
    )
    return or_(replaced, ~exists(select(Video.id).where(col(Video.id) == col(Event.video_id))))


def _counted(session: Session, key: str, at: datetime, detail: Mapping[str, Any] | None) -> bool:
    another = (
        update(Event)
        .where(col(Event.tally_key) == key)
        .values(times=col(Event.times) + 1, last_at=at, detail=dict(detail or {}))
    )
    return changes_row(session, another)


def _key(kind: str, hour: datetime, *who: str) -> str:
    return hashlib.sha256("\n".join((kind, hour.isoformat(), *who)).encode()).hexdigest()

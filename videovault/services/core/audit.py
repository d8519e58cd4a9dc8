"""The audit log: events that clients can repeat at will are counted per hour, and every kind of event expires."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, delete, exists, func, or_, select, update

from videovault import logs
from videovault.clock import utcnow
from videovault.db import AUDIT_LOCK_SECONDS, advisory_lock, changes_row, reading, transaction
from videovault.errors import DiskFull
from videovault.models import Event, Video
from videovault.services.core.client_ip import parse_address, rate_limit_key

# The limit for one kind and hour, however many addresses call; further calls share one row.
MAX_ROWS_PER_HOUR = 1000
ADDRESS_DAYS = 90  # afterwards the event is kept without its client address
DELETE_BATCH = 2000  # rows per transaction, so that others can write in between
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
    # The concatenation makes the database use the index of times: that of kinds also holds all other hours.
    is_same = col(Event.kind).concat("") == kind
    rows = select(func.count()).select_from(Event).where(col(Event.at) >= hour, is_same)
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
    named = [kind for retention in RETENTION for kind in retention.kinds]
    for retention in RETENTION:
        _purge(col(Event.kind).in_(retention.kinds), retention)
    _purge(and_(col(Event.kind).not_in((*named, *INTEGRITY_KINDS))), DEFAULT_RETENTION)
    _delete(and_(col(Event.kind).in_(INTEGRITY_KINDS), _is_older(DEFAULT_RETENTION.days), _is_outdated()))
    with transaction() as session:
        old = col(Event.at) < utcnow() - timedelta(days=ADDRESS_DAYS)
        session.exec(update(Event).where(old, col(Event.client_ip) != "").values(client_ip=""))


def _purge(kinds: ColumnElement[bool], retention: Retention) -> None:
    with reading() as session:
        newest = select(Event.id).where(kinds).order_by(col(Event.id).desc())
        first_too_many = session.exec(newest.offset(retention.rows).limit(1)).first()
    over = _is_older(retention.days)
    _delete(and_(kinds, or_(over, col(Event.id) <= first_too_many) if first_too_many else over))


def _delete(wanted: ColumnElement[bool]) -> None:
    some = select(Event.id).where(wanted).limit(DELETE_BATCH)
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

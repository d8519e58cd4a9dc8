"""The audit trail: what outside calls can repeat is counted instead of listed, and every kind of event expires."""

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
from videovault.db import AUDIT_LOCK_SECONDS, advisory_lock, reading, transaction
from videovault.errors import DiskFull
from videovault.models import Event, Video
from videovault.services.core import client_ip as core_client_ip

# At most so many rows of one kind in an hour, however many addresses call; the rest share one row.
MAX_ROWS_PER_HOUR = 1000
ADDRESS_DAYS = 90  # then the event stays, without its client address
DELETE_BATCH = 2000  # rows deleted in one transaction, so that others can write in between
log = logs.get(__name__)


@dataclass(frozen=True)
class Retention:
    """How long events of these kinds are kept, and how many of them at most: the oldest go first."""

    kinds: Sequence[str]
    days: int
    rows: int


RETENTION: Final = (
    Retention(("login_failed", "confirmation_failed", "reset_failed"), 30, 20_000),
    Retention(("download", "share_download", "share_opened", "links"), 90, 200_000),
    Retention(("login", "logout", "signed_out", "forgot_password"), 180, 100_000),
    Retention(
        (
            *(
                "key_read",
                "source_read",
                "user_changed",
                "sessions_ended",
                "create_admin",
                "invited",
                "reset_link",
            ),
            *(
                "replayed",
                "rescued",
                "field_chosen",
                "field_forgotten",
                "test_ordered",
                "reconciled",
                "restored",
                "register",
                "account_closed",
                "password_changed",
            ),
            *("password_reset", "token_created", "token_revoked"),
            *("avatar_added", "avatar_changed", "avatar_deleted", "avatars_reordered"),
        ),
        730,
        100_000,
    ),
)
# All others: what happened to videos.
DEFAULT_RETENTION: Final = Retention((), 400, 1_000_000)
# The last of these says whether an object is the one that was stored, so it stays as long as its video.
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
    """Count what can be repeated at will: one row for each hour, kind, person, video and address.

    IPv6 addresses of one /64 network are one. Over ``MOST_ROWS_AN_HOUR`` one row without address and names has the
    rest. Without ``client_ip``: that of the request being served.
    """
    at = utcnow()
    address = logs.client_ip() if client_ip is None else str(core_client_ip.parse_address(client_ip) or "")
    hour = at.replace(minute=0, second=0, microsecond=0)
    advisory_lock(session, f"tally {kind}")  # else two could both add the row
    who = (
        actor_id or "",
        video_id or "",
        core_client_ip.rate_limit_key(address),
        str((detail or {}).get("userId", "")),
    )
    key = _key(kind, hour, *who)
    if _counted(session, key, at, detail):
        return
    # By the index of times: that of kinds has all the rows of other hours behind it.
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
    """As ``tally``, in a transaction of its own, for what people only read: a full disk must not keep it from them.

    What cannot be written into the database is then in the log.
    """
    try:
        with transaction(lock_timeout=AUDIT_LOCK_SECONDS) as session:
            record_hourly(session, kind, **values)
    except (DiskFull, SQLAlchemyError) as error:
        log.error("event not recorded", kind=kind, reason=type(error).__name__, **values)  # noqa: TRY400 - the reason is enough


def record_key_read(reader_id: str, video: Video) -> None:
    """An admin is about to see the secret key of another user's video: without this entry the key is not shown."""
    if reader_id != video.owner_id:
        with transaction() as session:
            record_hourly(session, "key_read", **_seen(reader_id, video))


def record_source_read(reader_id: str, video: Video) -> None:
    """As ``key_read``, for the address that a video was fetched from, which may carry a secret."""
    if reader_id != video.owner_id:
        with transaction() as session:
            record_hourly(session, "source_read", **_seen(reader_id, video))


def _seen(reader_id: str, video: Video) -> dict[str, Any]:
    return {"actor_id": reader_id, "video_id": video.id, "detail": {"userId": video.owner_id}}


def purge() -> None:
    """Forget events, and the client addresses of others, that are older than they may be."""
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
    """Its video is gone, or a later event of the same kinds has taken its place."""
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
    more = (
        update(Event)
        .where(col(Event.tally_key) == key)
        .values(times=col(Event.times) + 1, last_at=at, detail=dict(detail or {}))
        .execution_options(synchronize_session=False)
    )
    return bool(session.exec(more).rowcount)


def _key(kind: str, hour: datetime, *who: str) -> str:
    return hashlib.sha256("\n".join((kind, hour.isoformat(), *who)).encode()).hexdigest()

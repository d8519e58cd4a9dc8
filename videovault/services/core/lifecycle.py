"""A video's life: every change of status is one conditional UPDATE with an event beside it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from sqlalchemy import ColumnElement, CursorResult, update
from sqlmodel import Session, col, or_, select

from videovault import security
from videovault.clock import db_now, utcnow
from videovault.config import settings
from videovault.errors import Conflict
from videovault.models import Channel, Event, OutboxMessage, Status, Video
from videovault.services.core.views import NoticeView, VideoView, iso_utc

# What a finished or failed video has to tell its owner: on open pages, and in the outbox for those outside.

OUTCOMES = (Status.READY, Status.FAILED)


def queue_notices(session: Session, video_id: str) -> None:
    """Leave word, in the same transaction, of a video that has just become ready or failed."""
    fresh = select(Video).where(Video.id == video_id).execution_options(populate_existing=True)
    video = session.exec(fresh).one()
    if not _is_news(video):
        return
    kind = f"video.{video.status}"
    payload = {"type": kind, "timestamp": iso_utc(utcnow()), "data": _data(video)}
    for channel in enabled_channels():
        if _is_wanted(channel, video.status):
            session.add(OutboxMessage(kind=kind, channel=channel, video_id=video.id, payload=payload))


def enabled_channels() -> list[Channel]:
    """The ways outside that the settings name."""
    chosen = settings()
    ways = {
        Channel.WEBHOOK: bool(chosen.notify_webhook_url),
        Channel.MAIL: chosen.smtp is not None,  # links for new passwords go this way even without notices
    }
    return [channel for channel, is_open in ways.items() if is_open]


def notices_by_owner(
    late: Sequence[Event], videos: Mapping[str, Video]
) -> Mapping[str, Sequence[NoticeView]]:
    """What these events have to tell on open pages, by owner and in their order."""
    found: dict[str, list[NoticeView]] = defaultdict(list)
    for event in sorted(late, key=lambda event: event.id or 0):
        video = videos.get(event.video_id or "")
        if (
            video
            and event.detail.get("to") in OUTCOMES
            and video.status == event.detail["to"]
            and _is_news(video)
        ):
            found[video.owner_id].append(NoticeView.of(event, video))
    return found


def _is_news(video: Video) -> bool:
    """Who cancels a video knows that it has ended."""
    return not (video.status == Status.FAILED and video.error_code == "CANCELLED")


def _is_wanted(channel: Channel, status: Status) -> bool:
    wish = settings().mail_notices if channel == Channel.MAIL else "all"
    return wish == "all" or (wish == "failed" and status == Status.FAILED)


def _data(video: Video) -> dict[str, Any]:
    """Nothing secret, and no link that would end: whoever is told asks the API for one."""
    result = {"metadata"} if video.status == Status.READY else {"error"}
    shown = VideoView.of(video).model_dump(
        mode="json", by_alias=True, exclude_none=True, include={"title", "status"} | result
    )
    return {"videoId": video.id, "userId": video.owner_id, **shown}


# Hands a video's id to the worker. Call it after the commit: the worker must find the row.
Enqueue = Callable[[str], object]
LEASE_SECONDS = 20.0  # without a heartbeat for so long, the worker counts as dead
ActorKind = Literal["person", "generator", "worker", "repair"]


class Actor(TypedDict, total=False):
    """Who made a change: what ``move`` takes as ``actor_id`` and ``by``."""

    actor_id: str | None
    by: ActorKind


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.GENERATING, Status.DELETING}),
    # Ready: the generator's answer was the video itself.
    Status.GENERATING: frozenset({Status.QUEUED, Status.READY, Status.FAILED, Status.DELETING}),
    Status.QUEUED: frozenset({Status.STORING, Status.FAILED, Status.DELETING}),
    Status.STORING: frozenset({Status.READY, Status.QUEUED, Status.FAILED, Status.DELETING}),
    # Failed: S3 lost or changed its object, which ``reconcile`` finds.
    Status.READY: frozenset({Status.FAILED, Status.DELETING}),
    Status.FAILED: frozenset({Status.GENERATING, Status.QUEUED, Status.DELETING}),
    Status.DELETING: frozenset(),
}

# The address has another turn, or another address has its first.
FETCH_NOW: dict[str, Any] = {"refused_since": None, "next_fetch_at": None}


def lease_expired(at: datetime) -> ColumnElement[bool]:
    """What holds at ``at`` of rows whose worker has not been heard of for the length of a lease.

    A heartbeat from the future is one from before the clock was set back. Both times are the database's own, so
    that a worker whose clock is wrong neither loses its videos nor takes those of others.
    """
    lease = timedelta(seconds=LEASE_SECONDS)
    beat = col(Video.heartbeat_at)
    return or_(beat < at - lease, beat > at + lease)


def new_video(owner_id: str, status: Status, title: str, **values: Any) -> Video:
    """A row with an id and a sealed secret key of its own, not yet added to a session."""
    video_id = security.new_video_id()
    sealed = security.seal(security.new_secret_key(), owner_id=owner_id, video_id=video_id)
    return Video(id=video_id, owner_id=owner_id, status=status, title=title, sealed_key=sealed, **values)


def transition(
    session: Session,
    video: Video,
    to: Status,
    *,
    actor_id: str | None = None,
    by: ActorKind | None = None,
    why: str = "",
    **values: Any,
) -> bool:
    """Change the status if nobody else has since ``video`` was read; whether it was changed.

    ``values`` are further columns. ``by`` is what kind of actor it was: if not told, a person where there is
    an ``actor_id``, else the worker. Raises Conflict where the state machine has no such way.
    """
    came_from = video.status
    if to not in TRANSITIONS[came_from]:
        raise Conflict(f"A video that is {came_from} cannot become {to}.")
    if not update_if_unchanged(session, video, status=to, **_entailed(came_from, to) | values):
        return False
    detail = {"from": came_from, "to": to, "why": why, "by": by or ("person" if actor_id else "worker")}
    session.add(Event(kind="status", actor_id=actor_id, video_id=video.id, detail=detail))
    if to in OUTCOMES:
        queue_notices(session, video.id)
    return True


def script_changes(video: Video, script: Mapping[str, str]) -> dict[str, Any]:
    """The columns of a script that replaces the one of ``video``; what was ordered is another, if it differs."""
    differs = any(getattr(video, name) != text for name, text in script.items())
    return {**script, "order_digest": ""} if differs else dict(script)


def _entailed(came_from: Status, to: Status) -> dict[str, Any]:
    """Columns that change with the status, whoever changes it."""
    entailed: dict[str, Any] = {}
    if to in (Status.GENERATING, Status.QUEUED) and came_from != Status.STORING:
        entailed["queued_at"] = db_now()  # one that its worker gives back keeps its place
    if came_from == Status.GENERATING:
        entailed["unread_at"] = None
    if came_from in (Status.GENERATING, Status.STORING):
        entailed["reserved_bytes"] = 0
    if came_from == Status.FAILED:
        entailed["upload_kept_until"] = None
    if {came_from, to} != {Status.QUEUED, Status.STORING}:
        entailed |= FETCH_NOW
    return entailed


def update_if_unchanged(session: Session, video: Video, *also: ColumnElement[bool], **values: Any) -> bool:
    """Set columns if status and attempt are still those of ``video`` and ``also`` holds; whether they were set."""
    statement = (
        update(Video)
        .where(col(Video.id) == video.id)
        .where(col(Video.status) == video.status)
        .where(col(Video.attempt) == video.attempt, *also)
        .values(updated_at=utcnow(), **values)
        .execution_options(synchronize_session=False)
    )
    result = session.execute(statement)
    changed = isinstance(result, CursorResult) and result.rowcount == 1
    if changed and video in session:
        session.refresh(video)
    return changed

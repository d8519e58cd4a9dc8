"""A video's status: every change is one conditional UPDATE, with an event and, at its end, notices to the owner."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from sqlalchemy import ColumnElement, bindparam, update
from sqlmodel import Session, col, or_, select

from videovault import logs, security
from videovault.clock import db_now, utcnow
from videovault.config import settings
from videovault.db import changes_row
from videovault.errors import Conflict
from videovault.models import Channel, Event, OutboxMessage, Status, Video
from videovault.services.core.views import NoticeView, VideoView, iso_utc

# Hands a video's id to the worker. Call it after the commit: the worker must find the row.
Enqueue = Callable[[str], object]
OUTCOMES = (Status.READY, Status.FAILED)
LEASE_SECONDS = 20.0  # without a heartbeat for this long, the worker counts as dead
ActorKind = Literal["person", "generator", "worker", "repair"]


class Actor(TypedDict, total=False):
    """Who made a change: the parameters ``actor_id`` and ``by`` of ``transition``."""

    actor_id: str | None
    by: ActorKind


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.GENERATING, Status.DELETING}),
    # To ready: the generator's answer was the video itself. To generating: its answer was lost, ordered again.
    Status.GENERATING: frozenset(
        {Status.GENERATING, Status.QUEUED, Status.READY, Status.FAILED, Status.DELETING}
    ),
    Status.QUEUED: frozenset({Status.STORING, Status.FAILED, Status.DELETING}),
    Status.STORING: frozenset({Status.READY, Status.QUEUED, Status.FAILED, Status.DELETING}),
    # To failed: ``reconcile`` found that S3 lost or changed the object.
    Status.READY: frozenset({Status.FAILED, Status.DELETING}),
    Status.FAILED: frozenset({Status.GENERATING, Status.QUEUED, Status.DELETING}),
    Status.DELETING: frozenset(),
}

# Fetch at once, without waiting for the backoff of earlier refusals.
FETCH_NOW: dict[str, Any] = {"refused_since": None, "next_fetch_at": None}


def in_status(status: Status) -> ColumnElement[bool]:
    """Whether a video has this status, as part of the statement's text: partial indexes do not know parameters."""
    return col(Video.status) == bindparam(None, status, literal_execute=True)


def lease_expired(at: datetime, beat: Any = None) -> ColumnElement[bool]:
    """Whether the lease has expired at ``at``: no heartbeat in ``beat``, by default the transfer's, for LEASE_SECONDS.

    A heartbeat in the future dates from before the clock was set back. Both are database time, so that a worker
    whose clock is wrong neither loses its videos nor takes those of others.
    """
    lease = timedelta(seconds=LEASE_SECONDS)
    beat = col(Video.heartbeat_at) if beat is None else beat
    return or_(beat < at - lease, beat > at + lease)


def new_video(owner_id: str, status: Status, title: str, **values: Any) -> Video:
    """A row with a new id and sealed secret key, not yet added to a session."""
    video_id = security.new_video_id()
    sealed = security.seal(security.new_secret_key(), owner_id=owner_id, video_id=video_id)
    return Video(
        id=video_id,
        owner_id=owner_id,
        status=status,
        title=title,
        sealed_key=sealed,
        request_id=logs.request_id() or None,
        **values,
    )


def log_context(video: Video | None) -> AbstractContextManager[None]:
    """Adds the video's id, and that of the request that put it in work, to every line inside the block."""
    if video is None:
        return nullcontext()
    ids = {"request_id": video.request_id} if video.request_id else {}
    return logs.context(video_id=video.id, **ids)


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
    """Change the status, unless it has changed since ``video`` was read; whether it was changed.

    ``values`` are further columns. ``by`` defaults to a person if there is an ``actor_id``, else to the worker.
    Raises Conflict if the state machine does not allow this transition.
    """
    came_from = video.status
    if to not in TRANSITIONS[came_from]:
        raise Conflict(f"A video that is {came_from} cannot become {to}.")
    by = by or ("person" if actor_id else "worker")
    if by == "person" and to in (Status.GENERATING, Status.QUEUED):
        values["request_id"] = logs.request_id() or None
    if not update_if_unchanged(session, video, status=to, **_entailed(came_from, to) | values):
        return False
    detail = {"from": came_from, "to": to, "why": why, "by": by}
    session.add(Event(kind="status", actor_id=actor_id, video_id=video.id, detail=detail))
    if to in OUTCOMES:
        queue_notices(session, video.id)
    return True


def script_changes(video: Video, script: Mapping[str, str]) -> dict[str, Any]:
    """The columns to set when ``script`` replaces that of ``video``: the digest of the order too, if it differs."""
    differs = any(getattr(video, name) != text for name, text in script.items())
    return {**script, "order_digest": ""} if differs else dict(script)


def _entailed(came_from: Status, to: Status) -> dict[str, Any]:
    """Columns that change with every such transition."""
    entailed: dict[str, Any] = {}
    if to in (Status.GENERATING, Status.QUEUED) and came_from != Status.STORING:
        entailed["queued_at"] = db_now()  # a video that its worker returns keeps its place
    if came_from == Status.GENERATING:
        entailed |= {"unread_at": None, "call_heartbeat_at": None}
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
    )
    changed = changes_row(session, statement)
    if changed and video in session:
        session.refresh(video)
    return changed


# Notices of a finished or failed video: on open pages, and in the outbox.


def queue_notices(session: Session, video_id: str) -> None:
    """Add the messages about a video that has just become ready or failed to the outbox, in the same transaction."""
    fresh = select(Video).where(Video.id == video_id).execution_options(populate_existing=True)
    video = session.exec(fresh).one()
    if not _is_notable(video):
        return
    kind = f"video.{video.status}"
    payload = {"type": kind, "timestamp": iso_utc(utcnow()), "data": _data(video)}
    for channel in enabled_channels():
        if _is_wanted(channel, video.status):
            session.add(OutboxMessage(kind=kind, channel=channel, video_id=video.id, payload=payload))


def enabled_channels() -> list[Channel]:
    """The channels that are configured."""
    configured = {
        Channel.WEBHOOK: bool(settings().notify_webhook_url),
        Channel.MAIL: settings().smtp is not None,  # password resets are mailed even if notices are off
    }
    return [channel for channel, is_enabled in configured.items() if is_enabled]


def notices_by_owner(
    events: Sequence[Event], videos: Mapping[str, Video]
) -> Mapping[str, Sequence[NoticeView]]:
    """The notices that open pages show for these events, by owner and in order."""
    found: dict[str, list[NoticeView]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.id or 0):
        video = videos.get(event.video_id or "")
        is_current = video and video.status in OUTCOMES and video.status == event.detail.get("to")
        if video and is_current and _is_notable(video):
            found[video.owner_id].append(NoticeView.of(event, video))
    return found


def _is_notable(video: Video) -> bool:
    """False for a cancelled video: the person who cancelled it knows."""
    return not (video.status == Status.FAILED and video.error_code == "CANCELLED")


def _is_wanted(channel: Channel, status: Status) -> bool:
    wanted = settings().mail_notices if channel == Channel.MAIL else "all"
    return wanted == "all" or (wanted == "failed" and status == Status.FAILED)


def _data(video: Video) -> dict[str, Any]:
    """No secret, and no link, which would expire: the receiver can ask the API for one."""
    result = {"metadata"} if video.status == Status.READY else {"error"}
    public = VideoView.of(video).model_dump(
        mode="json", by_alias=True, exclude_none=True, include={"title", "status"} | result
    )
    return {"videoId": video.id, "userId": video.owner_id, **public}

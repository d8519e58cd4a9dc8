"""Orders to the video webhook: a script becomes a video's URL, now or by a callback, and is paid for once."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from videovault import logs, metrics, security
from videovault.backoff import poll_delay
from videovault.clock import db_now, read_db_now, utcnow
from videovault.config import settings
from videovault.config.validation import mask_secrets
from videovault.db import reading, transaction
from videovault.errors import Conflict, UnsafeUrl, WebhookBusy, WebhookError, WebhookUnanswered
from videovault.gateways import webhooks
from videovault.gateways.webhook_reply import MAX_MINUTES, VideoReply
from videovault.models import Event, Status, User, Video
from videovault.security import Order
from videovault.services.core import fields, idempotency, lifecycle, quota, rate_limits
from videovault.services.core.access import Caller, open_video
from videovault.services.core.idempotency import Claim
from videovault.services.core.lifecycle import Enqueue
from videovault.services.core.naming import object_key, title_from_text
from videovault.services.core.views import VideoView, is_unanswered
from videovault.services.generation import budget, webhook_log
from videovault.services.generation.order_lease import ANSWERED, keep_trying, order_lease, response_lost
from videovault.services.generation.result_field import video_result_field
from videovault.services.generation.webhook_log import outgoing_recorder

DEFAULT_MINUTES = 15.0
MIN_RENDER_TIMEOUT = timedelta(minutes=30)
RENDER_TIMEOUT_FACTOR = 3  # times the estimated time
# Before each repeat, if the webhook sends no Retry-After.
BUSY_RETRY_SECONDS = (5.0, 60.0, 600.0)
BUSY_NOTE = "The generator is busy and has not begun. The order is sent again automatically."

# Columns of an earlier attempt or URL that a new one sets to NULL.
CLEARED_BY_ORDER = (
    *("requested_at", "estimated_minutes", "deadline_at", "next_ask_at", "bytes_total"),
    *("source_url", "delivered_url", "status_url", "expected_url"),
    *("generator_note", "error_code", "error_message"),
)
CLEARED_BY_URL = (
    *("deadline_at", "next_ask_at", "expected_url", "upload_id", "upload_source"),
    *("generator_note", "error_code", "error_message"),
)
Keep = Callable[[Video, Iterator[bytes], int | None], object]
"""Stores a video that is the response to its own order: its chunks, and their total size in bytes if known.

Raises WebhookUnanswered if the response ends early.
"""
MOST_AT_ONCE = 1000
T = TypeVar("T")
log = logs.get(__name__)


def request(
    caller: Caller,
    script: Mapping[str, str],
    video_id: str = "",
    *,
    enqueue: Enqueue,
    claim: Claim | None = None,
) -> VideoView:
    """Record a requested video, or request a draft, and enqueue it.

    A video that is in progress or ready is returned unchanged, so that a double click pays once. ``claim`` belongs to
    the call's idempotency key.
    Raises InvalidInput, VideoNotFound, Conflict when no generator is set up, QuotaExceeded, RateLimited.
    """
    if not settings().video_webhook:
        raise Conflict(
            "No video generator is set up. Ask the admin to set VIDEO_WEBHOOK_URL, as described in docs/connect."
        )
    clean = fields.validate(fields.SCRIPT, script)
    rate_limits.check(rate_limits.GENERATIONS, "generations", caller.user_id)
    with transaction() as session:
        video = _named_or_new(session, caller, video_id, clean)
        is_started = _start(session, video, caller, clean)
        if not is_started:
            session.refresh(video)  # another call started it since it was read
        idempotency.remember(session, claim, video.id)
        view = VideoView.of(video)
    if is_started:
        enqueue(view.video_id)  # after the commit: the worker must find the row
    return view


def delivered_url(caller: Caller, video_id: str) -> str | None:
    """The generator's own URL of the caller's video, if it has sent one, stored or not.

    Only the response to the owner's generate call may show it; not even an admin sees it elsewhere.
    """
    with reading() as session:
        video = open_video(session, caller, video_id, "read").row
        return (video.delivered_url or video.source_url) if video.owner_id == caller.user_id else None


def render_again(session: Session, video: Video, caller: Caller) -> None:
    """Render a video again that has failed, or whose generator's response was lost."""
    _start(session, video, caller, is_again=True)


def send_order(video_id: str, keep: Keep | None = None) -> bool:
    """The worker's part: call the webhook once for this attempt and apply its reply; returns whether it was called.

    A second run, or one after a crash in the middle, finds the attempt claimed and sends nothing: the render may
    be in progress and is paid for, so only the callback, the status URL, the deadline or a person continue. A webhook
    that was too busy to begin is called again later, under the same Idempotency-Key. A reply that is the video itself
    is not understood without ``keep``.
    """
    field = video_result_field()  # once the order is sent, the database may be away
    claimed = _claim(video_id)
    if claimed is None:
        return False
    video, payload = claimed
    log.info("ordering the video", attempt=video.attempt)
    with order_lease(video):
        record = _call(video, payload, field, keep)
    keep_trying(record, on_full_disk=True)
    return True


def _call(video: Video, payload: Mapping[str, str], field: str, keep: Keep | None) -> Callable[[], object]:
    """Call the webhook; returns what records the outcome."""
    try:
        reply = webhooks.connected().generate(
            payload,
            idempotency_key=f"{video.id}:{video.attempt}",
            record=outgoing_recorder("video", video.id),
            field=field,
            keep=partial(keep, video) if keep else None,
        )
    except WebhookUnanswered as unanswered:
        webhook_log.count_failure("video", unanswered)
        log.warning(
            "video webhook gave no usable reply, waiting for a report", reason=unanswered.public_message
        )
        return partial(_wait_for_report, video, unanswered)
    except WebhookBusy as busy:
        webhook_log.count_failure("video", busy)
        return partial(_postpone, video, busy)
    except WebhookError as error:
        webhook_log.count_failure("video", error)
        return partial(_fail, video, error.code, error.public_message)
    metrics.WEBHOOK_ANSWERS.inc(webhook="video", answer="ready" if reply.is_video else reply.state)
    if reply.is_video and keep:
        return lambda: None
    return partial(apply_reply, video, reply, why="the webhook answered")


def apply_reply(video: Video, reply: VideoReply, *, why: str) -> None:
    """Apply the generator's reply to ``video``; nothing changes if its callback was faster."""
    if reply.state == "failed":
        _fail(video, "GENERATION_FAILED", reply.message or "The generator failed.", by="generator")
    elif reply.state == "rejected":
        _fail(video, "GENERATION_REJECTED", rejection_message(reply.message), by="generator")
    else:
        url = reply.video_url or video.expected_url
        with transaction(essential=True) as session:  # the render may have been paid for
            if reply.state == "ready" and url:
                status_url = _allowed(reply.status_url) or video.status_url
                accept_url(session, video, url, why=why, by="generator", status_url=status_url)
            elif reply.state == "processing":
                _keep_waiting(session, video, reply)
            else:
                mark_unread(session, video, reply, **ANSWERED)


def mark_unread(session: Session, video: Video, reply: VideoReply, **more: Any) -> bool:
    """Keep waiting, and notify the owner that a reply was not understood; returns whether the video waits.

    ``more`` are further columns.
    """
    log.warning("a generator's reply was not understood", video_id=video.id, reason=reply.problem)
    return video.status == Status.GENERATING and lifecycle.update_if_unchanged(
        session, video, unread_at=utcnow(), **more
    )


def accept_url(session: Session, video: Video, url: str, *, why: str, **more: Any) -> bool:
    """Queue the video to be fetched from this URL; returns whether this was the first URL to arrive.

    ``more`` as ``lifecycle.transition`` takes it. An unfinished upload belongs to the earlier URL: ``tidy`` aborts it.
    """
    return lifecycle.transition(session, video, Status.QUEUED, why=why, **_url_columns(video, url), **more)


def replace_url(session: Session, video: Video, url: str) -> bool:
    """Take a new URL for a queued video whose file is not there yet; returns whether it was taken."""
    return lifecycle.update_if_unchanged(session, video, **lifecycle.FETCH_NOW, **_url_columns(video, url))


def _url_columns(video: Video, url: str) -> dict[str, Any]:
    cleared: dict[str, Any] = dict.fromkeys(CLEARED_BY_URL)
    return {**cleared, "source_url": url, "delivered_url": url, "s3_key": object_key(video, url)}


def order_of(video: Video) -> Order:
    """The order for ``video`` as it is now.

    An order of the same script keeps its first digest, which an earlier version may have computed from fewer fields.
    """
    return Order(video.id, video.order_digest or security.script_digest(_script(video)), video.attempt)


def render_timeout(estimated_minutes: float) -> timedelta:
    """How long a video may stay generating before it fails."""
    return max(MIN_RENDER_TIMEOUT, RENDER_TIMEOUT_FACTOR * timedelta(minutes=estimated_minutes))


MAX_RENDER_TIMEOUT = render_timeout(MAX_MINUTES)


def fail_overdue() -> None:
    """Fail renders whose deadline has passed.

    If the generator announced the URL, the video is fetched from there instead: not all generators report the end.
    """
    with reading() as session:
        late = session.exec(_overdue(session, select(Video.id)).limit(MOST_AT_ONCE)).all()
    for video_id in late:
        with transaction() as session:
            # Read again, and locked: the generator may have given a later time meanwhile.
            overdue = _overdue(session, select(Video)).where(Video.id == video_id)
            video = session.exec(overdue.with_for_update(key_share=True)).first()
            if video:
                metrics.REPAIRED.inc(what="overdue")
            if video and video.expected_url:
                accept_url(
                    session, video, video.expected_url, why="the address named earlier is tried", by="repair"
                )
            elif video:
                message = "The generator did not deliver the video in time."
                _end(session, video, "GENERATION_TIMED_OUT", message, by="repair")


def _named_or_new(session: Session, caller: Caller, video_id: str, clean: Mapping[str, str]) -> Video:
    if video_id:
        return open_video(session, caller, video_id, "change").row
    video = lifecycle.new_video(caller.user_id, Status.DRAFT, title_from_text(clean["hook"]), **clean)
    session.add(video)
    session.flush()
    return video


def _start(
    session: Session,
    video: Video,
    caller: Caller,
    script: Mapping[str, str] | None = None,
    *,
    is_again: bool = False,
) -> bool:
    """Move to generating as a new attempt; False if the video is in progress or ready.

    ``is_again``: also if its generator's response was lost.
    """
    if video.status not in (Status.DRAFT, Status.FAILED) and not (is_again and is_unanswered(video)):
        return False
    quota.check_quota(session, video.owner_id)  # before anything is paid for
    is_started = lifecycle.transition(
        session,
        video,
        Status.GENERATING,
        actor_id=caller.user_id,
        why="requested",
        attempt=video.attempt + 1,
        asks=0,
        bytes_done=0,
        **dict.fromkeys(CLEARED_BY_ORDER),
        **lifecycle.script_changes(video, script or {}),
    )
    if is_started:
        budget.spend(session, video.owner_id)
    return is_started


def _claim(video_id: str) -> tuple[Video, dict[str, str]] | None:
    """The video and the payload to send, if no other worker has claimed the order. The deadline starts now."""
    unsent = col(Video.requested_at).is_(None)
    due = or_(col(Video.next_ask_at).is_(None), col(Video.next_ask_at) <= utcnow())
    with transaction() as session:
        video = session.get(Video, video_id)
        if video is None or video.status != Status.GENERATING:
            return None
        claimed = {
            "requested_at": utcnow(),
            "call_heartbeat_at": db_now(),
            "next_ask_at": None,
            "deadline_at": utcnow() + render_timeout(DEFAULT_MINUTES),
            "order_digest": order_of(video).script,
            "generator_note": None,
        }
        if not lifecycle.update_if_unchanged(session, video, unsent, due, **claimed):
            return None
        owner = session.get(User, video.owner_id)
        return video, webhook_payload(video, owner.email if owner else "")


def webhook_payload(video: Video, email: str) -> dict[str, str]:
    """The body of an order; ``email`` is the owner's."""
    token = security.callback_token(order_of(video))
    return {
        **_script(video),
        "email": email,
        "videoId": video.id,
        "userId": video.owner_id,
        "callbackUrl": settings().status_callback_url,
        "callbackToken": token,
        "reportUrl": settings().report_url(token),
    }


def _script(video: Video) -> dict[str, str]:
    return {name: getattr(video, name) for name in fields.SCRIPT}


def _wait_for_report(video: Video, unanswered: WebhookUnanswered) -> None:
    """The render may be in progress: it is not ordered again, and the owner sees why nothing moves."""
    with transaction(essential=True) as session:
        columns = response_lost(video, unanswered.public_message)
        lifecycle.update_if_unchanged(session, video, **columns)


def _postpone(video: Video, busy: WebhookBusy) -> None:
    """The render was not begun: send the order again later, a limited number of times."""
    if video.asks >= len(BUSY_RETRY_SECONDS):
        _fail(video, busy.code, busy.public_message)
        return
    log.info("video webhook is busy, sending the order again later", tries=video.asks + 1)
    delay = poll_delay(video.asks, busy.retry_after or BUSY_RETRY_SECONDS[video.asks])
    with transaction(essential=True) as session:
        lifecycle.update_if_unchanged(
            session,
            video,
            requested_at=None,
            call_heartbeat_at=None,
            deadline_at=None,
            next_ask_at=utcnow() + delay,
            asks=video.asks + 1,
            generator_note=BUSY_NOTE,
        )


def _keep_waiting(session: Session, video: Video, reply: VideoReply) -> None:
    minutes = reply.estimated_minutes or DEFAULT_MINUTES
    status_url = _allowed(reply.status_url)
    lifecycle.update_if_unchanged(
        session,
        video,
        estimated_minutes=minutes,
        deadline_at=utcnow() + render_timeout(minutes),
        generator_note=None,
        status_url=status_url,
        expected_url=reply.video_url or video.expected_url,
        unread_at=None,
        next_ask_at=utcnow() + poll_delay(0) if status_url else None,
        asks=0,
        **ANSWERED,
    )


def _allowed(status_url: str) -> str | None:
    """The status URL if it may be polled; without one the video waits for the callback."""
    try:
        if status_url:
            webhooks.status_client_for(status_url).check(status_url)
    except UnsafeUrl as error:
        log.warning("status URL not used", reason=error.public_message)
        return None
    return status_url or None


def rejection_message(message: str) -> str:
    reason = f": {message.rstrip('. ')}" if message else ""
    return f"The generator rejected the script{reason}. Change the script, then try again."


def _overdue(session: Session, statement: SelectOfScalar[T]) -> SelectOfScalar[T]:
    late = col(Video.deadline_at) < read_db_now(session)
    return statement.where(lifecycle.in_status(Status.GENERATING), late)


def _fail(video: Video, code: str, message: str, by: lifecycle.ActorKind = "worker") -> None:
    with transaction(essential=True) as session:
        _end(session, video, code, message, by)


def _end(session: Session, video: Video, code: str, message: str, by: lifecycle.ActorKind) -> None:
    message = mask_secrets(message, settings().header_secrets)
    failed = {"error_code": code, "error_message": message}
    if lifecycle.transition(session, video, Status.FAILED, by=by, why=message, next_ask_at=None, **failed):
        session.add(Event(kind="generation_failed", video_id=video.id, detail={"code": code}))

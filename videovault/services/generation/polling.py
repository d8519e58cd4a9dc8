"""Polling: asks generators that gave a status URL for their progress. Between two polls only the row is kept."""

from typing import Any

from sqlmodel import col, select

from videovault import logs, metrics
from videovault.backoff import poll_delay
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import UnsafeUrl, WebhookBusy
from videovault.gateways import webhooks
from videovault.gateways.webhook_reply import VideoReply
from videovault.gateways.webhooks import Exchange
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.lifecycle import Enqueue
from videovault.services.generation import orders
from videovault.services.generation.result_field import video_result_field
from videovault.services.generation.webhook_log import outgoing_recorder

MOST_AT_ONCE = 1000
log = logs.get(__name__)


def due_video_ids() -> list[str]:
    """The videos whose generators are to be polled now."""
    due = (
        select(Video.id)
        .where(lifecycle.in_status(Status.GENERATING))
        .where(col(Video.status_url).is_not(None), col(Video.requested_at).is_not(None))
        .where(col(Video.next_ask_at) <= utcnow())
        .order_by(col(Video.next_ask_at))
        .limit(MOST_AT_ONCE)
    )
    with reading() as session:
        return list(session.exec(due))


def poll(video_id: str, *, enqueue: Enqueue) -> None:
    """Poll the generator of one video once. Safe to call at any time and on several machines: one of them polls.

    The deadline stays unless the generator gives a new estimate, so a generator that reports "processing" for ever
    times out.
    """
    video = _claim(video_id)
    if video is not None and video.status_url:
        with lifecycle.log_context(video):
            _poll(video, video.status_url, enqueue)


def _poll(video: Video, status_url: str, enqueue: Enqueue) -> None:
    exchanges: list[Exchange] = []
    try:
        status = webhooks.status_client_for(status_url).poll(
            status_url, record=exchanges.append, field=video_result_field()
        )
    except WebhookBusy as busy:
        metrics.WEBHOOK_ANSWERS.inc(webhook="poll", answer="unanswered")
        log.info("no progress from the generator", reason=busy.public_message)
        _update(video, busy.retry_after)
        return
    except UnsafeUrl as error:
        log.warning("status URL must not be polled", reason=error.public_message)
        return
    reply = status.reply
    metrics.WEBHOOK_ANSWERS.inc(webhook="poll", answer=reply.state)
    if reply.state == "processing":
        _update(video, status.retry_after, **_new_estimate(video, reply), **_new_url(video, reply))
        return
    is_ready = reply.state == "ready" and bool(reply.video_url or video.expected_url)
    if reply.state in ("ready", "unread") and not is_ready:
        if video.unread_at is None:  # record only the first of many equal replies
            _record(video, exchanges)
        with transaction() as session:
            orders.mark_unread(session, video, reply)
        _update(video, status.retry_after)
        return
    _record(video, exchanges)
    orders.apply_reply(video, reply, why="the status address answered")
    if is_ready:
        enqueue(video.id)


def fetch_fresh_url(video: Video) -> str | None:
    """A new URL for a video whose own has expired, if its generator has one."""
    if not video.status_url:
        return None
    try:
        reply = (
            webhooks.status_client_for(video.status_url)
            .poll(video.status_url, record=outgoing_recorder("poll", video.id), field=video_result_field())
            .reply
        )
    except (WebhookBusy, UnsafeUrl) as error:
        log.info("no fresh URL from the generator", reason=error.public_message)
        return None
    is_fresh = reply.state == "ready" and reply.video_url != video.source_url
    return reply.video_url or None if is_fresh else None


def _claim(video_id: str) -> Video | None:
    """The worker that moves the time of the next poll makes this one."""
    with transaction() as session:
        video = session.get(Video, video_id)
        if video is None or video.status != Status.GENERATING:
            return None
        if not (video.requested_at and video.next_ask_at and video.next_ask_at <= utcnow()):
            return None
        unmoved, polls = col(Video.next_ask_at) == video.next_ask_at, video.asks + 1
        next_poll = utcnow() + poll_delay(polls)
        is_mine = lifecycle.update_if_unchanged(session, video, unmoved, asks=polls, next_ask_at=next_poll)
        return video if is_mine else None


def _update(video: Video, retry_after: float | None, **values: Any) -> None:
    if retry_after:
        values["next_ask_at"] = utcnow() + poll_delay(video.asks, retry_after)
    if values:
        with transaction() as session:
            lifecycle.update_if_unchanged(session, video, **values)


def _new_url(video: Video, reply: VideoReply) -> dict[str, Any]:
    values = {"expected_url": reply.video_url or video.expected_url, "unread_at": None}
    return {name: value for name, value in values.items() if getattr(video, name) != value}


def _new_estimate(video: Video, reply: VideoReply) -> dict[str, Any]:
    minutes = reply.estimated_minutes
    if minutes is None or minutes == video.estimated_minutes or video.requested_at is None:
        return {}
    return {
        "estimated_minutes": minutes,
        "deadline_at": video.requested_at + orders.render_timeout(minutes),
    }


def _record(video: Video, exchanges: list[Exchange]) -> None:
    record = outgoing_recorder("poll", video.id)
    for exchange in exchanges:
        record(exchange)

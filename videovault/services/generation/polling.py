"""Asking generators that gave a status address how far they are; between two questions nothing is held but a row."""

from typing import Any

from sqlmodel import Session, col, select

from videovault import logs
from videovault.backoff import next_poll_at
from videovault.db import reading, transaction
from videovault.errors import UnsafeUrl, WebhookBusy
from videovault.gateways import status_client
from videovault.gateways.webhook_reply import Generation
from videovault.gateways.webhooks import Exchange
from videovault.models import Status, Video, utcnow
from videovault.services.core import lifecycle
from videovault.services.core.lifecycle import Enqueue
from videovault.services.generation import orders, webhook_log

log = logs.get(__name__)


def due_video_ids() -> list[str]:
    """The videos whose generators are to be asked now."""
    waiting = (
        select(Video.id)
        .where(Video.status == Status.GENERATING)
        .where(col(Video.status_url).is_not(None), col(Video.requested_at).is_not(None))
        .where(col(Video.next_ask_at) <= utcnow())
        .order_by(col(Video.next_ask_at))
    )
    with reading() as session:
        return list(session.exec(waiting))


def poll(video_id: str, *, enqueue: Enqueue) -> None:
    """Ask once how far the video is. Safe to call at any time and on several machines: one of them asks.

    The deadline stays where it is unless the generator names another time, so that one which says "processing"
    for ever comes to an end.
    """
    video = _claim(video_id)
    if video is None or not video.status_url:
        return
    heard: list[Exchange] = []
    try:
        news = status_client.client_for(video.status_url).ask(
            video.status_url, note=heard.append, field=webhook_log.video_result_field()
        )
    except WebhookBusy as busy:
        log.info("no news from the generator", video_id=video.id, reason=busy.public_message)
        _come_back(video, busy.retry_after)
        return
    except UnsafeUrl as error:
        log.warning("status address must not be asked", video_id=video.id, reason=error.public_message)
        return
    if news.said.state == "processing":
        _come_back(
            video, news.retry_after, **_new_estimate(video, news.said), **_understood(video, news.said)
        )
        return
    is_ready = news.said.state == "ready" and bool(news.said.video_url or video.expected_url)
    if news.said.state in ("ready", "unread") and not is_ready:
        if video.unread_at is None:  # once: it may say the same many times
            _record(video, heard)
        with transaction() as session:
            orders.mark_unread(session, video, news.said)
        _come_back(video, news.retry_after)
        return
    _record(video, heard)
    orders.apply_reply(video, news.said, why="the status address answered")
    if is_ready:
        enqueue(video.id)


def fetch_fresh_url(video: Video) -> str | None:
    """Another address for a video whose own has expired, if its generator has one to give."""
    if not video.status_url:
        return None
    note = webhook_log.outgoing_recorder("poll", video.id)
    try:
        said = (
            status_client.client_for(video.status_url)
            .ask(video.status_url, note=note, field=webhook_log.video_result_field())
            .said
        )
    except (WebhookBusy, UnsafeUrl) as error:
        log.info("no fresh address from the generator", reason=error.public_message)
        return None
    return said.video_url or None if said.state == "ready" and said.video_url != video.source_url else None


def _claim(video_id: str) -> Video | None:
    """Whoever moves the time of the next question asks this one."""
    with transaction() as session:
        video = session.get(Video, video_id)
        if video is None or video.status != Status.GENERATING or not _is_due(video):
            return None
        return video if _put_off(session, video, asks=video.asks + 1) else None


def _is_due(video: Video) -> bool:
    return bool(video.requested_at and video.next_ask_at and video.next_ask_at <= utcnow())


def _put_off(session: Session, video: Video, asks: int) -> bool:
    unmoved = col(Video.next_ask_at) == video.next_ask_at
    return lifecycle.update_if_unchanged(session, video, unmoved, asks=asks, next_ask_at=next_poll_at(asks))


def _come_back(video: Video, retry_after: float | None, **values: Any) -> None:
    if retry_after:
        values["next_ask_at"] = next_poll_at(video.asks, retry_after)
    if values:
        with transaction() as session:
            lifecycle.update_if_unchanged(session, video, **values)


def _understood(video: Video, said: Generation) -> dict[str, Any]:
    news = {"expected_url": said.video_url or video.expected_url, "unread_at": None}
    return {name: value for name, value in news.items() if getattr(video, name) != value}


def _record(video: Video, heard: list[Exchange]) -> None:
    for exchange in heard:
        webhook_log.outgoing_recorder("poll", video.id)(exchange)


def _new_estimate(video: Video, said: Generation) -> dict[str, Any]:
    minutes = said.estimated_minutes
    if minutes is None or minutes == video.estimated_minutes or video.requested_at is None:
        return {}
    return {
        "estimated_minutes": minutes,
        "deadline_at": video.requested_at + orders.render_timeout(minutes),
    }

"""The lease on an order: renewed while a worker calls the generator, until what came of the call is recorded.

A response that its worker cannot record any more may have been paid for: the owner is told and may order again, and
an idempotent generator gets the same order again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import case, or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from videovault import db, logs, metrics
from videovault.clock import db_now, read_db_now, utcnow
from videovault.config import settings
from videovault.db import changes_row, reading, transaction
from videovault.errors import DiskFull
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.lifecycle import lease_expired

HEARTBEAT_SECONDS = 5.0
MISSED_SECONDS = 0.5  # soon after an outage, before the lease counts as expired
RECORD_SECONDS = 3600.0  # how long a response is kept in memory while the database is unavailable
# Before an order is sent again to an idempotent generator.
REPEAT_SECONDS = (5.0, 60.0, 600.0)
WORKER_DIED = "The generator was asked, but its response was lost because the server was interrupted."
ORDERED_ONCE = (
    "The video was ordered once and may be rendering, so we wait for the generator's report. It may have been paid "
    "for: you can order it again, which may be paid for twice."
)
ORDERED_AGAIN = "The same order is sent again automatically."
# Once the generator has answered, in any way.
ANSWERED: dict[str, Any] = {"call_heartbeat_at": None, "unanswered_attempt": None}

T = TypeVar("T")
log = logs.get(__name__)


@contextmanager
def order_lease(video: Video) -> Iterator[None]:
    """Renew the lease in the block, which calls the generator. It stays until the outcome is recorded or it expires."""
    ended = threading.Event()
    name = f"order-{video.id}"
    send = logs.in_this_context(partial(_send_heartbeats, video, ended))
    thread = threading.Thread(target=send, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def keep_trying(write: Callable[[], T], *, on_full_disk: bool = False) -> T:
    """Call ``write`` until the database is available, for RECORD_SECONDS: the response exists only in this process.

    ``on_full_disk``: also until its disk has room.
    """

    def is_retryable(error: Exception) -> bool:
        return on_full_disk if isinstance(error, DiskFull) else db.is_unavailable(error)

    return db.keep_trying(write, seconds=RECORD_SECONDS, is_retryable=is_retryable)


def response_lost(video: Video, reason: str) -> dict[str, Any]:
    """The columns of a sent order whose response was lost; ``reason`` is a sentence for its owner."""
    if settings().renders_once_per_key and video.asks < len(REPEAT_SECONDS):
        return {
            "call_heartbeat_at": None,
            "requested_at": None,
            "deadline_at": None,
            "next_ask_at": utcnow() + timedelta(seconds=REPEAT_SECONDS[video.asks]),
            "asks": video.asks + 1,
            "generator_note": f"{reason} {ORDERED_AGAIN}",
        }
    return {
        "call_heartbeat_at": None,
        "unanswered_attempt": video.attempt,
        "generator_note": f"{reason} {ORDERED_ONCE}",
    }


def release_expired() -> None:
    """Tell the owners of orders whose worker died during the call."""
    beat = col(Video.call_heartbeat_at)
    with reading() as session:
        expired = lease_expired(read_db_now(session), beat)
        asked = select(Video).where(Video.status == Status.GENERATING, beat.is_not(None), expired)
        videos = list(session.exec(asked))
    for video in videos:
        with transaction(essential=True) as session:
            # Checked again inside the transaction: the worker may only have been late.
            expired = lease_expired(read_db_now(session), beat)
            if lifecycle.update_if_unchanged(session, video, expired, **response_lost(video, WORKER_DIED)):
                metrics.REPAIRED.inc(what="caller_died")
                log.warning(
                    "worker died while it called the generator",
                    video_id=video.id,
                    request_id=video.request_id,
                )


def _send_heartbeats(video: Video, ended: threading.Event) -> None:
    pause = HEARTBEAT_SECONDS
    while not ended.wait(pause):
        try:
            if not _renew(video):
                return
            pause = HEARTBEAT_SECONDS
        except (SQLAlchemyError, DiskFull) as error:
            pause = MISSED_SECONDS
            metrics.MISSED_HEARTBEATS.inc(kind="order")
            log.warning("heartbeat of an order missed", reason=type(error).__name__)


def _renew(video: Video) -> bool:
    """False once the order is no longer this worker's.

    A lease that expired while the database was unavailable is restored. ``updated_at`` stays: nothing has changed for
    the owner.
    """
    given_up = col(Video.unanswered_attempt) == video.attempt
    held = update(Video).where(
        col(Video.id) == video.id,
        col(Video.status) == Status.GENERATING,
        col(Video.attempt) == video.attempt,
        or_(col(Video.call_heartbeat_at).is_not(None), given_up),
    )
    note = case((given_up, None), else_=col(Video.generator_note))
    renewed = held.values(call_heartbeat_at=db_now(), unanswered_attempt=None, generator_note=note)
    with transaction(essential=True) as session:
        return changes_row(session, renewed)

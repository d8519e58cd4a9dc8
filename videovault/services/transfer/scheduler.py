"""The fair scheduler: decides which queued video is next, and claims it for a worker.

First come, first served, but a user whose video has been claimed moves to the end of the line, and no user has more
than RUNNING_PER_USER transfers. A worker takes the video that is due, not the one it was called for.
"""

from datetime import timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Subquery, bindparam, literal, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, case, col, func, or_, select, update
from sqlmodel.sql.expression import SelectOfScalar

from videovault import logs, metrics
from videovault.clock import db_now, read_db_now
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.models import Counter, Status, User, Video
from videovault.services.core import lifecycle, quota
from videovault.services.core.lifecycle import Enqueue, lease_expired

# By then an enqueued video has been claimed, or still waits in the queue.
STRANDED_AFTER = timedelta(seconds=3)
TRY_SECONDS = 5.0
MAX_ENQUEUED = 100  # at once; each transfer that ends enqueues the next
T = TypeVar("T")
log = logs.get(__name__)


def claim() -> Video | None:
    """Claim the next queued video for this worker; None if there is none."""
    while True:
        with transaction() as session:
            video = session.exec(_next(session, select(Video))).first()
            if video is None or _claim(session, video):
                return video


def try_claim() -> None:
    """Do what a claim does, up to the change. Raises what a claim would: the database is away or its disk full."""
    with transaction(lock_timeout=TRY_SECONDS) as session:
        session.exec(_next(session, select(Video.id))).first()


def next_queued() -> str | None:
    """The next queued video, to be enqueued for any free worker."""
    with reading() as session:
        return session.exec(_next(session, select(Video.id))).first()


def next_unrequested() -> str | None:
    """A video whose order has not been sent, of the user with the fewest in generation."""
    with reading() as session:
        requested = _count_by_owner(
            lifecycle.in_status(Status.GENERATING) & col(Video.requested_at).is_not(None)
        )
        waiting = (
            select(Video.id)
            .outerjoin(requested, requested.c.owner_id == Video.owner_id)
            .where(_order_is_due(session))
            .order_by(func.coalesce(requested.c.number, 0), col(Video.queued_at), col(Video.id))
        )
        return session.exec(waiting.limit(1)).first()


def stranded() -> list[str]:
    """Videos that could continue but may not be in the queue."""
    with reading() as session:
        untouched = col(Video.updated_at) < read_db_now(session) - STRANDED_AFTER
        unrequested = session.exec(
            select(Video.id).where(_order_is_due(session), untouched).limit(MAX_ENQUEUED)
        ).all()
        # In any order: a worker takes the next video, not the one it was called for.
        queued = session.exec(
            select(Video.id)
            .join(Counter, col(Counter.scope) == col(Video.owner_id))
            .where(
                lifecycle.in_status(Status.QUEUED),
                untouched,
                _has_free_slot(),
                *_may_be_stored(session, Video),
            )
            .order_by(col(Video.queued_at))
            .limit(MAX_ENQUEUED)
        ).all()
        return [*unrequested, *queued]


def requeue_expired(*, enqueue: Enqueue) -> None:
    """Queue videos again whose worker has died, and enqueue them."""
    with reading() as session:
        expired = lease_expired(read_db_now(session))
        storing = session.exec(select(Video.id).where(Video.status == Status.STORING, expired)).all()
    for video_id in storing:
        if _requeue(video_id):
            metrics.REPAIRED.inc(what="worker_died")
            enqueue(video_id)


def _requeue(video_id: str) -> bool:
    """False if its lease has not expired: checked under the row lock, since the worker may only have been late."""
    with transaction() as session:
        expired = lease_expired(read_db_now(session))
        expired_video = select(Video).where(Video.id == video_id, Video.status == Status.STORING, expired)
        video = session.exec(expired_video.with_for_update(key_share=True)).first()
        # The heartbeat stays: if no worker continues, it marks that something may be left in S3.
        if video is None or not lifecycle.transition(
            session, video, Status.QUEUED, by="repair", why="its worker died"
        ):
            return False
        log.warning("worker died, queued again", video_id=video_id, request_id=video.request_id)
        return True


def _claim(session: Session, video: Video) -> bool:
    """False where another worker was faster: it has claimed the video, or the owner's last slot."""
    # Claims for the same owner on other machines wait for this lock, and then count this one as running.
    session.get_one(User, video.owner_id, with_for_update={"key_share": True})
    most = settings().running_per_user
    if most and quota.counts_of(session, video.owner_id).by_state[Status.STORING] >= most:
        return False
    claimed = lifecycle.transition(
        session,
        video,
        Status.STORING,
        why="claimed",
        attempt=video.attempt + 1,
        heartbeat_at=db_now(),
        bytes_done=0,
        bytes_total=None,
        bytes_per_second=None,
    )
    if claimed:
        session.execute(update(User).where(col(User.id) == video.owner_id).values(served_at=db_now()))
    return claimed


def _order_is_due(session: Session) -> ColumnElement[bool]:
    """Videos whose order is due: a busy generator has named a time."""
    due = or_(col(Video.next_ask_at).is_(None), col(Video.next_ask_at) <= read_db_now(session))
    return lifecycle.in_status(Status.GENERATING) & col(Video.requested_at).is_(None) & due


def _count_by_owner(videos: ColumnElement[bool]) -> Subquery:
    """The number of ``videos`` per user, for users who have any."""
    counts = select(Video.owner_id, func.count().label("number")).where(videos)
    return counts.group_by(col(Video.owner_id)).subquery()


def _next(session: Session, statement: SelectOfScalar[T]) -> SelectOfScalar[T]:
    """The video of ``statement`` that is stored next: of each owner's first one, at the cost of a look-up per owner."""
    served, queued = col(User.served_at), col(Video.queued_at)
    other = aliased(Video)
    first = (
        select(other.id)
        .where(
            other.owner_id == Counter.scope,
            col(other.status) == bindparam(None, Status.QUEUED, literal_execute=True),
            *_may_be_stored(session, other),
        )
        .order_by(col(other.queued_at), col(other.id))
        .limit(1)
        .correlate(Counter)
        .scalar_subquery()
    )
    return (
        statement.select_from(Counter)
        .join(User, col(User.id) == col(Counter.scope))
        .join(Video, col(Video.id) == first)
        .where(col(Counter.queued) > literal(0, literal_execute=True), _has_free_slot())
        .order_by(case((served > queued, served), else_=queued), queued, col(Video.id))
        .limit(1)
    )


def _may_be_stored(session: Session, video: type[Video]) -> tuple[ColumnElement[bool], ...]:
    """No worker may still be busy with it, and its next fetch is due."""
    at, beat, next_fetch = read_db_now(session), col(video.heartbeat_at), col(video.next_fetch_at)
    lease = timedelta(seconds=lifecycle.LEASE_SECONDS)
    has_no_worker = or_(beat.is_(None), beat < at - lease, beat > at + lease)
    return has_no_worker, or_(next_fetch.is_(None), next_fetch <= at)


def _has_free_slot() -> ColumnElement[bool]:
    most = settings().running_per_user
    return col(Counter.storing) < most if most else true()

"""Whose turn it is: first come, first served, but whoever was served goes to the end of the line of users.

A worker does not insist on a video: it takes the one that is due, of a user who has not too many running.
"""

from datetime import timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Subquery
from sqlmodel import Session, case, col, func, or_, select, update
from sqlmodel.sql.expression import SelectOfScalar

from videovault import logs
from videovault.config import settings
from videovault.db import db_now, read_db_now, reading, transaction
from videovault.models import Status, User, Video
from videovault.services.core import lifecycle
from videovault.services.core.lifecycle import lease_expired

# What was enqueued has been taken up by then, or still waits in the queue.
STRANDED_AFTER = timedelta(seconds=3)
MAX_ENQUEUED = 100  # at once; each transfer that ends hands out the next
T = TypeVar("T")
log = logs.get(__name__)


def claim() -> Video | None:
    """The queued video whose turn it is, from now on this worker's to store; None while there is none."""
    while True:
        with transaction() as session:
            video = session.exec(_in_turn(session, select(Video)).limit(1)).first()
            if video is None or _take(session, video):
                return video


def next_queued() -> str | None:
    """A queued video whose turn has come, for whichever worker is free."""
    with reading() as session:
        return session.exec(_in_turn(session, select(Video.id)).limit(1)).first()


def next_unrequested() -> str | None:
    """A video that the generator has not been asked for, of whoever has the fewest being generated."""
    with reading() as session:
        asked = _counted((col(Video.status) == Status.GENERATING) & col(Video.requested_at).is_not(None))
        waiting = (
            select(Video.id)
            .outerjoin(asked, asked.c.owner_id == Video.owner_id)
            .where(_unasked(session))
            .order_by(func.coalesce(asked.c.number, 0), col(Video.queued_at), col(Video.id))
        )
        return session.exec(waiting.limit(1)).first()


def stranded() -> list[str]:
    """Videos that could go on though nobody may have told a worker."""
    with reading() as session:
        quiet = col(Video.updated_at) < read_db_now(session) - STRANDED_AFTER
        unasked = session.exec(select(Video.id).where(_unasked(session), quiet).limit(MAX_ENQUEUED)).all()
        queued = session.exec(_in_turn(session, select(Video.id)).where(quiet).limit(MAX_ENQUEUED)).all()
        return [*unasked, *queued]


def requeue_expired() -> None:
    """Queue again what dead workers held."""
    with reading() as session:
        silent = lease_expired(read_db_now(session))
        held = session.exec(select(Video.id).where(Video.status == Status.STORING, silent)).all()
    for video_id in held:
        with transaction() as session:
            # Looked at again, and held: its worker may have been late only.
            silent = lease_expired(read_db_now(session))
            dead = select(Video).where(Video.id == video_id, Video.status == Status.STORING, silent)
            video = session.exec(dead.with_for_update(key_share=True)).first()
            # The heartbeat stays: should nobody go on with it, it tells that something may be left in S3.
            if video and lifecycle.transition(
                session, video, Status.QUEUED, by="repair", why="its worker died"
            ):
                log.warning("worker died, queued again", video_id=video_id)


def _take(session: Session, video: Video) -> bool:
    """False where another worker was faster: it has the video, or the owner's last place."""
    # Whoever claims for the same owner on another machine waits here, and then counts this one as running.
    session.get_one(User, video.owner_id, with_for_update={"key_share": True})
    most = settings().running_per_user
    running = select(func.count()).where(Video.owner_id == video.owner_id, Video.status == Status.STORING)
    if most and session.exec(running).one() >= most:
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


def _unasked(session: Session) -> ColumnElement[bool]:
    """Those that the generator is to be asked for now: one that was busy has named a time."""
    due = or_(col(Video.next_ask_at).is_(None), col(Video.next_ask_at) <= read_db_now(session))
    return (col(Video.status) == Status.GENERATING) & col(Video.requested_at).is_(None) & due


def _counted(videos: ColumnElement[bool]) -> Subquery:
    """How many of ``videos`` each user has, for those who have any."""
    counted = select(Video.owner_id, func.count().label("number")).where(videos)
    return counted.group_by(col(Video.owner_id)).subquery()


def _in_turn(session: Session, statement: SelectOfScalar[T]) -> SelectOfScalar[T]:
    """Those of ``statement`` that may be stored now, the next one first."""
    running = _counted(col(Video.status) == Status.STORING)
    most = settings().running_per_user
    served, queued = col(User.served_at), col(Video.queued_at)
    let_go = or_(col(Video.heartbeat_at).is_(None), lease_expired(read_db_now(session)))
    fetched = col(Video.next_fetch_at)
    is_due = or_(fetched.is_(None), fetched <= read_db_now(session))
    due = (
        statement.join(User, col(User.id) == Video.owner_id)
        .outerjoin(running, running.c.owner_id == Video.owner_id)
        .where(Video.status == Status.QUEUED, let_go, is_due)
        .order_by(case((served > queued, served), else_=queued), queued, col(Video.id))
    )
    return due.where(func.coalesce(running.c.number, 0) < most) if most else due

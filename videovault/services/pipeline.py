"""What the worker does with a video, what a person may do to one in work, and what mends every crash."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, or_, select

from videovault import logs
from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.models import Status, Video, now
from videovault.services import deletion, generation, leftovers, lifecycle, outbox, transfer
from videovault.services.access import Caller, open_video
from videovault.services.lease import LEASE_SECONDS
from videovault.services.views import PROCESSING, VideoView

FORGOTTEN_AFTER = timedelta(
    seconds=3
)  # what was enqueued has been taken up by then, or still waits in the queue
Enqueue = Callable[[str], object]
log = logs.get(__name__)


def produce(video_id: str, *, stopping: Callable[[], bool]) -> None:
    """Take a video as far as it can go: generation, if it is due, then storing."""
    with logs.context(video_id=video_id):
        try:
            generation.ask_generator(video_id)
            transfer.store(video_id, stopping=stopping)
        except SQLAlchemyError:
            raise  # the row cannot be changed now; the lease runs out and ``repair`` goes on
        except Exception:
            # A fault of ours would come again at every attempt: better a reason and a button than no end.
            log.exception("unforeseen fault")
            _give_up(video_id)


def retry(caller: Caller, video_id: str, *, enqueue: Enqueue) -> VideoView:
    """Run a failed video again from where it broke: with a known address storing, else generating."""
    with transaction() as session:
        video = open_video(session, caller, video_id).row
        if video.status != Status.FAILED:
            raise Conflict("Only a video that failed can be tried again.")
        if video.source_url:
            _queue_again(session, video, caller)
        else:
            generation.again(session, video, caller)
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def cancel(caller: Caller, video_id: str) -> VideoView:
    """Stop a video in work; a running transfer notices within a heartbeat and leaves nothing behind."""
    with transaction() as session:
        video = open_video(session, caller, video_id).row
        if video.status not in PROCESSING:
            raise Conflict("This video is not in work.")
        lifecycle.move(
            session,
            video,
            Status.FAILED,
            actor_id=caller.user_id,
            why="cancelled",
            error_code="CANCELLED",
            error_message="You cancelled this video.",
        )
        return VideoView.of(video)


def repair(*, enqueue: Enqueue) -> None:
    """The answer to every crash: go on with what a dead worker left, fail what is overdue.

    Safe to run at any time, on several machines at once: each change is conditional.
    """
    generation.fail_overdue()
    for video in _abandoned():
        with transaction() as session:
            if lifecycle.move(session, video, Status.QUEUED, why="its worker died", heartbeat_at=None):
                log.warning("worker died, queued again", video_id=video.id)
    for video_id in _waiting():
        enqueue(video_id)
    deletion.finish_all()
    leftovers.clear()
    outbox.purge()


def _give_up(video_id: str) -> None:
    message = "Something went wrong on our side. Try again; the log tells the admin more."
    with transaction() as session:
        video = session.get(Video, video_id)
        if video is not None and video.status in PROCESSING:
            lifecycle.move(
                session,
                video,
                Status.FAILED,
                why="unforeseen fault",
                error_code="INTERNAL_ERROR",
                error_message=message,
            )


def _queue_again(session: Session, video: Video, caller: Caller) -> None:
    lifecycle.move(
        session,
        video,
        Status.QUEUED,
        actor_id=caller.user_id,
        why="tried again",
        attempt=video.attempt + 1,
        bytes_done=0,
        bytes_total=None,
        error_code=None,
        error_message=None,
    )


def _abandoned() -> list[Video]:
    """Videos whose worker has not been heard of for the length of a lease."""
    silent = now() - timedelta(seconds=LEASE_SECONDS)
    with reading() as session:
        found = select(Video).where(Video.status == Status.STORING).where(col(Video.heartbeat_at) < silent)
        return list(session.exec(found))


def _waiting() -> list[str]:
    """Videos that wait for a worker though nobody may have told one."""
    quiet = now() - FORGOTTEN_AFTER
    unasked = (col(Video.status) == Status.GENERATING) & col(Video.requested_at).is_(None)
    queued = col(Video.status) == Status.QUEUED
    with reading() as session:
        return list(
            session.exec(select(Video.id).where(or_(unasked, queued)).where(col(Video.updated_at) < quiet))
        )

"""What the worker does with a video, what a person may do to one in work, and what mends every crash."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, or_, select

from videovault import logs
from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.models import Status, Video, now
from videovault.services import deletion, generation, idempotency, inbox, leftovers, lifecycle, transfer
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
    with _ending_well(video_id):
        generation.ask_generator(video_id)
        transfer.store(video_id, stopping=stopping)


def generate(video_id: str, *, enqueue: Enqueue) -> None:
    """The first half of ``produce``, for whoever waits for generators: what has its address is queued again."""
    with _ending_well(video_id):
        generation.ask_generator(video_id)
        if _status(video_id) == Status.QUEUED:
            enqueue(video_id)


def awaits_generator(video_id: str) -> bool:
    """Whether all that can be done with the video is to ask its generator."""
    return _status(video_id) == Status.GENERATING


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
            if lifecycle.move(
                session, video, Status.QUEUED, by="repair", why="its worker died", heartbeat_at=None
            ):
                log.warning("worker died, queued again", video_id=video.id)
    for video_id in _waiting():
        enqueue(video_id)
    deletion.finish_all()
    leftovers.clear()
    inbox.purge()
    idempotency.purge()


@contextmanager
def _ending_well(video_id: str) -> Iterator[None]:
    """Whatever happens inside, the video has an end, or a ``repair`` that goes on with it."""
    with logs.context(video_id=video_id):
        try:
            yield
        except SQLAlchemyError:
            raise  # the row cannot be changed now; the lease runs out and ``repair`` goes on
        except Exception:
            # A fault of ours would come again at every attempt: better a reason and a button than no end.
            log.exception("unforeseen fault")
            _give_up(video_id)


def _status(video_id: str) -> Status | None:
    with reading() as session:
        video = session.get(Video, video_id)
    return video.status if video else None


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
    due = or_(col(Video.next_ask_at).is_(None), col(Video.next_ask_at) <= now())
    unasked = (col(Video.status) == Status.GENERATING) & col(Video.requested_at).is_(None) & due
    queued = col(Video.status) == Status.QUEUED
    with reading() as session:
        return list(
            session.exec(select(Video.id).where(or_(unasked, queued)).where(col(Video.updated_at) < quiet))
        )

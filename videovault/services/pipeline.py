"""What the worker does with a video, what a person may do to one in work, and what mends every crash."""

from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from videovault import logs
from videovault.db import transaction
from videovault.errors import Conflict
from videovault.models import Status, Video
from videovault.services import (
    deletion,
    generation,
    leftovers,
    lifecycle,
    quota,
    transfer,
    turns,
    upkeep,
)
from videovault.services.access import Caller, open_video
from videovault.services.views import PROCESSING, VideoView, retry_of

Enqueue = Callable[[str], object]
log = logs.get(__name__)


def produce(video_id: str, *, stopping: Callable[[], bool]) -> str | None:
    """Do what is due: ask the generator for this video, or for another that waits, then store whose turn it is.

    A call means that there is work: which, the rows tell, so that nobody's many videos keep another's one
    waiting. Gives back a video whose turn comes now that a place is free, to be handed to a worker.
    """
    _guarded(video_id, generation.ask_generator, video_id)
    other = turns.next_unasked()
    if other:
        _guarded(other, generation.ask_generator, other)
    video = turns.claim()
    if video is None:
        return None
    _guarded(video.id, transfer.store, video, stopping=stopping)
    return turns.following()


def retry(caller: Caller, video_id: str, *, enqueue: Enqueue) -> VideoView:
    """Run a failed video again from where it broke, as its view's ``retry`` says.

    Raises VideoNotFound, Conflict, QuotaExceeded.
    """
    with transaction() as session:
        video = open_video(session, caller, video_id, alone=True).row
        if video.status != Status.FAILED:
            raise Conflict("Only a video that failed can be tried again.")
        quota.check_room(session, video.owner_id)
        if retry_of(video) == "transfer":
            _queue_again(session, video, caller)
        else:
            generation.again(session, video, caller)
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def cancel(caller: Caller, video_id: str) -> VideoView:
    """Stop a video in work; a running transfer notices within a heartbeat and leaves nothing behind."""
    with transaction() as session:
        video = open_video(session, caller, video_id, alone=True).row
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
    """The answer to every crash: go on with what a dead worker left, fail what is overdue, finish deletions.

    Safe to run at any time, on several machines at once: each change is conditional. What needs only the
    database comes first, since S3 may keep the rest waiting.
    """

    def hand_out() -> None:
        for video_id in turns.forgotten():
            enqueue(video_id)

    upkeep.each(
        turns.take_back,
        generation.fail_overdue,
        hand_out,
        deletion.finish_all,
        leftovers.clear_failed,
    )


def tidy() -> None:
    """What ``repair`` need not look for every few seconds: strays in S3, and what was to be kept for a time only."""
    upkeep.each(*upkeep.PURGES, leftovers.abort_strays)


def _guarded(video_id: str, work: Callable[..., object], *arguments: object, **options: object) -> None:
    with logs.context(video_id=video_id):
        try:
            work(*arguments, **options)
        except SQLAlchemyError:
            raise  # the row cannot be changed now; the lease runs out and ``repair`` goes on
        except Exception:
            # A fault of ours would come again at every attempt: better a reason and a button than no end.
            log.exception("unforeseen fault")
            _give_up(video_id)


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

"""What the worker does with a video, what a person may do to one in work, and what mends every crash."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from videovault import logs
from videovault.db import reading, transaction
from videovault.errors import Conflict, DiskFull
from videovault.gateways import source
from videovault.models import Event, Status, Video
from videovault.services.core import audit, fields, lifecycle, quota, rate_limits
from videovault.services.core.access import Caller, open_video
from videovault.services.core.lifecycle import Enqueue
from videovault.services.core.views import PROCESSING, Retry, SourceView, VideoView, available_retries
from videovault.services.generation import orders
from videovault.services.transfer import playable_copy, response_video, scheduler, store

RETRY_REFUSALS: dict[Retry, str] = {
    "copy": "This video needs no playable copy, or has one, or it is being made.",
    "transfer": "There is no address that this video could be fetched from.",
    "generation": "This video was stored from a link, so it cannot be generated.",
}
log = logs.get(__name__)


def produce(video_id: str, *, stopping: Callable[[], bool]) -> str | None:
    """Do what is due: ask the generator for this video, or for another that waits, then store whose turn it is.

    A call means that there is work: which, the rows tell, so that nobody's many videos keep another's one
    waiting. Gives back a video whose turn comes now that a place is free, to be handed to a worker.
    """
    with _ending_well(video_id):
        orders.send_order(video_id, response_video.store_response)
    _ask_next()
    return store_next(stopping=stopping)


def request_next(*, enqueue: Enqueue) -> None:
    """The first half of ``produce``, for whoever waits for generators: what has its address is queued again."""
    asked = _ask_next()
    if asked and _status(asked) == Status.QUEUED:
        enqueue(asked)


def awaits_generator(video_id: str) -> bool:
    """Whether all that can be done with the video is to ask its generator."""
    return _status(video_id) == Status.GENERATING


def store_next(*, stopping: Callable[[], bool]) -> str | None:
    """The second half of ``produce``: store the video whose turn it is; gives back the next one, as it does."""
    video = scheduler.claim()
    if video is None:
        return None
    with _ending_well(video.id):
        store.store(video, stopping=stopping)
    return scheduler.next_queued()


def retry(caller: Caller, video_id: str, how: Retry | None = None, *, enqueue: Enqueue) -> VideoView:
    """Run a failed video again, or the making of a playable copy, in one of the view's ``retries``, else the first.

    It counts as what it does. Raises VideoNotFound, Conflict, QuotaExceeded, RateLimited.
    """
    _check_not_too_often(caller, video_id, how)
    with transaction() as session:
        video = open_video(session, caller, video_id, "change", alone=True).row
        possible = available_retries(video)
        if not possible or (how and how not in possible):
            raise Conflict(_why_not(video, how))
        quota.check_quota(session, video.owner_id)
        _AGAIN[how or possible[0]](session, video, caller)
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def reveal_source_url(caller: Caller, video_id: str) -> SourceView:
    """Where a failed video was fetched from, as it was given. Raises VideoNotFound, Forbidden, Conflict.

    It may carry a secret: only those who may see the video's key get it, and it is never in a list or in a log.
    """
    with reading() as session:
        video = open_video(session, caller, video_id, "share").row
    if video.status != Status.FAILED or not video.source_url:
        raise Conflict("Only the address of a video that could not be fetched is shown.")
    audit.record_source_read(caller.user_id, video)
    return SourceView(video_id=video.id, video_url=video.source_url)


def fetch_from_url(caller: Caller, video_id: str, url: str, *, enqueue: Enqueue) -> VideoView:
    """Fetch a failed video from another address, or from its own one again, from where it broke.

    Raises VideoNotFound, InvalidInput, UnsafeUrl, SourceError when its host cannot be found, Conflict,
    QuotaExceeded, RateLimited.
    """
    url = fields.validate_url(url)
    rate_limits.check(rate_limits.STORES, "stores", caller.user_id)
    with reading() as session:
        attempt = open_video(session, caller, video_id, "change").row.attempt
    source.for_video(video_id, attempt, url).check(url)
    with transaction() as session:
        video = open_video(session, caller, video_id, "change", alone=True).row
        if video.status != Status.FAILED:
            raise Conflict("Only a video that failed can be fetched from another address.")
        quota.check_quota(session, video.owner_id)
        if url == video.source_url:
            _queue_again(session, video, caller)
        else:
            _queue_from(session, video, caller, url)
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def cancel(caller: Caller, video_id: str) -> VideoView:
    """Stop a video in work; a running transfer notices within a heartbeat and leaves nothing behind."""
    with transaction() as session:
        video = open_video(session, caller, video_id, "change", alone=True).row
        if video.status not in PROCESSING:
            raise Conflict("This video is not being made.")
        lifecycle.transition(
            session,
            video,
            Status.FAILED,
            actor_id=caller.user_id,
            why="cancelled",
            error_code="CANCELLED",
            error_message="This video was cancelled.",
        )
        return VideoView.of(video)


def _ask_next() -> str | None:
    """Ask the generator for a video that waits, of whoever has the fewest under way; which one it was."""
    while video_id := scheduler.next_unrequested():
        with _ending_well(video_id):
            if orders.send_order(video_id, response_video.store_response):
                return video_id
    return None


@contextmanager
def _ending_well(video_id: str) -> Iterator[None]:
    """Whatever happens inside, the video has an end, or a ``repair`` that goes on with it."""
    begun = _row(video_id)
    with logs.context(video_id=video_id):
        try:
            yield
        except (SQLAlchemyError, DiskFull):
            raise  # the row cannot be changed now; the lease runs out and ``repair`` goes on
        except Exception:
            # A fault of ours would come again at every attempt: better a reason and a button than no end.
            log.exception("unforeseen fault")
            _give_up(begun)


def _status(video_id: str) -> Status | None:
    video = _row(video_id)
    return video.status if video else None


def _row(video_id: str) -> Video | None:
    with reading() as session:
        return session.get(Video, video_id)


def _give_up(video: Video | None) -> None:
    """Fail the attempt that was begun, not one that somebody else has begun since."""
    message = "Something went wrong on our side. Try again; the log tells the admin more."
    with transaction() as session:
        if video is not None and video.status in PROCESSING:
            lifecycle.transition(
                session,
                video,
                Status.FAILED,
                why="unforeseen fault",
                error_code="INTERNAL_ERROR",
                error_message=message,
            )


def _why_not(video: Video, how: Retry | None) -> str:
    if video.status != Status.FAILED and how != "copy":
        return "Only a video that failed can be tried again."
    return RETRY_REFUSALS[how] if how else "Give this video an address that it can be fetched from."


def _check_not_too_often(caller: Caller, video_id: str, how: Retry | None) -> None:
    with reading() as session:
        possible = available_retries(open_video(session, caller, video_id, "read").row)
    again = how if how in possible else next(iter(possible), None)
    if again == "generation":
        rate_limits.check(rate_limits.GENERATIONS, "generations", caller.user_id)
    elif again:
        rate_limits.check(rate_limits.STORES, "stores", caller.user_id)


def _queue_from(session: Session, video: Video, caller: Caller, url: str) -> None:
    if video.has_derived_title:
        video.title = source.title_from_url(url)
    why, attempt = "fetched from another address", video.attempt + 1
    orders.accept_url(session, video, url, why=why, actor_id=caller.user_id, attempt=attempt)
    session.add(Event(kind="retried", actor_id=caller.user_id, video_id=video.id))


def _copy_again(session: Session, video: Video, caller: Caller) -> None:
    if playable_copy.retry(session, video):
        session.add(Event(kind="copy_retried", actor_id=caller.user_id, video_id=video.id))


def _queue_again(session: Session, video: Video, caller: Caller) -> None:
    lifecycle.transition(
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
    # That something is made anew, its change of status tells.
    session.add(Event(kind="retried", actor_id=caller.user_id, video_id=video.id))


_AGAIN: dict[Retry, Callable[[Session, Video, Caller], None]] = {
    "transfer": _queue_again,
    "generation": orders.render_again,
    "copy": _copy_again,
}

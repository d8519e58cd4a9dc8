"""The use cases of a video in work: produce it, retry it, fetch it from another URL, cancel it."""

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
    "copy": "This video needs no playable copy, already has one, or it is being made.",
    "transfer": "This video has no address to fetch it from.",
    "generation": "This video was stored from a link, so it cannot be generated.",
}
log = logs.get(__name__)


def produce(video_id: str, *, stopping: Callable[[], bool]) -> str | None:
    """Send the order of this video, or of another that waits, then store the video that is due.

    A call only means that there is work; the scheduler chooses, so that a user with many videos does not delay the
    others. Returns the video that is due next, for the caller to enqueue.
    """
    with _failing_on_errors(video_id):
        orders.send_order(video_id, response_video.store_response)
    _send_next_order()
    return store_next(stopping=stopping)


def request_next(*, enqueue: Enqueue) -> None:
    """The first half of ``produce``, for the webhook pool; a video that got its URL at once is enqueued."""
    ordered = _send_next_order()
    if ordered and _status(ordered) == Status.QUEUED:
        enqueue(ordered)


def awaits_generator(video_id: str) -> bool:
    """Whether the next step of this video is a request to its generator."""
    return _status(video_id) == Status.GENERATING


def store_next(*, stopping: Callable[[], bool]) -> str | None:
    """The second half of ``produce``: store the video that is due; returns the next one, as it does."""
    video = scheduler.claim()
    if video is None:
        return None
    with _failing_on_errors(video.id):
        store.store(video, stopping=stopping)
    return scheduler.next_queued()


def retry(caller: Caller, video_id: str, how: Retry | None = None, *, enqueue: Enqueue) -> VideoView:
    """Retry a failed video or playable copy: by ``how``, one of the view's ``retries``, or the first of them.

    It counts towards the rate limit of what it does. Raises VideoNotFound, Conflict, QuotaExceeded, RateLimited.
    """
    _check_rate_limit(caller, video_id, how)
    with transaction() as session:
        video = open_video(session, caller, video_id, "change", for_update=True).row
        available = available_retries(video)
        if not available or (how and how not in available):
            raise Conflict(_refusal(video, how))
        quota.check_quota(session, video.owner_id)
        _RETRIES[how or available[0]](session, video, caller)
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def reveal_source_url(caller: Caller, video_id: str) -> SourceView:
    """The source URL of a failed video. Raises VideoNotFound, Forbidden, Conflict.

    It may contain a secret: only those who may see the video's key may see it, and no list or log contains it.
    """
    with reading() as session:
        video = open_video(session, caller, video_id, "share").row
    if video.status != Status.FAILED or not video.source_url:
        raise Conflict("Only the address of a video that could not be fetched is shown.")
    audit.record_source_read(caller.user_id, video)
    return SourceView(video_id=video.id, video_url=video.source_url)


def fetch_from_url(caller: Caller, video_id: str, url: str, *, enqueue: Enqueue) -> VideoView:
    """Fetch a failed video from another URL, or resume the transfer from its own.

    Raises VideoNotFound, InvalidInput, UnsafeUrl, SourceError when its host cannot be found, Conflict,
    QuotaExceeded, RateLimited.
    """
    url = fields.validate_url(url)
    rate_limits.check(rate_limits.STORES, "stores", caller.user_id)
    with reading() as session:
        attempt = open_video(session, caller, video_id, "change").row.attempt
    source.for_video(video_id, attempt, url).check(url)
    with transaction() as session:
        video = open_video(session, caller, video_id, "change", for_update=True).row
        if video.status != Status.FAILED:
            raise Conflict("Only a video that failed can be fetched from another address.")
        quota.check_quota(session, video.owner_id)
        if url == video.source_url:
            _queue_again(session, video, caller)
        else:
            _queue_from_url(session, video, caller, url)
        view = VideoView.of(video)
    enqueue(video_id)
    return view


def cancel(caller: Caller, video_id: str) -> VideoView:
    """Cancel a video in work; a running transfer stops within a heartbeat and cleans up."""
    with transaction() as session:
        video = open_video(session, caller, video_id, "change", for_update=True).row
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


def _send_next_order() -> str | None:
    """Send the order of the next waiting video; returns its id."""
    while video_id := scheduler.next_unrequested():
        with _failing_on_errors(video_id):
            if orders.send_order(video_id, response_video.store_response):
                return video_id
    return None


@contextmanager
def _failing_on_errors(video_id: str) -> Iterator[None]:
    """Fail the video after an unexpected error in the block."""
    attempt_row = _row(video_id)
    with lifecycle.log_context(attempt_row):
        try:
            yield
        except (SQLAlchemyError, DiskFull):
            raise  # the row cannot be changed now; ``repair`` continues once the lease has expired
        except Exception:
            # A bug would occur again at each attempt: fail with a reason and a retry button instead of retrying forever.
            log.exception("unforeseen fault")
            _fail_attempt(attempt_row)


def _status(video_id: str) -> Status | None:
    video = _row(video_id)
    return video.status if video else None


def _row(video_id: str) -> Video | None:
    with reading() as session:
        return session.get(Video, video_id)


def _fail_attempt(video: Video | None) -> None:
    """Fail the attempt that raised, not a later one."""
    message = "Something went wrong on our side. Try again; the admin finds details in the log."
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


def _refusal(video: Video, how: Retry | None) -> str:
    if video.status != Status.FAILED and how != "copy":
        return "Only a video that failed can be tried again."
    return RETRY_REFUSALS[how] if how else "Give this video an address that it can be fetched from."


def _check_rate_limit(caller: Caller, video_id: str, how: Retry | None) -> None:
    with reading() as session:
        available = available_retries(open_video(session, caller, video_id, "read").row)
    chosen = how if how in available else next(iter(available), None)
    if chosen == "generation":
        rate_limits.check(rate_limits.GENERATIONS, "generations", caller.user_id)
    elif chosen:
        rate_limits.check(rate_limits.STORES, "stores", caller.user_id)


def _queue_from_url(session: Session, video: Video, caller: Caller, url: str) -> None:
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
    # A new render is recorded by its change of status.
    session.add(Event(kind="retried", actor_id=caller.user_id, video_id=video.id))


_RETRIES: dict[Retry, Callable[[Session, Video, Caller], None]] = {
    "transfer": _queue_again,
    "generation": orders.render_again,
    "copy": _copy_again,
}

"""The second webhook: a script becomes a video's address, now or by a callback, and is paid for once."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlmodel import Session, col, select

from videovault import logs, security
from videovault.config import settings
from videovault.db import moment, reading, transaction
from videovault.errors import Conflict, WebhookError, WebhookUnanswered
from videovault.gateways import webhooks
from videovault.models import Event, Status, User, Video, now
from videovault.services import fields, lifecycle, quota
from videovault.services.access import Caller, open_video
from videovault.services.naming import object_key, title_of
from videovault.services.views import VideoView

DEFAULT_MINUTES = 15.0
LEAST_WAIT = timedelta(minutes=30)
WAIT_FACTOR = 3  # times the estimated time

Enqueue = Callable[[str], object]
log = logs.get(__name__)


def request(caller: Caller, script: Mapping[str, str], video_id: str = "", *, enqueue: Enqueue) -> VideoView:
    """Record a wished-for video, continuing a draft if one is named, and hand it to the worker.

    A video that is in work or ready is answered as it is, so that a double click pays once.
    Raises InvalidInput, VideoNotFound, Conflict when no generator is set up, QuotaExceeded.
    """
    if not settings().video_webhook:
        raise Conflict("No video generator is set up: set VIDEO_WEBHOOK_URL.")
    clean = fields.checked(fields.SCRIPT, script)
    with transaction() as session:
        video = _named_or_new(session, caller, video_id, clean)
        fresh = _start(session, video, caller, **clean)
        view = VideoView.of(video)
    if fresh:
        enqueue(view.video_id)  # after the commit: the worker must find the row
    return view


def delivered_url(caller: Caller, video_id: str) -> str | None:
    """The generator's own address of the caller's video, if there is one yet.

    Only the answer to the owner's generate call may show it; not even an admin sees it elsewhere.
    """
    with reading() as session:
        video = open_video(session, caller, video_id).row
        return video.source_url if video.owner_id == caller.user_id else None


def again(session: Session, video: Video, caller: Caller) -> None:
    """Have a failed video rendered anew."""
    _start(session, video, caller)


def ask_generator(video_id: str) -> None:
    """The worker's part: call the webhook once for this attempt and note what it said.

    A second run, or one after a crash in the middle, finds the attempt taken and asks nothing: the
    render may be under way and is paid for, so only the callback, the deadline or a person go on.
    """
    with transaction() as session:
        video = session.get(Video, video_id)
        if video is None or video.status != Status.GENERATING or video.requested_at:
            return
        if not lifecycle.change(session, video, requested_at=now(), attempt=video.attempt + 1):
            return
        email = _owner_email(session, video)
    try:
        answer = webhooks.connected().generate(
            _payload(video, email), idempotency_key=f"{video.id}:{video.attempt}"
        )
    except WebhookUnanswered:
        log.warning("video webhook did not answer, waiting for its callback")
    except WebhookError as error:
        _fail(video, error.code, error.public_message)
    else:
        _note_answer(video, answer)


def receive_url(session: Session, video: Video, url: str, *, why: str, actor_id: str | None = None) -> bool:
    """The generator's URL is kept before anything is fetched; whether this was the first to bring it."""
    return lifecycle.move(
        session,
        video,
        Status.QUEUED,
        actor_id=actor_id,
        why=why,
        source_url=url,
        s3_key=object_key(video, url),
        deadline_at=None,
        error_code=None,
        error_message=None,
    )


def deadline(estimated_minutes: float) -> timedelta:
    """How long a video may stay processing before it counts as failed."""
    return max(LEAST_WAIT, WAIT_FACTOR * timedelta(minutes=estimated_minutes))


def fail_overdue() -> None:
    """Give up on renders whose deadline has passed, with a reason and a way on."""
    overdue = select(Video).where(Video.status == Status.GENERATING)
    with reading() as session:
        overdue = overdue.where(col(Video.deadline_at) < moment(session))
        late = list(session.exec(overdue))
    for video in late:
        _fail(video, "GENERATION_TIMED_OUT", "The generator did not deliver the video in time.")


def _named_or_new(session: Session, caller: Caller, video_id: str, clean: Mapping[str, str]) -> Video:
    if video_id:
        return open_video(session, caller, video_id).row
    video = lifecycle.new_video(caller.user_id, Status.DRAFT, title_of(clean["hook"]), **clean)
    session.add(video)
    session.flush()
    return video


def _start(session: Session, video: Video, caller: Caller, **script: str) -> bool:
    """Move to generating as a new attempt; False where the video is on its way or done already."""
    if video.status not in (Status.DRAFT, Status.FAILED):
        return False
    quota.check_room(session, video.owner_id)  # before anything is paid for
    return lifecycle.move(
        session,
        video,
        Status.GENERATING,
        actor_id=caller.user_id,
        why="requested",
        attempt=video.attempt + 1,
        requested_at=None,
        estimated_minutes=None,
        source_url=None,
        bytes_done=0,
        bytes_total=None,
        deadline_at=now() + deadline(DEFAULT_MINUTES),
        error_code=None,
        error_message=None,
        **script,
    )


def _payload(video: Video, email: str) -> dict[str, str]:
    return {
        **{name: getattr(video, name) for name in fields.SCRIPT},
        "email": email,
        "videoId": video.id,
        "userId": video.owner_id,
        "callbackUrl": settings().callback_url,
        "callbackToken": security.callback_token(video.id),
    }


def _owner_email(session: Session, video: Video) -> str:
    owner = session.get(User, video.owner_id)
    return owner.email if owner else ""


def _note_answer(video: Video, answer: webhooks.Generation) -> None:
    if answer.state == "failed":
        _fail(video, "GENERATION_FAILED", answer.message)
        return
    with transaction() as session:
        # Each changes nothing where the callback was faster than this answer.
        if answer.state == "ready":
            receive_url(session, video, answer.video_url, why="the webhook answered with a video")
        else:
            minutes = answer.estimated_minutes or DEFAULT_MINUTES
            until = now() + deadline(minutes)
            lifecycle.change(session, video, estimated_minutes=minutes, deadline_at=until)


def _fail(video: Video, code: str, message: str) -> None:
    with transaction() as session:
        failed = lifecycle.move(
            session, video, Status.FAILED, why=message, error_code=code, error_message=message
        )
        if failed:
            session.add(Event(kind="generation_failed", video_id=video.id, detail={"code": code}))

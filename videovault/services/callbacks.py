"""Reports on a video's status, by its generator, its owner or an admin; twice, late or early alike."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlmodel import Session

from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, NotSignedIn, VideoNotFound
from videovault.models import Event, Status, Video, now
from videovault.security import video_of_callback
from videovault.services import fields, generation, lifecycle
from videovault.services.access import Caller, open_video
from videovault.services.views import Metadata, VideoView

CALLBACK_LIFE_SECONDS = 7 * 24 * 3600
Enqueue = Callable[[str], object]


@dataclass(frozen=True)
class Report:
    """The body of ``PUT /api/auth/video/status``, its texts not yet checked."""

    user_id: str
    video_id: str
    status: str
    video_url: str = ""
    metadata: Metadata = field(default_factory=Metadata)
    error: str = ""


def generator(token: str, video_id: str) -> Caller:
    """The caller that a callback token stands for: the video's owner, for this video only.

    Raises NotSignedIn when the token is forged, too old or for another video, VideoNotFound when that is gone.
    """
    if video_of_callback(token, max_age_seconds=CALLBACK_LIFE_SECONDS) != video_id:
        raise NotSignedIn("This callback token is not good for this video.")
    with reading() as session:
        video = session.get(Video, video_id)
    if video is None:
        raise VideoNotFound
    return Caller(user_id=video.owner_id, email="")


def report(caller: Caller, said: Report, *, enqueue: Enqueue) -> VideoView:
    """Note what was said of the video; storing begins when it brings the address.

    Raises VideoNotFound, InvalidInput; Conflict for ``ready`` without an address or a stored object, and
    for ``failed`` of a stored video.
    """
    url = fields.checked(fields.URL, {"videoUrl": said.video_url})["videoUrl"] if said.video_url else ""
    with transaction() as session:
        video = open_video(session, caller, said.video_id, owner_id=said.user_id).row
        if video.status == Status.DRAFT:
            raise Conflict("This video is a draft: nothing has been generated yet.")
        _APPLY[_known(said.status)](session, video, said, url, caller)
        _fill_metadata(session, video, said.metadata)
        view, queued = VideoView.of(video), video.status == Status.QUEUED
    if queued:
        enqueue(view.video_id)
    return view


def _known(status: str) -> str:
    if status not in _APPLY:
        message = "The status is processing, ready or failed."
        raise InvalidInput(message, {"status": message})
    return status


def _processing(session: Session, video: Video, _said: Report, _url: str, _caller: Caller) -> None:
    if video.status == Status.GENERATING:
        wait = generation.deadline(video.estimated_minutes or generation.DEFAULT_MINUTES)
        lifecycle.change(session, video, deadline_at=now() + wait)


def _ready(session: Session, video: Video, _said: Report, url: str, caller: Caller) -> None:
    waiting = video.status == Status.GENERATING or _gave_up(video)
    if url and waiting:
        generation.receive_url(session, video, url, why="reported as ready", actor_id=caller.user_id)
    elif not url and video.status != Status.READY:
        raise Conflict("This video is not stored yet: a report of ready needs its videoUrl.")


def _failed(session: Session, video: Video, said: Report, _url: str, caller: Caller) -> None:
    if video.status == Status.READY:
        raise Conflict("This video is stored; it cannot fail any more.")
    if video.status != Status.GENERATING:
        return  # said twice, or too late to matter
    shown = "".join(char if char.isprintable() else " " for char in said.error)
    reason = " ".join(shown.split())[:500] or "The generator reported a failure."
    lifecycle.move(
        session,
        video,
        Status.FAILED,
        actor_id=caller.user_id,
        why="reported as failed",
        error_code="GENERATION_FAILED",
        error_message=reason,
    )


_APPLY: dict[str, Callable[[Session, Video, Report, str, Caller], None]] = {
    "processing": _processing,
    "ready": _ready,
    "failed": _failed,
}


def _gave_up(video: Video) -> bool:
    """Failed for want of the video: a late one, or a fresh address, is still welcome, since it is paid for."""
    return video.status == Status.FAILED and video.error_code != "CANCELLED"


def _fill_metadata(session: Session, video: Video, said: Metadata) -> None:
    """Fill only what was not measured."""
    told = said.model_dump(exclude_none=True)
    missing = {name: value for name, value in told.items() if getattr(video, name) is None}
    if missing:
        lifecycle.change(session, video, **missing)
        session.add(Event(kind="metadata", video_id=video.id, detail=missing))

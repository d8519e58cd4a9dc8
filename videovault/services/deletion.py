"""Deleting in two steps: the video leaves every list at once, then its objects go, then its row."""

from sqlmodel import Session, select

from videovault import logs
from videovault.db import reading, transaction
from videovault.errors import Conflict, StorageError
from videovault.gateways import storage
from videovault.models import Event, Status, Video
from videovault.services import lifecycle
from videovault.services.access import Caller, open_video
from videovault.services.naming import folder

MARK_TRIES = 5
log = logs.get(__name__)


def delete(caller: Caller, video_id: str, *, owner_id: str | None = None) -> None:
    """Delete a video with all its objects; ``owner_id`` is whose the request says it is.

    Raises Forbidden, VideoNotFound; StorageError when S3 failed, in which case the video is out of
    every list and ``finish_all`` goes on later.
    """
    with transaction() as session:
        video = open_video(session, caller, video_id, owner_id=owner_id).row
        _mark(session, video, caller)
    finish(video)


def finish(video: Video) -> None:
    """Remove what S3 holds of a video that is marked as deleting, then its row."""
    vault = storage.connected()
    if video.upload_id and video.s3_key:
        vault.abort_upload(video.s3_key, video.upload_id)
    vault.delete(list(vault.keys(folder(video))))
    with transaction() as session:
        row = session.get(Video, video.id)
        if row is not None and row.status == Status.DELETING:
            session.delete(row)
            session.add(Event(kind="deleted", video_id=video.id, detail={"title": video.title}))


def finish_all() -> None:
    """Go on with deletions that S3 or a crash interrupted."""
    with reading() as session:
        unfinished = list(session.exec(select(Video).where(Video.status == Status.DELETING)))
    for video in unfinished:
        try:
            finish(video)
        except StorageError as error:
            log.warning("deletion waits for S3", video_id=video.id, reason=error.public_message)


def _mark(session: Session, video: Video, caller: Caller) -> None:
    """Raises Conflict when the video keeps changing under our hands."""
    for _ in range(MARK_TRIES):
        if lifecycle.move(
            session,
            video,
            Status.DELETING,
            actor_id=caller.user_id,
            why="deleted",
            attempt=video.attempt + 1,
        ):
            return
        session.refresh(video)  # its worker was faster in this moment
    raise Conflict("This video is changing right now. Try again in a moment.")

"""Deleting in two steps: the video leaves every list at once, then its objects go, then its row."""

from sqlmodel import col, or_, select
from sqlmodel import delete as delete_where

from videovault import logs
from videovault.clock import read_db_now
from videovault.db import reading, transaction
from videovault.errors import ObjectSwapped, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import KeptVersions
from videovault.models import Event, Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller, open_video
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import folder
from videovault.services.videos import integrity

log = logs.get(__name__)


def delete(caller: Caller, video_id: str, *, owner_id: str | None = None) -> KeptVersions | None:
    """Delete a video with all its objects; ``owner_id`` is whose the request says it is.

    What a versioned bucket does not let go of, or None.

    Raises Forbidden, VideoNotFound; ObjectSwapped for anyone but admins; StorageError when S3 failed, in which case
    the video is out of every list and ``finish_all`` goes on later.
    """
    _check_object(caller, video_id, owner_id)
    with transaction(essential=True) as session:
        video = open_video(session, caller, video_id, "delete", owner_id=owner_id, alone=True).row
        lifecycle.transition(
            session,
            video,
            Status.DELETING,
            actor_id=caller.user_id,
            why="deleted",
            attempt=video.attempt + 1,
        )
        detail = {"title": video.title, "userId": video.owner_id}
        session.add(Event(kind="delete", actor_id=caller.user_id, video_id=video.id, detail=detail))
    return finish(video)


def finish(video: Video, *, let_go: bool = False) -> KeptVersions | None:
    """Remove what S3 holds of a video that is marked as deleting, then its row; what stays of earlier versions.

    The row stays as long as a worker may still be sending: that one comes by with ``let_go`` when it has stopped,
    and for one that dies before ``finish_all`` does.
    """
    vault = storage.connected()
    if video.upload_id and video.s3_key:
        vault.abort_upload(video.s3_key, video.upload_id)
    kept = vault.delete_folder(folder(video))
    with transaction(essential=True) as session:
        nobody = or_(col(Video.heartbeat_at).is_(None), lease_expired(read_db_now(session)))
        row = delete_where(Video).where(col(Video.id) == video.id, col(Video.status) == Status.DELETING)
        if session.exec(row if let_go else row.where(nobody)).rowcount:
            detail = {"title": video.title, "ownerId": video.owner_id}
            if kept:
                detail["keptVersions"] = f"{kept} {kept.why}"
            session.add(Event(kind="deleted", video_id=video.id, detail=detail))
    return kept


def resume(video_id: str) -> bool:
    """Finish a deletion that was begun; whether this is such a video, or one that is gone since. Raises StorageError."""
    with reading() as session:
        video = session.get(Video, video_id)
        begun = select(Event.id).where(Event.video_id == video_id, Event.kind == "delete").limit(1)
        is_gone = video is None and session.exec(begun).first() is not None
    if video is not None and video.status == Status.DELETING:
        finish(video)
        return True
    return is_gone


def finish_pending() -> None:
    """Go on with deletions that S3 or a crash interrupted."""
    with reading() as session:
        unfinished = list(session.exec(select(Video).where(Video.status == Status.DELETING)))
    for video in unfinished:
        try:
            finish(video)
        except StorageError as error:
            log.warning("deletion waits for S3", video_id=video.id, reason=error.public_message)
            if error.retryable:
                return  # S3 is away: each further video would only take as long to find that out


def _check_object(caller: Caller, video_id: str, owner_id: str | None) -> None:
    """What was put in the place of a video is left for an admin to look at; S3 being away keeps nobody from deleting."""
    with reading() as session:
        video = open_video(session, caller, video_id, "delete", owner_id=owner_id).row
    if video.status != Status.READY:
        return
    try:
        integrity.check(video)
    except ObjectSwapped:
        if not caller.is_admin:
            raise
    except StorageError as error:
        log.warning("not compared with its tag", video_id=video.id, reason=error.public_message)

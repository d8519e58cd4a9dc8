"""Deletion in steps: the video leaves every list at once, then its objects are deleted, then its row."""

import time
from collections.abc import Iterator

from sqlmodel import col, or_, select
from sqlmodel import delete as delete_where

from videovault import logs
from videovault.clock import read_db_now
from videovault.db import reading, transaction
from videovault.errors import ObjectSwapped, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import KeptVersions
from videovault.models import Event, Status, Video
from videovault.services.core import cursors, lifecycle
from videovault.services.core.access import Caller, open_video
from videovault.services.core.cursors import Position
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import folder
from videovault.services.videos import integrity

BATCH_SIZE = 200
ROUND_SECONDS = 20.0
log = logs.get(__name__)


def delete(caller: Caller, video_id: str, *, owner_id: str | None = None) -> KeptVersions | None:
    """Delete a video with all its objects; ``owner_id`` is the owner that the request names.

    Returns what a versioned bucket keeps. Raises Forbidden, VideoNotFound; ObjectSwapped for anyone but admins;
    StorageError if S3 failed: the video is out of every list then, and ``finish_pending`` continues later.
    """
    _check_object(caller, video_id, owner_id)
    with transaction(essential=True) as session:
        video = open_video(session, caller, video_id, "delete", owner_id=owner_id, for_update=True).row
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


def finish(video: Video, *, worker_stopped: bool = False) -> KeptVersions | None:
    """Delete the objects of a video in state deleting, then its row. Returns what a versioned bucket keeps.

    The row stays while a worker may still be uploading. The worker calls this with ``worker_stopped`` when it has
    stopped; if it dies before, ``finish_pending`` deletes the row after the lease.
    """
    vault = storage.connected()
    if video.upload_id and video.s3_key:
        vault.abort_upload(video.s3_key, video.upload_id)
    kept = vault.delete_folder(folder(video))
    with transaction(essential=True) as session:
        no_worker = or_(col(Video.heartbeat_at).is_(None), lease_expired(read_db_now(session)))
        row = delete_where(Video).where(col(Video.id) == video.id, col(Video.status) == Status.DELETING)
        if session.exec(row if worker_stopped else row.where(no_worker)).rowcount:
            detail = {"title": video.title, "ownerId": video.owner_id}
            if kept:
                detail["keptVersions"] = f"{kept} {kept.why}"
            session.add(Event(kind="deleted", video_id=video.id, detail=detail))
    return kept


def resume(video_id: str) -> bool:
    """Continue a deletion; whether the video is being deleted or was deleted. Raises StorageError."""
    with reading() as session:
        video = session.get(Video, video_id)
        begun = select(Event.id).where(Event.video_id == video_id, Event.kind == "delete").limit(1)
        is_gone = video is None and session.exec(begun).first() is not None
    if video is not None and video.status == Status.DELETING:
        finish(video)
        return True
    return is_gone


def finish_pending() -> None:
    """Continue deletions that an S3 failure or a crash interrupted, and those of closed accounts.

    Each call takes ROUND_SECONDS at most, so that thousands of videos do not delay other periodic work.
    """
    until = time.monotonic() + ROUND_SECONDS
    for video in _unfinished():
        if time.monotonic() > until:
            return
        try:
            finish(video)
        except StorageError as error:
            log.warning("deletion postponed: S3 failed", video_id=video.id, reason=error.public_message)
            if error.retryable:
                return  # S3 is down: every further video would wait for the same timeout


def _unfinished() -> Iterator[Video]:
    order = (col(Video.created_at), col(Video.id))
    position: Position | None = None
    while True:
        with reading() as session:
            videos, position = cursors.read_page(
                session, Video, [[lifecycle.in_status(Status.DELETING)]], order, position, BATCH_SIZE
            )
        yield from videos
        if position is None:
            return


def _check_object(caller: Caller, video_id: str, owner_id: str | None) -> None:
    """An object that replaced the stored one is left for an admin to inspect; an unreachable S3 blocks no deletion."""
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
        log.warning("integrity tag not checked", video_id=video.id, reason=error.public_message)

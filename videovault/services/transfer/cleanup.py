"""Cleanup in S3 after crashes, outages and cancellations: orphaned objects and unfinished uploads."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlmodel import col, delete, or_, select, update

from videovault import logs
from videovault.clock import db_now, read_db_now
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.gateways.storage import Upload
from videovault.models import CopyState, Status, UploadPart, Video
from videovault.services.core import lifecycle
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import POSTER_NAME, SIDECAR_NAME, folder, is_copy_key

# An upload is recorded in its row right after it has been started.
ORPHANED_AFTER = timedelta(minutes=15)
MOST_AT_ONCE = 100  # rows in memory
NO_UPLOAD: dict[str, Any] = dict.fromkeys(("upload_id", "upload_source", "upload_kept_until"))

log = logs.get(__name__)


def remove_leftovers(video: Video, *, keep_parts: bool = False) -> None:
    """Delete everything in S3 of a video that did not become ready; with ``keep_parts`` all but its unfinished upload.

    The caller owns the video's heartbeat, which is cleared at the end. Raises StorageError; then ``clean_up_failed``
    repeats it once the heartbeat has expired.
    """
    if not keep_parts:
        if video.upload_id:
            storage.connected().abort_upload(str(video.s3_key), video.upload_id)
        if video.s3_key:
            storage.connected().delete(_up_to(video, video.s3_key))
    with transaction(essential=True) as session:
        not_storing = update(Video).where(col(Video.id) == video.id, col(Video.status) != Status.STORING)
        if keep_parts:
            session.exec(not_storing.values(heartbeat_at=None))
        elif session.exec(not_storing.values(heartbeat_at=None, **NO_UPLOAD)).rowcount:
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == video.id))


def delete_earlier_objects(video: Video) -> None:
    """Delete the objects from the video's earlier source URLs. Raises StorageError.

    Keys start with a timestamp: objects of later attempts are never touched.
    """
    current = str(video.s3_key)
    earlier = [key for key in storage.connected().keys(folder(video)) if key < current or is_copy_key(key)]
    storage.connected().delete(earlier)


def lock_for_cleanup(video: Video) -> bool:
    """Take the heartbeat of a video that no worker stores; False where another worker has continued with it."""
    with transaction(essential=True) as session:
        return lifecycle.update_if_unchanged(session, video, heartbeat_at=db_now())


def companion_keys(video: Video) -> list[str]:
    """The keys of poster, sidecar and playable copy."""
    keys = [folder(video) + name for name in (POSTER_NAME, SIDECAR_NAME)]
    return [*keys, video.copy_key] if video.copy_key else keys


def clean_up_failed() -> None:
    """Clean up failed videos whose worker could not, or whose parts were kept long enough for a retry."""
    with reading() as session:
        at = read_db_now(session)
        kept_until = col(Video.upload_kept_until)
        # The concatenation keeps the database from the index of all failed videos.
        is_failed = col(Video.status).concat("") == Status.FAILED
        not_kept = or_(kept_until.is_(None), kept_until < at)
        aborted = select(Video).where(col(Video.upload_id).is_not(None), is_failed, not_kept)
        left = select(Video).where(Video.status == Status.FAILED, lease_expired(at))
        found = [session.exec(uncleaned.limit(MOST_AT_ONCE)).all() for uncleaned in (aborted, left)]
    for video in {video.id: video for video in chain(*found)}.values():
        if lock_for_cleanup(video):
            keeps = video.upload_kept_until
            remove_leftovers(video, keep_parts=keeps is not None and keeps >= at)


def abort_orphaned_uploads(older_than: timedelta = ORPHANED_AFTER) -> None:
    """Abort old uploads of videos that no row refers to, as a crash right after their start leaves them."""
    for upload in orphaned_uploads(older_than):
        log.warning("orphaned upload aborted", key=upload.key)
        storage.connected().abort_upload(upload.key, upload.upload_id)


def orphaned_uploads(older_than: timedelta = ORPHANED_AFTER) -> Iterator[Upload]:
    """Old uploads of videos that no row refers to."""
    with reading() as session:
        before = read_db_now(session) - older_than
    for upload in storage.connected().uploads("videos/"):
        if upload.begun_at < before and not is_referenced(upload):
            yield upload


def _up_to(video: Video, key: str) -> list[str]:
    """The keys of the object, of those from earlier source URLs, and of its companions."""
    objects = [each for each in storage.connected().keys(folder(video)) if each <= key or is_copy_key(each)]
    return [*objects, *companion_keys(video)]


def is_referenced(upload: Upload) -> bool:
    """Whether a row refers to it: of a video being stored, or of one whose playable copy is being made.

    A video in the response to its order is stored while its status is still ``generating``.
    """
    video_id = upload.key.removeprefix("videos/").split("/")[1:2]  # the row that could refer to it
    with reading() as session:
        is_in_work = (col(Video.status) == Status.GENERATING) & ~lease_expired(read_db_now(session))
        in_response = (col(Video.s3_key) == upload.key) & is_in_work
        copying = (col(Video.copy_key) == upload.key) & (col(Video.copy_state) == CopyState.MAKING)
        referring = select(Video.id).where(
            col(Video.id).in_(video_id),
            or_(col(Video.upload_id) == upload.upload_id, copying, in_response),
        )
        return session.exec(referring).first() is not None

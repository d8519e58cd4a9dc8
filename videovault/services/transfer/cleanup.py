"""What crashes, outages and cancelling leave in S3: objects and unfinished uploads that no video goes on with."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlmodel import col, delete, or_, select, update

from videovault import logs
from videovault.db import db_now, read_db_now, reading, transaction
from videovault.gateways import storage
from videovault.gateways.storage import Upload
from videovault.models import CopyState, Status, UploadPart, Video
from videovault.services.core import lifecycle
from videovault.services.core.lifecycle import lease_expired
from videovault.services.core.naming import POSTER_NAME, SIDECAR_NAME, folder, is_copy_key

# An upload is written into its row right after it was begun.
ORPHANED_AFTER = timedelta(minutes=15)
NO_UPLOAD: dict[str, Any] = dict.fromkeys(("upload_id", "upload_source", "upload_kept_until"))

log = logs.get(__name__)


def remove_leftovers(video: Video, *, keep_parts: bool = False) -> None:
    """Leave nothing in S3 of a video that did not become ready but, with ``keep_parts``, its unfinished upload.

    For whoever holds the video by its heartbeat, which is let go at the end. Raises StorageError; then
    ``clear_failed`` does it once the heartbeat is old.
    """
    if not keep_parts:
        if video.upload_id:
            storage.connected().abort_upload(str(video.s3_key), video.upload_id)
        if video.s3_key:
            storage.connected().delete(_up_to(video, video.s3_key))
    with transaction(essential=True) as session:
        held = update(Video).where(col(Video.id) == video.id, col(Video.status) != Status.STORING)
        if keep_parts:
            session.exec(held.values(heartbeat_at=None))
        elif session.exec(held.values(heartbeat_at=None, **NO_UPLOAD)).rowcount:
            session.exec(delete(UploadPart).where(col(UploadPart.video_id) == video.id))


def delete_earlier_objects(video: Video) -> None:
    """Delete what lies there from addresses that the video had before. Raises StorageError.

    Keys begin with their time: what was begun after this worker's own turn is never touched.
    """
    own = str(video.s3_key)
    earlier = [key for key in storage.connected().keys(folder(video)) if key < own or is_copy_key(key)]
    storage.connected().delete(earlier)


def lock_for_cleanup(video: Video) -> bool:
    """Take a video that nobody stores as one's own to clear up; False where somebody else goes on with it."""
    with transaction(essential=True) as session:
        return lifecycle.update_if_unchanged(session, video, heartbeat_at=db_now())


def companion_keys(video: Video) -> list[str]:
    """The keys of what is kept beside a video's object."""
    named = [folder(video) + name for name in (POSTER_NAME, SIDECAR_NAME)]
    return [*named, video.copy_key] if video.copy_key else named


def clean_up_failed() -> None:
    """What failed videos left whose worker could not clear up, or which nobody has tried again for too long."""
    with reading() as session:
        at = read_db_now(session)
        kept = col(Video.upload_kept_until)
        aborted = col(Video.upload_id).is_not(None) & or_(kept.is_(None), kept < at)
        left = select(Video).where(Video.status == Status.FAILED).where(or_(aborted, lease_expired(at)))
        videos = list(session.exec(left))
    for video in videos:
        if lock_for_cleanup(video):
            keeps = video.upload_kept_until
            remove_leftovers(video, keep_parts=keeps is not None and keeps >= at)


def abort_orphaned_uploads(older_than: timedelta = ORPHANED_AFTER) -> None:
    """Uploads of videos that are in S3 but in no row, as a crash at their very beginning leaves them."""
    for upload in orphaned_uploads(older_than):
        log.warning("stray upload aborted", key=upload.key)
        storage.connected().abort_upload(upload.key, upload.upload_id)


def orphaned_uploads(older_than: timedelta = ORPHANED_AFTER) -> Iterator[Upload]:
    """Old uploads of videos that no row knows of."""
    with reading() as session:
        before = read_db_now(session) - older_than
    for upload in storage.connected().uploads("videos/"):
        if upload.begun_at < before and not is_referenced(upload):
            yield upload


def _up_to(video: Video, key: str) -> list[str]:
    """The keys of the object, of those from earlier addresses, and of what is kept beside it."""
    lying = [each for each in storage.connected().keys(folder(video)) if each <= key or is_copy_key(each)]
    return [*lying, *companion_keys(video)]


def is_referenced(upload: Upload) -> bool:
    """Whether a row goes on with it: that of a video being stored, or of one whose playable copy is being made.

    A video that came as the answer to its order is stored while its row still waits for the generator.
    """
    with reading() as session:
        is_held = (col(Video.status) == Status.GENERATING) & ~lease_expired(read_db_now(session))
        answering = (col(Video.s3_key) == upload.key) & is_held
        copying = (col(Video.copy_key) == upload.key) & (col(Video.copy_state) == CopyState.MAKING)
        mine = select(Video.id).where(or_(col(Video.upload_id) == upload.upload_id, copying, answering))
        return session.exec(mine).first() is not None

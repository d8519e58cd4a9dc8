"""What a restored database must not go on believing: that workers hold its videos, that notices are still to be sent.

Whatever happened after the backup was taken is unknown here, so nothing is done a second time that costs money or
reaches people outside.
"""

import hashlib
from dataclasses import dataclass

from sqlmodel import Session, col, delete, select, update

from videovault import models
from videovault.db import db_now, read_db_now, transaction
from videovault.errors import StorageError
from videovault.gateways import storage
from videovault.gateways.storage import ObjectInfo
from videovault.models import (
    CopyState,
    Event,
    IdempotencyKey,
    OutboxMessage,
    Status,
    UploadPart,
    Video,
    Worker,
    utcnow,
)
from videovault.services.core import audit, lifecycle
from videovault.services.generation.orders import MIN_RENDER_TIMEOUT
from videovault.services.maintenance.backup.catalogue import Catalogue
from videovault.services.maintenance.backup.folder import Manifest
from videovault.services.maintenance.reconcile.folders import VideoWithOwner, ready_videos
from videovault.services.maintenance.reconcile.report import Kind
from videovault.services.maintenance.reconcile.runner import FAILURE_REASONS
from videovault.services.transfer import playable_copy, response_video
from videovault.services.transfer.cleanup import NO_UPLOAD
from videovault.services.videos import integrity
from videovault.services.videos.integrity import TagStatus
from videovault.services.videos.sidecar import Sidecar

WHY = "restored from a backup"
NOT_ORDERED = (
    "A backup was restored that was taken before this video was ordered. Whether the generator was asked afterwards is "
    "not known, so it is not asked again by itself."
)
NOT_SENT = "Not sent: a backup was restored, and the notice may have been sent after it was taken."


@dataclass
class Adjusted:
    """Videos and other rows that were changed, by what became of them."""

    queued: int = 0
    never_requested: int = 0
    awaited: int = 0
    lost: int = 0
    retagged: int = 0
    notices: int = 0
    sessions: int = 0


def adjust_restored_rows(made: Manifest, catalogue: Catalogue) -> Adjusted:
    """Bring a restored database in accord with its new surroundings, before any worker sees it. Raises StorageError."""
    done = Adjusted()
    with transaction() as session:
        done.notices = session.exec(
            update(OutboxMessage)
            .where(col(OutboxMessage.next_attempt_at).is_not(None))
            .values(next_attempt_at=None, last_error=NOT_SENT)
        ).rowcount
        done.sessions = session.exec(delete(models.Session)).rowcount
        session.exec(delete(Worker))
        session.exec(delete(UploadPart))
        running = col(IdempotencyKey.status_code).is_(None)
        session.exec(update(IdempotencyKey).where(running).values(lease_until=utcnow()))
        _settle_videos(session, done)
    _settle_ready(done, catalogue)
    with transaction() as session:
        detail = {"takenAt": made.taken_at.isoformat(), **vars(done)}
        session.add(Event(kind="restored", detail=detail))
    return done


def _settle_videos(session: Session, done: Adjusted) -> None:
    """Their uploads and workers are elsewhere: what was being stored begins again at its source."""
    unfinished = col(Video.status) != Status.READY
    free = {**response_video.RELEASED_COLUMNS, **NO_UPLOAD}
    session.exec(update(Video).where(unfinished).values(**free))
    soon = read_db_now(session) + MIN_RENDER_TIMEOUT
    for video in session.exec(select(Video).where(Video.status == Status.STORING)):
        done.queued += lifecycle.transition(
            session, video, Status.QUEUED, by="repair", why=WHY, bytes_done=0, bytes_total=None
        )
    for video in session.exec(select(Video).where(Video.status == Status.GENERATING)):
        if video.requested_at is None:
            failed = {"error_code": "RESTORED", "error_message": NOT_ORDERED, "next_ask_at": None}
            done.never_requested += lifecycle.transition(
                session, video, Status.FAILED, by="repair", why=NOT_ORDERED, **failed
            )
        else:
            until = max(video.deadline_at or soon, soon)
            done.awaited += lifecycle.update_if_unchanged(session, video, deadline_at=until)


def _settle_ready(done: Adjusted, catalogue: Catalogue) -> None:
    vault = storage.connected()
    for owned in ready_videos():
        video = owned.video
        info = vault.info(str(video.s3_key))
        kind = _wrong(video, info)
        if kind is not None or info is None:
            done.lost += _mark_failed(video, kind or Kind.MISSING_OBJECT)
            continue
        is_renamed, video.etag = info.etag != video.etag, info.etag
        if is_renamed or not _has_sidecar(catalogue, owned):
            with transaction() as session:
                lifecycle.update_if_unchanged(session, video, etag=info.etag, sidecar_due_at=db_now())
        _settle_copy(video)
        if integrity.tag_status(video, info) != TagStatus.RIGHT:
            done.retagged += _tag(video)


def _settle_copy(video: Video) -> None:
    """Its ETag is this store's own; a copy that did not come along is made again."""
    if video.copy_state != CopyState.READY or not video.copy_key:
        return
    info = storage.connected().info(video.copy_key)
    if info is None or info.size != video.copy_size:
        playable_copy.remake(video)
    elif info.etag != video.copy_etag:
        with transaction() as session:
            lifecycle.update_if_unchanged(session, video, copy_etag=info.etag)


def _has_sidecar(catalogue: Catalogue, owned: VideoWithOwner) -> bool:
    """Whether the restored one says what the row does: it may be of a moment after the database's snapshot."""
    wanted = Sidecar.of(owned.video, owned.owner)
    found = catalogue.find(wanted.key)
    return found is not None and found.sha256 == hashlib.sha256(wanted.content()).hexdigest()


def _wrong(video: Video, info: ObjectInfo | None) -> Kind | None:
    if info is None:
        return Kind.MISSING_OBJECT
    if info.size != video.size:
        return Kind.WRONG_SIZE
    if info.crc32 is not None and video.crc32 and f"{info.crc32:08x}" != video.crc32:
        return Kind.WRONG_CRC32
    return None


def _mark_failed(video: Video, kind: Kind) -> bool:
    code, message = FAILURE_REASONS[kind]
    with transaction() as session:
        return lifecycle.transition(
            session, video, Status.FAILED, by="repair", why=WHY, error_code=code, error_message=message
        )


def _tag(video: Video) -> bool:
    """The bytes were proven, but the store before kept no tags, or the key was replaced after the backup."""
    with transaction() as session:
        session.add(Event(kind=audit.REBUILT, video_id=video.id))
    try:
        return integrity.tag(video)
    except StorageError:
        return False

"""Adjust the rows of a restored database: no worker holds them, and no notice is still to be sent.

Events after the backup are unknown, so nothing is repeated that costs money or reaches people outside.
"""

import hashlib
from dataclasses import dataclass

from sqlmodel import Session, col, delete, select, update

from videovault import models
from videovault.clock import db_now, read_db_now, utcnow
from videovault.db import transaction
from videovault.errors import StorageError
from videovault.gateways import storage
from videovault.models import (
    CopyState,
    Event,
    IdempotencyKey,
    OutboxMessage,
    Status,
    UploadPart,
    Video,
    Worker,
)
from videovault.services.core import audit, lifecycle
from videovault.services.generation.orders import MIN_RENDER_TIMEOUT
from videovault.services.maintenance.backup.backup_folder import Manifest
from videovault.services.maintenance.backup.catalogue import Catalogue
from videovault.services.maintenance.reconcile.compare import object_mismatch
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
    "A backup from before this video was ordered was restored. Whether the order was sent afterwards is unknown, so "
    "it is not sent automatically."
)
NOT_SENT = "Not sent: a backup was restored, and the notice may have been sent after it was taken."


@dataclass
class Adjusted:
    """Numbers of adjusted rows. The names are stored in an event."""

    queued: int = 0
    not_ordered: int = 0
    awaited: int = 0
    lost: int = 0
    retagged: int = 0
    notices: int = 0
    sessions: int = 0


def adjust_restored_rows(manifest: Manifest, catalogue: Catalogue) -> Adjusted:
    """Adjust a restored database to its new surroundings before any worker uses it. Raises StorageError."""
    adjusted = Adjusted()
    with transaction() as session:
        adjusted.notices = session.exec(
            update(OutboxMessage)
            .where(col(OutboxMessage.next_attempt_at).is_not(None))
            .values(next_attempt_at=None, last_error=NOT_SENT)
        ).rowcount
        adjusted.sessions = session.exec(delete(models.Session)).rowcount
        session.exec(delete(Worker))
        session.exec(delete(UploadPart))
        running = col(IdempotencyKey.status_code).is_(None)
        session.exec(update(IdempotencyKey).where(running).values(lease_until=utcnow()))
        _adjust_unfinished(session, adjusted)
    _adjust_ready(adjusted, catalogue)
    with transaction() as session:
        detail = {"takenAt": manifest.taken_at.isoformat(), **vars(adjusted)}
        session.add(Event(kind="restored", detail=detail))
    return adjusted


def _adjust_unfinished(session: Session, adjusted: Adjusted) -> None:
    """Uploads and workers are elsewhere, so an interrupted transfer restarts from its source."""
    unfinished = col(Video.status) != Status.READY
    released = {**response_video.RELEASED_COLUMNS, **NO_UPLOAD}
    session.exec(update(Video).where(unfinished).values(**released))
    earliest_deadline = read_db_now(session) + MIN_RENDER_TIMEOUT
    for video in session.exec(select(Video).where(Video.status == Status.STORING)):
        adjusted.queued += lifecycle.transition(
            session, video, Status.QUEUED, by="repair", why=WHY, bytes_done=0, bytes_total=None
        )
    for video in session.exec(select(Video).where(Video.status == Status.GENERATING)):
        if video.requested_at is None:
            failed = {"error_code": "RESTORED", "error_message": NOT_ORDERED, "next_ask_at": None}
            adjusted.not_ordered += lifecycle.transition(
                session, video, Status.FAILED, by="repair", why=NOT_ORDERED, **failed
            )
        else:
            until = max(video.deadline_at or earliest_deadline, earliest_deadline)
            adjusted.awaited += lifecycle.update_if_unchanged(session, video, deadline_at=until)


def _adjust_ready(adjusted: Adjusted, catalogue: Catalogue) -> None:
    vault = storage.connected()
    for owned in ready_videos():
        video = owned.video
        info = vault.info(str(video.s3_key))
        kind = object_mismatch(video, info)
        if kind is not None or info is None:
            adjusted.lost += _mark_failed(video, kind or Kind.MISSING_OBJECT)
            continue
        is_renamed, video.etag = info.etag != video.etag, info.etag
        if is_renamed or not _has_sidecar(catalogue, owned):
            with transaction() as session:
                lifecycle.update_if_unchanged(session, video, etag=info.etag, sidecar_due_at=db_now())
        _adjust_copy(video)
        if integrity.tag_status(video, info) != TagStatus.RIGHT:
            adjusted.retagged += _tag(video)


def _adjust_copy(video: Video) -> None:
    """ETags differ between stores. A missing copy is made again."""
    if video.copy_state != CopyState.READY or not video.copy_key:
        return
    info = storage.connected().info(video.copy_key)
    if info is None or info.size != video.copy_size:
        playable_copy.remake(video)
    elif info.etag != video.copy_etag:
        with transaction() as session:
            lifecycle.update_if_unchanged(session, video, copy_etag=info.etag)


def _has_sidecar(catalogue: Catalogue, owned: VideoWithOwner) -> bool:
    """Whether the restored sidecar matches the row. It may be newer than the database's snapshot."""
    wanted = Sidecar.of(owned.video, owned.owner)
    found = catalogue.find(wanted.key)
    return found is not None and found.sha256 == hashlib.sha256(wanted.content()).hexdigest()


def _mark_failed(video: Video, kind: Kind) -> bool:
    code, message = FAILURE_REASONS[kind]
    with transaction() as session:
        return lifecycle.transition(
            session, video, Status.FAILED, by="repair", why=WHY, error_code=code, error_message=message
        )


def _tag(video: Video) -> bool:
    """The bytes are verified, but the previous store kept no tags, or the key was replaced after the backup."""
    with transaction() as session:
        session.add(Event(kind=audit.REBUILT, video_id=video.id))
    try:
        return integrity.tag(video)
    except StorageError:
        return False

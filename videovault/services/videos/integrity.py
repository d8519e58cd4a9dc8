"""Object integrity: a tag derived from the video's secret key shows whether S3 still holds the stored object."""

from enum import StrEnum

from sqlmodel import Session, col, select

from videovault import logs, security
from videovault.clock import db_now
from videovault.db import AUDIT_LOCK_SECONDS, reading, transaction, try_write
from videovault.errors import ObjectSwapped
from videovault.gateways import storage
from videovault.gateways.container import CONTENT_TYPES
from videovault.gateways.storage import Description, ObjectInfo
from videovault.models import CopyState, Event, Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.audit import INTEGRITY_KINDS, KEY_REPLACED, REBUILT, SWAPPED, TAGGED
from videovault.services.core.naming import content_disposition
from videovault.services.videos import sidecar

TAG = "videovault-tag"
TRIES = 3
log = logs.get(__name__)


class TagStatus(StrEnum):
    """The status of an object's tag. ``UNKNOWN``: the key is newer than the tag, but size and checksum are right."""

    RIGHT = "right"
    UNKNOWN = "unknown"
    WRONG = "wrong"


def tag_status(video: Video, info: ObjectInfo | None) -> TagStatus:
    """The tag status of a ready video's object; RIGHT if the store keeps no metadata or the object is gone."""
    if info is None or not storage.connected().keeps_metadata:
        return TagStatus.RIGHT
    secret_key = security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if secret_key and info.metadata.get(TAG) == security.integrity_tag(secret_key, str(video.s3_key)):
        return TagStatus.RIGHT
    is_older = secret_key is not None and _is_whole(video, info) and _is_unknown(video.id)
    return TagStatus.UNKNOWN if is_older else TagStatus.WRONG


def check(video: Video) -> None:
    """Raises ObjectSwapped, and records an event, if S3 holds another object than the stored one."""
    if _is_another(video, storage.connected().info(str(video.s3_key))):
        try_write(SWAPPED, lambda session: record_swapped(session, video), lock_timeout=AUDIT_LOCK_SECONDS)
        raise ObjectSwapped


def record_swapped(session: Session, video: Video) -> None:
    """Record an event for admins, once until the object is tagged again."""
    log.error("the stored object was replaced", video_id=video.id, key=video.s3_key)
    if _last(session, video.id) != SWAPPED:
        session.add(Event(kind=SWAPPED, video_id=video.id, detail={"title": video.title}))


def tag(video: Video) -> bool:
    """Tag the object with the video's current key, if it is still the stored one; whether it is tagged.

    Raises StorageError, also for an object that is too large to be copied.
    """
    for _ in range(TRIES):
        if _tagged(video):
            return True
        with reading() as session:
            row = session.get(Video, video.id)
        if row is None or row.status != Status.READY or row.sealed_key == video.sealed_key:
            return False
        video = row  # its key was replaced meanwhile, and our tag may have been written last
    return False


def is_copy_intact(video: Video) -> bool:
    """Whether S3 still holds the playable copy as it was made. Raises StorageError."""
    if video.copy_state != CopyState.READY or not video.copy_key:
        return False
    info = storage.connected().info(video.copy_key)
    return info is not None and (info.size, info.etag) == (video.copy_size, video.copy_etag)


def _tagged(video: Video) -> bool:
    vault, key = storage.connected(), str(video.s3_key)
    secret_key = security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if secret_key is None or not _is_whole(video, vault.info(key)):
        return False
    container = video.format if video.format in CONTENT_TYPES else "mp4"
    described = Description(
        CONTENT_TYPES[container],
        content_disposition(video.title, container),
        {TAG: security.integrity_tag(secret_key, key)},
    )
    vault.describe(key, described)
    info = vault.info(key)
    return info is not None and _is_whole(video, info) and _note_tagged(video, info)


def _is_another(video: Video, info: ObjectInfo | None) -> bool:
    """Compares the tag, or size and ETag if the store keeps no tags."""
    if storage.connected().keeps_metadata:
        return tag_status(video, info) == TagStatus.WRONG
    return info is not None and (info.size, info.etag) != (video.size, video.etag or info.etag)


def _is_unknown(video_id: str) -> bool:
    with reading() as session:
        return _last(session, video_id) in (REBUILT, KEY_REPLACED)


def _last(session: Session, video_id: str) -> str | None:
    """The latest event about the tag since the video was stored."""
    events = select(Event.kind).where(Event.video_id == video_id, col(Event.kind).in_(INTEGRITY_KINDS))
    return session.exec(events.order_by(col(Event.id).desc())).first()


def _is_whole(video: Video, info: ObjectInfo | None) -> bool:
    if info is None or info.size != video.size:
        return False
    return info.crc32 is None or not video.crc32 or f"{info.crc32:08x}" == video.crc32


def _note_tagged(video: Video, info: ObjectInfo) -> bool:
    """Record the tagging. If the video was deleted meanwhile, delete the object that tagging wrote again."""
    with transaction() as session:
        same_key = col(Video.sealed_key) == video.sealed_key
        noted = lifecycle.update_if_unchanged(
            session, video, same_key, etag=info.etag, sidecar_due_at=db_now()
        )
        if noted:
            session.add(Event(kind=TAGGED, video_id=video.id))
        row = session.get(Video, video.id)
    if row is None or row.status == Status.DELETING:
        storage.connected().delete([str(video.s3_key)])
    if info.etag != video.etag:
        sidecar.write(video.id)
    return noted

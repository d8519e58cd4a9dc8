"""The ownership tags of rebuilt videos: unknown until their objects are described anew."""

from sqlmodel import col, select

from videovault import security
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.gateways.storage import Description, ObjectInfo
from videovault.models import Event, Status, Video
from videovault.services import lifecycle, sidecar
from videovault.services.engine.uploads import CONTENT_TYPES
from videovault.services.naming import content_disposition
from videovault.services.transfer import TAG

REBUILT, TAGGED = "rebuilt", "tagged"


def is_unknown(video_id: str) -> bool:
    """Whether a video was rebuilt with a new secret key that its object has not been tagged by."""
    told = select(Event.kind).where(Event.video_id == video_id, col(Event.kind).in_((REBUILT, TAGGED)))
    with reading() as session:
        return session.exec(told.order_by(col(Event.id).desc())).first() == REBUILT


def tag(video: Video) -> bool:
    """Tag the object of a rebuilt video, if it is still the one that was rebuilt; whether it is tagged.

    Raises StorageError, for an object that is too large to be copied too.
    """
    vault, key = storage.connected(), str(video.s3_key)
    secret_key = security.open_sealed(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if secret_key is None or not _is_whole(video, vault.info(key)):
        return False
    container = video.format if video.format in CONTENT_TYPES else "mp4"
    described = Description(
        CONTENT_TYPES[container],
        content_disposition(video.title, container),
        {TAG: security.ownership_tag(secret_key, key)},
    )
    vault.describe(key, described)
    info = vault.info(key)
    return info is not None and _is_whole(video, info) and _note(video, info)


def _is_whole(video: Video, info: ObjectInfo | None) -> bool:
    if info is None or info.size != video.size:
        return False
    return info.crc32 is None or not video.crc32 or f"{info.crc32:08x}" == video.crc32


def _note(video: Video, info: ObjectInfo) -> bool:
    """Remember the tagging; a video that was deleted meanwhile leaves no object behind."""
    with transaction() as session:
        noted = lifecycle.change(session, video, etag=info.etag)
        if noted:
            session.add(Event(kind=TAGGED, video_id=video.id))
        row = session.get(Video, video.id)
    if row is None or row.status == Status.DELETING:
        storage.connected().delete([str(video.s3_key)])
    if info.etag != video.etag:
        sidecar.write(video.id)
    return noted

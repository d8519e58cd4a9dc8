"""Our engine as the worker runs it, behind the one function that is measured."""

from functools import lru_cache
from uuid import uuid4

from videovault import db
from videovault.gateways import source, storage
from videovault.models import Status, User, Video
from videovault.services.parts import Parts


def transfer(url: str, key: str) -> None:
    """Bring the video at ``url`` into the bucket as ``key``."""
    with source.connected().open(url) as stream:
        parts = Parts(
            storage.connected(),
            _row(key),
            key,
            content_type="video/mp4",
            metadata={},
            note=lambda **_: None,
            progress=lambda *_: None,
        )
        size = parts.send(stream.readinto, stream.info.total)
    found = storage.connected().info(key)
    if found is None or found.size != size:
        raise LookupError("S3 does not hold the whole video")


def _row(key: str) -> str:
    """The row that the parts belong to; its id."""
    video = Video(
        id=uuid4().hex, owner_id=_owner(), title=key, status=Status.STORING, s3_key=key, sealed_key=""
    )
    with db.transaction() as session:
        session.add(video)
    return video.id


@lru_cache(maxsize=1)
def _owner() -> str:
    db.migrate()
    user = User(email=f"{uuid4().hex}@example.com", password_hash="")
    with db.transaction() as session:
        session.add(user)
    return user.id

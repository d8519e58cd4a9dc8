"""Stored videos for backup and reconcile."""

import zlib

import pytest

from tests.services.conftest import SCRIPT, Row
from tests.support.postgres import _created
from videovault import security
from videovault.db import transaction
from videovault.gateways import storage
from videovault.gateways.storage import Description
from videovault.models import Status, Video
from videovault.services.core import lifecycle
from videovault.services.core.naming import POSTER_NAME, folder
from videovault.services.videos import sidecar
from videovault.services.videos.integrity import TAG


@pytest.fixture
def migrated_postgres_url(postgres_server: str, migrated_postgres: str) -> str:
    """DATABASE_URL of a PostgreSQL database with all tables and nothing in them."""
    return _created(postgres_server, migrated_postgres)


def put_video(owner_id: str, title: str, film: bytes, row: Row, **columns: object) -> Video:
    """Create a stored video as a worker leaves it; returns its row."""
    vault = storage.connected()
    video = lifecycle.new_video(
        owner_id,
        Status.READY,
        title,
        **{"size": len(film), "crc32": f"{zlib.crc32(film):08x}", "format": "mp4", **SCRIPT, **columns},
    )
    video.s3_key = f"{folder(video)}1703123456789_launch.mp4"
    video.poster_key = folder(video) + POSTER_NAME
    secret_key = security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    tag = {TAG: security.integrity_tag(str(secret_key), video.s3_key)}
    vault.put(
        video.s3_key, film, Description("video/mp4", 'attachment; filename="a.mp4"', tag), zlib.crc32(film)
    )
    vault.put(video.poster_key, b"a picture", Description("image/webp"))
    info = vault.info(video.s3_key)
    assert info
    video.etag = info.etag
    with transaction() as session:
        session.add(video)
    assert sidecar.write(video.id)
    return row(video.id)

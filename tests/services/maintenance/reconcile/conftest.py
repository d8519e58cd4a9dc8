"""Stored videos on both kinds of S3: one that keeps metadata, and the embedded one that does not."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from tests.services.conftest import SCRIPT, Row
from tests.support.embedded_s3 import EmbeddedS3, running_s3
from tests.support.installation import Configure
from videovault import security
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage
from videovault.models import Event, Status, User, Video
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.core.naming import POSTER_NAME, folder
from videovault.services.videos import sidecar
from videovault.services.videos.integrity import TAG

FILM = b"moving pictures" * 100
MEASURED = {
    "size": len(FILM),
    "crc32": f"{zlib.crc32(FILM):08x}",
    "duration": 2.5,
    "width": 160,
    "height": 90,
    "format": "mp4",
    "source_url": "https://generator.example/a.mp4?signature=s3same",
}
Store = Callable[..., Video]
Snapshot = Callable[[], tuple[object, object, object]]


@pytest.fixture(scope="session")
def emptied_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedS3]:
    """An embedded S3 without objects of other tests."""
    with running_s3(tmp_path_factory.mktemp("emptied-s3")) as server:
        yield server


@pytest.fixture
def embedded(installation: Path, configure: Configure, emptied_s3: EmbeddedS3) -> Storage:
    configure(
        DATA_DIR=emptied_s3.data_dir,
        DATABASE_URL=f"sqlite:///{installation / 'var' / 'videovault.db'}",
        QUEUE_URL=f"sqlite:///{installation / 'var' / 'queue.db'}",
        S3_PUBLIC_ENDPOINT_URL=emptied_s3.endpoint,
    )
    vault = storage.connected()
    vault.delete(list(vault.keys()))
    for left in list(vault.uploads()):
        vault.abort_upload(left.key, left.upload_id)
    return vault


@pytest.fixture(params=["moto_s3", "embedded"])
def vault(request: pytest.FixtureRequest) -> Storage:
    found: Storage = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(vault: Storage, anna: Caller, row: Row) -> Store:
    """Create a stored video as a worker leaves it, without fetching it from a source; returns its row."""

    def make(title: str = "Launch", caller: Caller = anna) -> Video:
        video = lifecycle.new_video(caller.user_id, Status.READY, title, **MEASURED, **SCRIPT)
        video.s3_key = f"{folder(video)}1703123456789_launch.mp4"
        video.poster_key = folder(video) + POSTER_NAME
        secret_key = security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
        tag = {TAG: security.integrity_tag(str(secret_key), video.s3_key)}
        vault.put(video.s3_key, FILM, Description("video/mp4", metadata=tag), zlib.crc32(FILM))
        vault.put(video.poster_key, b"a picture", Description("image/webp"))
        info = vault.info(video.s3_key)
        assert info
        video.etag = info.etag
        with transaction() as session:
            session.add(video)
        assert sidecar.write(video.id)
        return row(video.id)

    return make


@pytest.fixture
def snapshot() -> Snapshot:
    """Everything in bucket and database that a dry run must not change."""

    def take() -> tuple[object, object, object]:
        with reading() as session:
            rows = [
                [row.model_dump() for row in session.exec(select(table)).all()]
                for table in (User, Video, Event)
            ]
        vault = storage.connected()
        return rows, list(vault.objects()), [each.upload_id for each in vault.uploads()]

    return take


def alter(video_id: str, **columns: object) -> None:
    """Set columns directly in the database."""
    with transaction() as session:
        row = session.get(Video, video_id)
        assert row
        for name, value in columns.items():
            setattr(row, name, value)


def forget_row(video_id: str) -> None:
    with transaction() as session:
        session.delete(session.get_one(Video, video_id))

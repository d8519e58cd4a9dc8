"""Stored videos on both kinds of S3, one that keeps metadata and the embedded one that does not, and damage to them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.services.maintenance.conftest import put_video
from tests.support.embedded_s3 import EmbeddedS3, running_s3
from tests.support.installation import Configure
from tests.support.videos import set_columns
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage
from videovault.models import Event, User, Video
from videovault.services.core.access import Caller
from videovault.services.core.naming import POSTER_NAME, folder

FILM = b"moving pictures" * 100
MEASURED = {
    "duration": 2.5,
    "width": 160,
    "height": 90,
    "format": "mp4",
    "source_url": "https://generator.example/a.mp4?signature=s3same",
}
MP4 = Description("video/mp4")
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
    """An S3 that keeps metadata, and the embedded one, which does not."""
    found: Storage = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(vault: Storage, anna: Caller, row: Row) -> Store:
    """Create a stored video as a worker leaves it, without fetching it from a source; returns its row."""

    del vault

    def make(title: str = "Launch", caller: Caller = anna) -> Video:
        return put_video(caller.user_id, title, FILM, row, **MEASURED)

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


def forget_row(video_id: str) -> None:
    with transaction() as session:
        session.delete(session.get_one(Video, video_id))


def key_of(video: Video) -> str:
    return str(video.s3_key)


def lose_object(video: Video) -> None:
    storage.connected().delete([key_of(video)])


def lose_folder(video: Video) -> None:
    storage.connected().delete(list(storage.connected().keys(folder(video))))


def cut_object(video: Video) -> None:
    rewrite(video, b"short")


def change_object(video: Video) -> None:
    rewrite(video, bytes(video.size or 0))


def rewrite(video: Video, content: bytes) -> None:
    """Other bytes under the same key and description."""
    vault = storage.connected()
    info = vault.info(key_of(video))
    assert info
    # Asked for the sum like this, moto keeps it as AWS does.
    vault._s3.put_object(
        Bucket=vault.bucket,
        Key=key_of(video),
        Body=content,
        Metadata=dict(info.metadata),
        ChecksumAlgorithm="CRC32",
    )


def lose_sidecar(video: Video) -> None:
    storage.connected().delete([folder(video) + "video.json"])


def age_sidecar(video: Video) -> None:
    set_columns(video.id, title="Renamed behind the services' back")


def lose_poster(video: Video) -> None:
    storage.connected().delete([folder(video) + POSTER_NAME])


def leave_object(video: Video) -> None:
    storage.connected().put(folder(video) + "1_older.mp4", b"older", MP4)


def begin_upload(video: Video) -> None:
    storage.connected().start_upload(folder(video) + "2_begun.mp4", MP4)

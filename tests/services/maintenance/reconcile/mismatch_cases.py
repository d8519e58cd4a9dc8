"""Damage to stored videos, one function per kind."""

from tests.services.maintenance.reconcile.conftest import alter
from videovault.gateways import storage
from videovault.gateways.storage import Description
from videovault.models import Video
from videovault.services.core.naming import POSTER_NAME, folder

MP4 = Description("video/mp4")


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
    alter(video.id, title="Renamed behind the services' back")


def lose_poster(video: Video) -> None:
    storage.connected().delete([folder(video) + POSTER_NAME])


def leave_object(video: Video) -> None:
    storage.connected().put(folder(video) + "1_older.mp4", b"older", MP4)


def begin_upload(video: Video) -> None:
    storage.connected().start_upload(folder(video) + "2_begun.mp4", MP4)

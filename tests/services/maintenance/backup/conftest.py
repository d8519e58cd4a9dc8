"""Stored videos, a backup folder, and an empty installation to restore into."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import boto3
import pytest

from tests.services.conftest import Row
from tests.services.maintenance.conftest import put_video
from tests.support.installation import Configure
from videovault.gateways import storage
from videovault.gateways.storage import Storage
from videovault.models import Video
from videovault.services.core.access import Caller
from videovault.services.maintenance.backup.restore import Restored, restore_backup

Store = Callable[..., Video]
Elsewhere = Callable[..., Storage]


@pytest.fixture
def backup_dir(installation: Path) -> Path:
    return installation / "backup"


@pytest.fixture
def store(moto_s3: Storage, anna: Caller, row: Row) -> Store:
    del moto_s3

    def make(title: str = "Launch", film: bytes = b"", **columns: object) -> Video:
        return put_video(anna.user_id, title, film or title.encode() * 100, row, **columns)

    return make


@pytest.fixture
def elsewhere(configure: Configure, installation: Path, moto_server: str) -> Elsewhere:
    """Switch to another installation with an empty bucket and DATA_DIR; returns its bucket."""

    def move(name: str = "elsewhere", **more: object) -> Storage:
        bucket = f"{name}-{installation.name}".replace("_", "-").lower()[-60:].strip("-")
        client = boto3.client(
            "s3",
            endpoint_url=moto_server,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket=bucket)
        client.close()
        settings = {"AWS_S3_BUCKET_NAME": bucket, "DATA_DIR": installation / name, "DATABASE_URL": ""}
        configure(**settings | more)
        return storage.connected()

    return move


def restore(folder: Path, *, force: bool = False) -> Restored:
    return restore_backup(folder, force=force, storage_running=nullcontext)


def contents(vault: Storage) -> dict[str, tuple[bytes | None, str, dict[str, str]]]:
    """Every object's bytes, type and metadata, by its key."""
    found = {}
    for each in vault.objects():
        info = vault.info(each.key)
        assert info
        found[each.key] = (vault.read(each.key, each.size + 1), info.content_type, dict(info.metadata))
    return found


def damage(path: Path) -> None:
    """Change one byte in the middle, at the same size."""
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)

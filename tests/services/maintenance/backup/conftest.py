"""Stored videos, a backup folder, and an empty installation to restore into."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from uuid import uuid4

import pytest

from tests.services.conftest import Row
from tests.services.maintenance.conftest import put_video
from tests.support.installation import Configure
from videovault.gateways import storage
from videovault.gateways.storage import Storage
from videovault.models import Video
from videovault.services.core.access import Caller
from videovault.services.maintenance.backup.restore import Restored, restore_backup
from videovault.services.maintenance.backup.save import save_backup

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
        settings = {
            "AWS_S3_BUCKET_NAME": f"{name}-{uuid4()}",
            "AWS_ENDPOINT_URL_S3": moto_server,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "DATA_DIR": installation / name,
            "DATABASE_URL": "",
        }
        configure(**settings | more)
        vault = storage.connected()
        vault._s3.create_bucket(Bucket=vault.bucket)
        return vault

    return move


@pytest.fixture(scope="session")
def first_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup") / "of one video"


@pytest.fixture
def saved(request: pytest.FixtureRequest, first_backup: Path, backup_dir: Path) -> Path:
    """``backup_dir`` with a backup of one video; the first test makes it, the others get a copy."""
    if not first_backup.exists():
        request.getfixturevalue("store")("One")
        save_backup(first_backup)
    return Path(shutil.copytree(first_backup, backup_dir))


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

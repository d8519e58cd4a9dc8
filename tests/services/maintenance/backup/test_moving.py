"""From the embedded S3, which forgets what objects are tagged with, to one that knows, and the other way."""

from pathlib import Path

import pytest

from tests.services.conftest import Row
from tests.services.maintenance.backup.conftest import Elsewhere, Store, put_video, restore
from tests.support.installation import Configure
from videovault.embedded import borrowed_s3
from videovault.gateways import storage
from videovault.models import Video
from videovault.services.accounts import accounts
from videovault.services.maintenance import backup
from videovault.services.videos import integrity
from videovault.services.videos.integrity import Standing

pytestmark = pytest.mark.thorough


@pytest.fixture
def embedded_video(installation: Path, row: Row, backup_dir: Path) -> Video:
    """It is in a backup of an installation with the embedded S3."""
    del installation
    anna = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    with borrowed_s3.s3_running():
        video = put_video(anna.user_id, "Launch", b"film" * 1000, row)
    with borrowed_s3.s3_running():  # it has forgotten the tags
        assert not backup.save(backup_dir).findings.named
    return video


def test_objects_without_tags_get_them(
    embedded_video: Video, backup_dir: Path, elsewhere: Elsewhere, moto_server: str, row: Row
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    vault = elsewhere(AWS_ENDPOINT_URL_S3=moto_server, **keys)
    assert restore(backup_dir).settled.retagged == 1
    video = row(embedded_video.id)
    info = vault.info(str(video.s3_key))
    assert info
    assert integrity.standing(video, info) == Standing.RIGHT
    assert (info.etag, info.content_type) == (video.etag, "video/mp4")
    integrity.check(video)


def test_a_store_that_names_objects_differently_is_believed(
    store: Store, backup_dir: Path, configure: Configure, installation: Path, row: Row
) -> None:
    stored = store("One")
    backup.save(backup_dir)
    configure(AWS_S3_BUCKET_NAME="", AWS_ENDPOINT_URL_S3="", DATA_DIR=installation / "embedded")
    with borrowed_s3.alone() as storage_running:
        backup.restore(backup_dir, force=False, storage_running=storage_running)
    with borrowed_s3.s3_running():
        video = row(stored.id)
        info = storage.connected().info(str(video.s3_key))
        assert info
        assert video.etag == info.etag != stored.etag
        assert video.sidecar_due_at
        integrity.check(video)

"""A restore brings everything back, or is refused without any change."""

import json
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlmodel import select

from tests.services.conftest import Row
from tests.services.maintenance.backup.conftest import Elsewhere, Store, contents, damage, restore
from tests.services.maintenance.conftest import put_video
from tests.support.installation import Configure
from tests.support.keys import ONE_KEY
from tests.support.s3_proxy import S3Proxy
from videovault import db
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.embedded import supervisor
from videovault.errors import ConfigurationError, Conflict, InvalidInput, NotSignedIn, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage
from videovault.installation import RESTORE_MARKER
from videovault.models import Event, Status, User, Video
from videovault.services import sharing
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.maintenance import identity
from videovault.services.maintenance.backup.backup_folder import Damaged
from videovault.services.maintenance.backup.restore import restore_backup
from videovault.services.maintenance.backup.save import save_backup, verify_backup
from videovault.services.transfer.engine.types import PART_BYTES
from videovault.services.videos import gallery, integrity, sidecar
from videovault.services.videos.integrity import TagStatus

pytestmark = pytest.mark.thorough

MULTIPART_FILM = b"moving pictures" * (PART_BYTES // 15 + 1000)


def rows() -> Mapping[str, list[dict[str, object]]]:
    with reading() as session:
        return {
            table.__name__: [each.model_dump() for each in session.exec(select(table))]
            for table in (User, Video)
        }


def test_restore_brings_everything_back(
    store: Store, moto_s3: Storage, anna: Caller, backup_dir: Path, elsewhere: Elsewhere, row: Row
) -> None:
    small, large = store("Small"), store("Large", MULTIPART_FILM)
    shown = sharing.get_secret_key(anna, small.id).secret_key
    token = accounts.login("anna@example.com", "correct horse").token
    save_backup(backup_dir)
    was, held = rows(), contents(moto_s3)

    vault = elsewhere()
    restored = restore(backup_dir)
    assert contents(vault) == held
    assert (restored.objects.put, restored.findings.named, restored.aside) == (6, [], [])
    for name in was:
        assert [_stable_columns(each) for each in rows()[name]] == [
            _stable_columns(each) for each in was[name]
        ]
    for video in (row(small.id), row(large.id)):
        assert integrity.tag_status(video, vault.info(str(video.s3_key))) == TagStatus.RIGHT
    assert sharing.get_secret_key(anna, small.id).secret_key == shown
    with pytest.raises(NotSignedIn):
        accounts.authenticate(token)
    again = accounts.authenticate(accounts.login("anna@example.com", "correct horse").token)
    assert [each.title for each in gallery.list_videos(again, again.user_id).videos] == ["Large", "Small"]


def test_restored_database_and_key_file_are_private(saved: Path, elsewhere: Elsewhere) -> None:
    elsewhere()
    restore(saved)
    for name in ("installation.json", "videovault.db"):
        assert stat.S_IMODE((settings().data_dir / name).stat().st_mode) == 0o600
    assert not list(settings().data_dir.glob(".*"))


def test_installation_that_is_not_empty_is_not_changed(store: Store, backup_dir: Path) -> None:
    store("One")
    save_backup(backup_dir)
    store("Two")
    was = rows()
    with pytest.raises(Conflict, match="1 accounts and 2 videos"):
        restore(backup_dir)
    assert rows() == was


def test_force_sets_the_installation_aside(saved: Path, elsewhere: Elsewhere, configure: Configure) -> None:
    elsewhere()
    db.migrate()
    accounts.register("other@example.com", "correct horse")
    own = settings().installation.secret_key
    own_rows = rows()
    with pytest.raises(Conflict, match="There is an installation already"):
        restore(saved)
    db.engine().dispose()
    aside = restore(saved, force=True).aside
    assert [user["email"] for user in rows()["User"]] == ["anna@example.com"]
    key, database, *log = map(Path, aside)
    assert json.loads(key.read_text())["secret_key"] == own
    assert all("videovault.db.before_restore" in each.name for each in (database, *log))
    configure(DATABASE_URL=f"sqlite:///{database}")
    assert rows() == own_rows


def test_different_key_file_is_not_overwritten(saved: Path, elsewhere: Elsewhere) -> None:
    elsewhere()
    own = settings().installation
    with pytest.raises(Conflict, match="holds other keys than the backup"):
        restore(saved)
    settings.cache_clear()
    assert settings().installation == own


def test_bucket_with_other_objects_is_refused_without_any_change(
    store: Store, backup_dir: Path, elsewhere: Elsewhere
) -> None:
    video = store("One")
    save_backup(backup_dir)
    vault = elsewhere()
    vault.put(str(video.s3_key), b"x" * 300, Description("video/mp4"))
    vault.put("videos/a/b/c.mp4", b"strange", Description("video/mp4"))
    held = contents(vault)
    with pytest.raises(Conflict, match="1 of its objects are not in the backup, and 1 differ"):
        restore(backup_dir)
    assert contents(vault) == held
    assert not [path.name for path in settings().data_dir.glob("*") if path.is_file()]
    restore(backup_dir, force=True)
    assert vault.read(str(video.s3_key), 1000) == b"One" * 100
    assert vault.read("videos/a/b/c.mp4", 1000) == b"strange"


def test_present_objects_are_not_uploaded_again(
    store: Store, moto_s3: Storage, backup_dir: Path, configure: Configure, installation: Path
) -> None:
    """Only the database is lost."""
    video = store("One")
    save_backup(backup_dir)
    moto_s3.delete([str(video.poster_key)])
    configure(DATA_DIR=installation / "new")
    restored = restore(backup_dir)
    assert (restored.objects.put, restored.objects.present) == (1, 2)


def test_interrupted_restore_leaves_a_marker_and_is_continued(
    store: Store, proxy: S3Proxy, backup_dir: Path, elsewhere: Elsewhere
) -> None:
    for number in range(4):
        store(f"Video {number}")
    save_backup(backup_dir)
    vault = elsewhere(AWS_ENDPOINT_URL_S3=proxy.url)
    answers = iter([None] * 7)
    proxy.choose = lambda operation: (
        next(answers, (403, "AccessDenied")) if operation == "PutObject" else None
    )
    with pytest.raises(StorageError):
        restore(backup_dir)
    assert (settings().data_dir / RESTORE_MARKER).exists()
    assert not (settings().data_dir / "videovault.db").exists()
    proxy.choose = lambda _operation: None
    restored = restore(backup_dir)
    assert restored.objects.put + restored.objects.present == len(contents(vault)) == 12
    assert restored.objects.present >= 4
    assert not (settings().data_dir / RESTORE_MARKER).exists()


def test_restored_installation_is_where_the_settings_put_it(saved: Path, elsewhere: Elsewhere) -> None:
    elsewhere()
    restore(saved)
    own = identity.of_this_process()
    assert own.items() <= identity.recorded().items()


def test_restore_killed_after_the_database_copy_is_continued(saved: Path, elsewhere: Elsewhere) -> None:
    elsewhere()
    restore(saved)
    (settings().data_dir / RESTORE_MARKER).write_text(
        json.loads((saved / "manifest.json").read_text())["manifest"]["catalogue"]["sha256"]
    )
    db.engine().dispose()
    assert restore(saved).objects.present == 3
    with reading() as session:
        assert len(session.exec(select(Event).where(Event.kind == "restored")).all()) == 1


def test_interrupted_restore_is_not_continued_with_another_backup(saved: Path, elsewhere: Elsewhere) -> None:
    elsewhere()
    settings().data_dir.mkdir()
    (settings().data_dir / RESTORE_MARKER).write_text("of another")
    with pytest.raises(Conflict, match="The restore of another backup"):
        restore(saved)


def test_sidecar_newer_than_the_database_is_written_again(
    store: Store, moto_s3: Storage, backup_dir: Path, elsewhere: Elsewhere, row: Row
) -> None:
    video = store("One")
    key = str(video.s3_key).rpartition("/")[0] + "/video.json"
    wanted = moto_s3.read(key, 10_000)
    moto_s3.put(key, b'{"title": "Two"}', Description("application/json"))
    save_backup(backup_dir)
    vault = elsewhere()
    restore(backup_dir)
    assert row(video.id).sidecar_due_at
    sidecar.write(video.id)
    assert vault.read(key, 10_000) == wanted


@pytest.mark.parametrize("film", [b"film" * 1000, MULTIPART_FILM], ids=["whole", "in parts"])
def test_damaged_object_never_reaches_the_bucket(
    store: Store, backup_dir: Path, elsewhere: Elsewhere, film: bytes
) -> None:
    video = store("One", film)
    save_backup(backup_dir)
    largest = max((backup_dir / "objects").glob("*/*"), key=lambda path: path.stat().st_size)
    damage(largest)
    assert verify_backup(backup_dir).findings.count == 1
    vault = elsewhere()
    with pytest.raises(Damaged, match="its checksum differs"):
        restore(backup_dir)
    assert vault.info(str(video.s3_key)) is None
    assert not list(vault.uploads())


def test_video_without_its_object_in_the_backup_fails(
    store: Store, moto_s3: Storage, backup_dir: Path, elsewhere: Elsewhere, row: Row
) -> None:
    video = store("One")
    moto_s3.delete([str(video.s3_key)])
    save_backup(backup_dir)
    elsewhere()
    restored = restore(backup_dir)
    assert (restored.findings.count, restored.adjusted.lost) == (1, 1)
    assert (row(video.id).status, row(video.id).error_code) == (Status.FAILED, "OBJECT_MISSING")


def test_backup_can_be_moved(saved: Path, elsewhere: Elsewhere) -> None:
    moved = saved.with_name("moved away")
    shutil.move(saved, moved)
    elsewhere()
    assert restore(moved).objects.put == 3


def _stable_columns(row: dict[str, object]) -> dict[str, object]:
    """The row without timestamps and ETag, which change with the store."""
    changing = ("last_seen_at", "updated_at", "etag", "sidecar_due_at")
    return {name: value for name, value in row.items() if name not in changing}


# Between the embedded S3, which keeps no tags, and one that does.


@pytest.fixture
def embedded_video(installation: Path, row: Row, backup_dir: Path) -> Video:
    """A video in a backup of an installation with the embedded S3."""
    del installation
    anna = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    with supervisor.s3_available():
        video = put_video(anna.user_id, "Launch", b"film" * 1000, row)
    with supervisor.s3_available():  # the tags are lost
        assert not save_backup(backup_dir).findings.named
    return video


def test_untagged_objects_are_tagged(
    embedded_video: Video, backup_dir: Path, elsewhere: Elsewhere, row: Row
) -> None:
    vault = elsewhere()
    assert restore(backup_dir).adjusted.retagged == 1
    video = row(embedded_video.id)
    info = vault.info(str(video.s3_key))
    assert info
    assert integrity.tag_status(video, info) == TagStatus.RIGHT
    assert (info.etag, info.content_type) == (video.etag, "video/mp4")
    integrity.check(video)


def test_etags_of_the_new_store_are_adopted(
    store: Store, backup_dir: Path, configure: Configure, installation: Path, row: Row
) -> None:
    stored = store("One")
    save_backup(backup_dir)
    configure(AWS_S3_BUCKET_NAME="", AWS_ENDPOINT_URL_S3="", DATA_DIR=installation / "embedded")
    with supervisor.exclusive_data_dir() as storage_running:
        restore_backup(backup_dir, force=False, storage_running=storage_running)
    with supervisor.s3_available():
        video = row(stored.id)
        info = storage.connected().info(str(video.s3_key))
        assert info
        assert video.etag == info.etag != stored.etag
        assert video.sidecar_due_at
        integrity.check(video)


# Versions and keys of the backup.


def test_database_of_an_earlier_version_is_migrated(
    store: Store, backup_dir: Path, elsewhere: Elsewhere, row: Row
) -> None:
    video = store("One")
    command.downgrade(Config(str(db.ALEMBIC_INI)), "0009")
    assert save_backup(backup_dir).manifest.database.revision == "0009"
    elsewhere()
    restore(backup_dir)
    assert db.schema_behind() is None
    assert row(video.id).title == "One"


def test_database_of_a_later_version_is_refused(store: Store, backup_dir: Path, elsewhere: Elsewhere) -> None:
    store("One")
    with transaction() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    save_backup(backup_dir)
    elsewhere()
    with pytest.raises(
        ConfigurationError, match="revision 9999, which is unknown to this version of VideoVault"
    ):
        restore(backup_dir)
    assert not settings().data_dir.exists()


def test_key_from_the_settings_is_required(
    configure: Configure, installation: Path, store: Store, backup_dir: Path, elsewhere: Elsewhere
) -> None:
    configure(SECRET_KEY=ONE_KEY)
    store("One")
    assert save_backup(backup_dir).manifest.key.source == "settings"
    assert ONE_KEY not in "".join(path.read_text(errors="replace") for path in backup_dir.glob("*.json"))
    elsewhere(SECRET_KEY="")
    for refused in (lambda: restore(backup_dir), lambda: _raise_named(backup_dir)):
        with pytest.raises(InvalidInput, match="set SECRET_KEY to that of the installation"):
            refused()
    elsewhere("third", SECRET_KEY=ONE_KEY)
    assert not restore(backup_dir).findings.named
    del installation


def test_setting_that_hides_the_key_of_the_backup_is_refused(
    store: Store, backup_dir: Path, elsewhere: Elsewhere, installation: Path
) -> None:
    store("One")
    key = settings().installation.secret_key
    save_backup(backup_dir)
    elsewhere(SECRET_KEY=ONE_KEY)
    with pytest.raises(InvalidInput, match="SECRET_KEY is set to another key"):
        restore(backup_dir)
    elsewhere("third", SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=key)
    assert not restore(backup_dir).findings.named
    del installation


def _raise_named(folder: Path) -> None:
    named = verify_backup(folder).findings.named
    raise InvalidInput(named[0])

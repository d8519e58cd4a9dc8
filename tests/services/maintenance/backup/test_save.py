"""Backups are complete, private and incremental, and an interrupted one never harms the previous one."""

import stat
from itertools import count
from pathlib import Path

import pytest

from tests.services.maintenance.backup.conftest import Store, damage, restore
from tests.support.installation import Configure
from tests.support.keys import ONE_KEY
from tests.support.s3_proxy import S3Proxy
from videovault.db import transaction
from videovault.errors import ConfigurationError, Conflict, InvalidInput, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage
from videovault.models import User, Video
from videovault.services import sharing
from videovault.services.core.access import Caller
from videovault.services.maintenance.backup.backup_folder import lock_folder
from videovault.services.maintenance.backup.catalogue import Catalogue
from videovault.services.maintenance.backup.save import save_backup, verify_backup

pytestmark = pytest.mark.thorough

FAILS = (403, "AccessDenied")
LISTINGS = 2  # each backup lists the bucket twice


def test_backup_is_complete_and_private(store: Store, backup_dir: Path) -> None:
    store("One"), store("Two")
    backup_dir.mkdir(mode=0o755)
    saved = save_backup(backup_dir)
    assert (saved.manifest.videos, saved.manifest.objects, saved.copied) == (2, 6, 6)
    assert not saved.findings.count
    assert not verify_backup(backup_dir).findings.named
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (backup_dir, *backup_dir.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_next_backup_copies_only_new_objects(store: Store, proxy: S3Proxy, backup_dir: Path) -> None:
    store("One")
    save_backup(backup_dir)
    kept = save_backup(backup_dir)
    assert (kept.copied, kept.manifest.objects) == (0, 3)
    store("Two")
    before = proxy.calls["GET"]
    assert save_backup(backup_dir).copied == 3
    assert proxy.calls["GET"] - before == LISTINGS + 3
    assert not verify_backup(backup_dir).findings.named


def test_changed_object_is_copied_again_and_old_files_are_deleted(
    store: Store, moto_s3: Storage, backup_dir: Path
) -> None:
    video = store("One")
    save_backup(backup_dir)
    moto_s3.put(str(video.poster_key), b"b picture", Description("image/webp"))
    assert save_backup(backup_dir).copied == 1
    moto_s3.delete([str(video.poster_key)])
    assert save_backup(backup_dir).manifest.objects == 2
    assert len(list((backup_dir / "objects").glob("*/*"))) == 2
    assert len(list(backup_dir.iterdir())) == len(("manifest", "database", "key", "catalogue", "objects"))


def test_new_tag_is_recorded_without_copying_the_object(
    store: Store, anna: Caller, proxy: S3Proxy, backup_dir: Path
) -> None:
    video = store("One")
    save_backup(backup_dir)
    sharing.rotate_key(anna, video.id)
    info = storage.connected().info(str(video.s3_key))
    before = proxy.calls["GET"]
    assert save_backup(backup_dir).copied == proxy.calls["GET"] - before - LISTINGS <= 2  # not the film
    with Catalogue.reading(next(backup_dir.glob("catalogue-*"))) as catalogue:
        entry = catalogue.find(str(video.s3_key))
    assert entry
    assert info
    assert entry.described == info.described


def test_interrupted_backup_is_detected_and_continued(store: Store, proxy: S3Proxy, backup_dir: Path) -> None:
    for number in range(8):
        store(f"Video {number}")
    answers = iter([None] * 19)  # the listing, and 18 of 24 objects
    proxy.choose = lambda operation: next(answers, FAILS) if operation == "GET" else None
    with pytest.raises(StorageError):
        save_backup(backup_dir)
    for command in (verify_backup, restore):
        with pytest.raises(InvalidInput, match="was interrupted before it was complete"):
            command(backup_dir)
    proxy.choose = lambda _operation: None
    saved = save_backup(backup_dir)
    assert saved.continued
    assert saved.copied <= 24 - 16  # the batch that failed may have to be copied again
    assert not verify_backup(backup_dir).findings.named


def test_previous_backup_survives_an_interrupted_one(store: Store, proxy: S3Proxy, backup_dir: Path) -> None:
    video = store("One")
    save_backup(backup_dir)
    storage.connected().put(str(video.poster_key), b"b picture", Description("image/webp"))
    store("Two"), store("Three")
    answers = iter([None, None, None])
    proxy.choose = lambda operation: next(answers, FAILS) if operation == "GET" else None
    with pytest.raises(StorageError):
        save_backup(backup_dir)
    verified = verify_backup(backup_dir)
    assert (verified.manifest.objects, verified.findings.named) == (3, [])


def test_video_stored_during_the_backup_is_complete_or_absent(
    store: Store, proxy: S3Proxy, backup_dir: Path
) -> None:
    store("One")
    moments = count()

    def while_objects_are_copied(operation: str) -> None:
        if operation == "GET" and next(moments) == 1:
            store("Late")

    proxy.before = while_objects_are_copied
    saved = save_backup(backup_dir)
    assert (saved.manifest.videos, saved.findings.named) == (2, [])


def test_video_stored_and_deleted_during_the_backup_is_no_problem(
    store: Store, proxy: S3Proxy, backup_dir: Path
) -> None:
    """It is in the database's snapshot, but neither listing saw its objects."""
    store("One")
    short_lived: list[Video] = []
    moments = count()

    def between_the_listings(operation: str) -> None:
        moment = next(moments) if operation == "GET" else None
        if moment == 1:  # the first listing is done, its objects are being copied
            short_lived.append(store("Short"))
        if moment == 4:  # the second listing begins, the database is copied
            video = short_lived[0]
            storage.connected().delete([str(video.s3_key), str(video.poster_key)])
            with transaction() as session:
                session.delete(session.get_one(Video, video.id))

    proxy.before = between_the_listings
    saved = save_backup(backup_dir)
    assert (saved.manifest.videos, saved.findings.named) == (1, [])


def test_objects_lost_in_s3_are_named(store: Store, moto_s3: Storage, backup_dir: Path) -> None:
    lost, changed = store("Lost"), store("Changed")
    moto_s3.delete([str(lost.s3_key)])
    moto_s3.put(str(changed.s3_key), b"another film", Description("video/mp4"))
    named = save_backup(backup_dir).findings.named
    assert len(named) == 2
    assert any(f"{lost.id} (Lost): its object" in each for each in named)
    assert any(f"{changed.id} (Changed): the object" in each for each in named)
    assert sorted(verify_backup(backup_dir).findings.named) == sorted(named)


def test_writers_are_not_blocked(store: Store, backup_dir: Path) -> None:
    store("One")
    with transaction() as session:
        session.add(User(email="late@example.com", password_hash="-"))
        session.flush()  # this transaction holds the database's write lock
        assert not save_backup(backup_dir).findings.named


def test_folder_with_other_files_is_refused(store: Store, backup_dir: Path) -> None:
    store("One")
    backup_dir.mkdir()
    (backup_dir / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInput, match="holds other files"):
        save_backup(backup_dir)
    assert [path.name for path in backup_dir.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("inside", ["var", "var/s3", "var/../var/backup"])
def test_folder_inside_data_dir_is_refused(store: Store, installation: Path, inside: str) -> None:
    store("One")
    with pytest.raises(InvalidInput, match="inside DATA_DIR"):
        save_backup(installation / inside)


def test_commands_lock_the_folder(store: Store, backup_dir: Path) -> None:
    store("One")
    save_backup(backup_dir)
    with lock_folder(backup_dir):
        for command in (save_backup, verify_backup, restore):
            with pytest.raises(Conflict, match="Another command uses"):
                command(backup_dir)


def test_without_a_database_backup_is_refused_and_none_is_created(
    moto_s3: Storage, configure: Configure, installation: Path, backup_dir: Path
) -> None:
    del moto_s3
    configure(DATA_DIR=installation / "empty", SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="nothing to back up"):
        save_backup(backup_dir)
    assert not (installation / "empty").exists()


def test_without_the_key_backup_is_refused(store: Store, installation: Path, backup_dir: Path) -> None:
    store("One")
    (installation / "var" / "installation.json").unlink()
    with pytest.raises(ConfigurationError, match="There is no key"):
        save_backup(backup_dir)
    assert not backup_dir.exists()


def test_damaged_catalogue_only_costs_a_new_copy(store: Store, backup_dir: Path) -> None:
    store("One")
    save_backup(backup_dir)
    damage(next(backup_dir.glob("catalogue-*")))
    assert save_backup(backup_dir).copied == 3
    assert not verify_backup(backup_dir).findings.named


def test_object_lost_from_the_backup_is_copied_again(store: Store, backup_dir: Path) -> None:
    store("One")
    save_backup(backup_dir)
    next((backup_dir / "objects").glob("*/*")).unlink()
    assert verify_backup(backup_dir).findings.count == 1
    assert save_backup(backup_dir).copied == 1
    assert not verify_backup(backup_dir).findings.named

"""Taking a backup: complete, private, incremental, and never worse than the one before."""

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
from videovault.services.core.access import Caller
from videovault.services.maintenance import backup
from videovault.services.maintenance.backup import folder
from videovault.services.maintenance.backup.catalogue import Catalogue
from videovault.services.sharing import share_links

pytestmark = pytest.mark.thorough

FAILS = (403, "AccessDenied")
LOOKS = 2  # each backup lists the bucket twice


def test_everything_is_in_it_and_for_its_owner_only(store: Store, backup_dir: Path) -> None:
    store("One"), store("Two")
    backup_dir.mkdir(mode=0o755)
    saved = backup.save(backup_dir)
    assert (saved.manifest.videos, saved.manifest.objects, saved.copied) == (2, 6, 6)
    assert not saved.findings.count
    assert not backup.verify(backup_dir).findings.named
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (backup_dir, *backup_dir.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_the_next_backup_copies_only_what_is_new(store: Store, proxy: S3Proxy, backup_dir: Path) -> None:
    store("One")
    backup.save(backup_dir)
    kept = backup.save(backup_dir)
    assert (kept.copied, kept.manifest.objects) == (0, 3)
    store("Two")
    before = proxy.calls["GET"]
    assert backup.save(backup_dir).copied == 3
    assert proxy.calls["GET"] - before == LOOKS + 3
    assert not backup.verify(backup_dir).findings.named


def test_an_object_with_other_bytes_is_copied_again_and_old_files_go(
    store: Store, moto_s3: Storage, backup_dir: Path
) -> None:
    video = store("One")
    backup.save(backup_dir)
    moto_s3.put(str(video.poster_key), b"b picture", Description("image/webp"))
    assert backup.save(backup_dir).copied == 1
    moto_s3.delete([str(video.poster_key)])
    assert backup.save(backup_dir).manifest.objects == 2
    assert len(list((backup_dir / "objects").glob("*/*"))) == 2
    assert len(list(backup_dir.iterdir())) == len(("manifest", "database", "key", "catalogue", "objects"))


def test_a_new_tag_on_the_same_bytes_is_noted_without_copying_them(
    store: Store, anna: Caller, proxy: S3Proxy, backup_dir: Path
) -> None:
    video = store("One")
    backup.save(backup_dir)
    share_links.rotate_key(anna, video.id)
    info = storage.connected().info(str(video.s3_key))
    before = proxy.calls["GET"]
    assert backup.save(backup_dir).copied == proxy.calls["GET"] - before - LOOKS <= 2  # not the film
    with Catalogue.reading(next(backup_dir.glob("catalogue-*"))) as catalogue:
        entry = catalogue.find(str(video.s3_key))
    assert entry
    assert info
    assert entry.described == info.described


def test_an_interrupted_backup_is_recognised_and_continued(
    store: Store, proxy: S3Proxy, backup_dir: Path
) -> None:
    for number in range(8):
        store(f"Video {number}")
    answers = iter([None] * 19)  # the listing, and 18 of 24 objects
    proxy.choose = lambda operation: next(answers, FAILS) if operation == "GET" else None
    with pytest.raises(StorageError):
        backup.save(backup_dir)
    for command in (backup.verify, restore):
        with pytest.raises(InvalidInput, match="was interrupted before it was complete"):
            command(backup_dir)
    proxy.choose = lambda _operation: None
    saved = backup.save(backup_dir)
    assert saved.continued
    assert saved.copied <= 24 - 16  # the batch that failed may have to be copied again
    assert not backup.verify(backup_dir).findings.named


def test_the_backup_before_stays_whole_when_the_next_one_is_interrupted(
    store: Store, proxy: S3Proxy, backup_dir: Path
) -> None:
    video = store("One")
    backup.save(backup_dir)
    storage.connected().put(str(video.poster_key), b"b picture", Description("image/webp"))
    store("Two"), store("Three")
    answers = iter([None, None, None])
    proxy.choose = lambda operation: next(answers, FAILS) if operation == "GET" else None
    with pytest.raises(StorageError):
        backup.save(backup_dir)
    verified = backup.verify(backup_dir)
    assert (verified.manifest.objects, verified.findings.named) == (3, [])


def test_a_video_that_is_stored_meanwhile_is_either_whole_or_not_in_it(
    store: Store, proxy: S3Proxy, backup_dir: Path
) -> None:
    store("One")
    moments = count()

    def while_objects_are_copied(operation: str) -> None:
        if operation == "GET" and next(moments) == 1:
            store("Late")

    proxy.before = while_objects_are_copied
    saved = backup.save(backup_dir)
    assert (saved.manifest.videos, saved.findings.named) == (2, [])


def test_a_video_that_comes_and_goes_meanwhile_is_not_missed(
    store: Store, proxy: S3Proxy, backup_dir: Path
) -> None:
    """It is in the database's snapshot, but neither the look before nor the one after saw its objects."""
    store("One")
    short_lived: list[Video] = []
    moments = count()

    def between_the_looks(operation: str) -> None:
        moment = next(moments) if operation == "GET" else None
        if moment == 1:  # the first look is over, its objects are being copied
            short_lived.append(store("Short"))
        if moment == 4:  # the second look begins, the database is copied
            video = short_lived[0]
            storage.connected().delete([str(video.s3_key), str(video.poster_key)])
            with transaction() as session:
                session.delete(session.get_one(Video, video.id))

    proxy.before = between_the_looks
    saved = backup.save(backup_dir)
    assert (saved.manifest.videos, saved.findings.named) == (1, [])


def test_what_was_lost_in_s3_is_named(store: Store, moto_s3: Storage, backup_dir: Path) -> None:
    lost, changed = store("Lost"), store("Changed")
    moto_s3.delete([str(lost.s3_key)])
    moto_s3.put(str(changed.s3_key), b"another film", Description("video/mp4"))
    named = backup.save(backup_dir).findings.named
    assert len(named) == 2
    assert any(f"{lost.id} (Lost): its object" in each for each in named)
    assert any(f"{changed.id} (Changed): the object" in each for each in named)
    assert sorted(backup.verify(backup_dir).findings.named) == sorted(named)


def test_writers_go_on_and_wait_for_no_backup(store: Store, backup_dir: Path) -> None:
    store("One")
    with transaction() as session:
        session.add(User(email="late@example.com", password_hash="-"))
        session.flush()  # this transaction holds the database's one place for writers
        assert not backup.save(backup_dir).findings.named


def test_a_folder_with_other_files_is_left_alone(store: Store, backup_dir: Path) -> None:
    store("One")
    backup_dir.mkdir()
    (backup_dir / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInput, match="holds other files"):
        backup.save(backup_dir)
    assert [path.name for path in backup_dir.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("inside", ["var", "var/s3", "var/../var/backup"])
def test_a_folder_that_would_be_lost_with_the_installation_is_refused(
    store: Store, installation: Path, inside: str
) -> None:
    store("One")
    with pytest.raises(InvalidInput, match="inside DATA_DIR"):
        backup.save(installation / inside)


def test_two_commands_do_not_use_one_folder_at_once(store: Store, backup_dir: Path) -> None:
    store("One")
    backup.save(backup_dir)
    with folder.lock_folder(backup_dir):
        for command in (backup.save, backup.verify, restore):
            with pytest.raises(Conflict, match="Another command uses"):
                command(backup_dir)


def test_without_a_database_there_is_nothing_to_back_up_and_none_is_made(
    moto_s3: Storage, configure: Configure, installation: Path, backup_dir: Path
) -> None:
    del moto_s3
    configure(DATA_DIR=installation / "empty", SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="nothing to back up"):
        backup.save(backup_dir)
    assert not (installation / "empty").exists()


def test_without_the_key_there_is_no_backup(store: Store, installation: Path, backup_dir: Path) -> None:
    store("One")
    (installation / "var" / "installation.json").unlink()
    with pytest.raises(ConfigurationError, match="There is no key"):
        backup.save(backup_dir)
    assert not backup_dir.exists()


def test_a_damaged_catalogue_costs_a_new_copy_only(store: Store, backup_dir: Path) -> None:
    store("One")
    backup.save(backup_dir)
    damage(next(backup_dir.glob("catalogue-*")))
    assert backup.save(backup_dir).copied == 3
    assert not backup.verify(backup_dir).findings.named


def test_an_object_that_is_lost_from_the_backup_is_copied_again(store: Store, backup_dir: Path) -> None:
    store("One")
    backup.save(backup_dir)
    next((backup_dir / "objects").glob("*/*")).unlink()
    assert backup.verify(backup_dir).findings.count == 1
    assert backup.save(backup_dir).copied == 1
    assert not backup.verify(backup_dir).findings.named

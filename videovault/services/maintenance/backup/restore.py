"""Putting a backup back: into an empty installation, or with force in the place of another, which is set aside."""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import BinaryIO

from videovault import db, installation, security
from videovault.config import settings
from videovault.errors import Conflict, InvalidInput, StorageError, VideoVaultError
from videovault.gateways import storage, store_capabilities
from videovault.gateways.s3_retry import VISIBLE_SECONDS
from videovault.gateways.storage import Listed
from videovault.installation import FILE_NAME, RESTORE_MARKER, Installation
from videovault.models import utcnow
from videovault.services.core.capacity import check_s3_disk_space
from videovault.services.maintenance.backup import database
from videovault.services.maintenance.backup import folder as backup_folder
from videovault.services.maintenance.backup import folder as backup_manifest
from videovault.services.maintenance.backup.catalogue import Catalogue, Entry
from videovault.services.maintenance.backup.folder import Damaged, Manifest, timestamp
from videovault.services.maintenance.backup.post_restore import Adjusted, adjust_restored_rows
from videovault.services.maintenance.backup.save import Findings, find_problems, prefix_of, sealing_keys
from videovault.services.transfer import standalone
from videovault.services.transfer.engine import RetryPolicy, StoredPart, retry_storage_call
from videovault.services.transfer.engine.types import PART_BYTES, PartLayout

# The objects of a backup on their way back into a bucket, in parts through memory, each proven.

AT_ONCE = 3  # objects, each with one part in memory
BATCH = 16


@dataclass
class UploadedObjects:
    """Objects that were put, the sum of their sizes, and those that the bucket had already."""

    put: int = 0
    bytes: int = 0
    present: int = 0


def check_bucket(catalogue: Catalogue, prefix: str, *, force: bool) -> None:
    """Note which objects the bucket has already.

    Raises Conflict without ``force`` when it has others than the backup, or other bytes under the same key.
    """
    strange, different = 0, 0
    for listed in storage.connected().objects(prefix):
        entry = catalogue.find(listed.key)
        if entry is None:
            strange += 1
        elif _is_same(listed, entry):
            catalogue.mark_present(entry.key)
        else:
            different += 1
    if (strange or different) and not force:
        raise Conflict(
            f"The bucket is not empty: {strange:,} of its objects are not in the backup, and {different:,} are other "
            "files than there. Restore into an empty bucket, or use --force: it replaces those that differ and "
            "leaves the rest."
        )


def upload_objects(folder: Path, catalogue: Catalogue) -> UploadedObjects:
    """Put what the bucket does not have. Raises Damaged, StorageError."""
    returned, stop = UploadedObjects(), Event()
    entries = catalogue.entries()
    # The embedded S3 fails now and then when two objects make the same folder at once.
    at_once = 1 if storage.connected().is_embedded else AT_ONCE
    with ThreadPoolExecutor(at_once, thread_name_prefix="restore") as pool:
        try:
            while batch := list(islice(entries, BATCH)):
                due = [each for each in batch if not catalogue.is_present(each.key)]
                returned.present += len(batch) - len(due)
                for entry in pool.map(partial(_put, folder, stop), due):
                    returned.put += 1
                    returned.bytes += entry.size
        finally:
            stop.set()
    return returned


def _is_same(listed: Listed, entry: Entry) -> bool:
    if listed.size != entry.size:
        return False
    if listed.etag.strip('"') in (entry.etag, f"{entry.crc32:08x}"):
        return True
    info = storage.connected().info(entry.key)
    if info is None or info.crc32 is not None:
        return info is not None and info.crc32 == entry.crc32
    with storage.connected().download(entry.key) as (_, pieces):
        return backup_folder.hash_pieces(pieces).sha256 == entry.sha256


def _put(folder: Path, stop: Event, entry: Entry) -> Entry:
    def check() -> None:
        if stop.is_set():
            raise standalone.TransferStopped

    check_s3_disk_space(entry.size)
    path = folder / entry.path
    if backup_folder.file_size(path) != entry.size:
        raise Damaged(f"{path}, the object {entry.key}, is missing or cut short.")
    retry_storage_call(lambda: _sent(path, entry, check), RetryPolicy(), check)
    return entry


def _sent(path: Path, entry: Entry, check: Callable[[], None]) -> None:
    with backup_folder.open_file(path) as file:
        if entry.size <= PART_BYTES:
            _send_whole(file, path, entry)
        else:
            _send_parts(file, path, entry, check)
    vault = storage.connected()
    info = vault.info(entry.key, wait_seconds=VISIBLE_SECONDS)
    if info is None or info.size != entry.size or info.crc32 not in (None, entry.crc32):
        vault.delete([entry.key])
        raise StorageError(f"S3 does not hold what was sent to it of {entry.key}.", retryable=True)


def _send_whole(file: BinaryIO, path: Path, entry: Entry) -> None:
    body = file.read(entry.size + 1)
    if backup_folder.hash_pieces([body]).sha256 != entry.sha256:
        raise _damaged(path, entry)
    storage.connected().put(entry.key, body, entry.described, entry.crc32)


def _send_parts(file: BinaryIO, path: Path, entry: Entry, check: Callable[[], None]) -> None:
    """The object comes into being only once all of its bytes are known to be the right ones."""
    vault = storage.connected()
    upload_id = vault.start_upload(entry.key, entry.described)
    try:
        parts: list[StoredPart] = []

        def sent() -> Iterator[bytes]:
            plan = PartLayout.for_total(entry.size)
            for number in plan.numbers():
                check()
                body = file.read(plan.length(number))
                crc32 = zlib.crc32(body)
                etag = vault.upload_part(entry.key, upload_id, number, body, crc32).etag
                parts.append(StoredPart(number, len(body), etag, crc32))
                yield body

        if backup_folder.hash_pieces(sent()).sha256 == entry.sha256:
            vault.complete_upload(entry.key, upload_id, parts, entry.crc32)
            return
    except BaseException:
        vault.abort_upload(entry.key, upload_id)
        raise
    vault.abort_upload(entry.key, upload_id)
    raise _damaged(path, entry)


def _damaged(path: Path, entry: Entry) -> Damaged:
    return Damaged(f"{path}, the object {entry.key}, is damaged: its checksum differs.")


@dataclass(frozen=True)
class Restored:
    """``aside`` says where what was there before is kept; ``findings`` are what the backup lacked."""

    manifest: Manifest
    objects: UploadedObjects
    settled: Adjusted
    aside: list[str]
    findings: Findings


def restore(
    folder: Path, *, force: bool, storage_running: Callable[[], AbstractContextManager[None]]
) -> Restored:
    """Make the installation that the settings name the one that was backed up.

    Inside ``storage_running()`` the bucket can be used; nothing else may use the installation. Raises InvalidInput,
    Damaged, ConfigurationError and Conflict before anything is changed, the latter for an installation that is not
    empty unless ``force``; StorageError and OSError later: run again, it continues.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    with backup_folder.lock_folder(folder):
        made = backup_manifest.read_manifest(folder)
        database.check_restorable(folder, made.database)
        if made.database.kind == "sqlite":
            database.check_sqlite(folder / made.database.file.name)
        kept = backup_manifest.read_installation(folder, made)
        keys = _keys(folder, made, kept)
        with Catalogue.reading(backup_manifest.verify_file(folder, made.catalogue)) as catalogue:
            findings = find_problems(catalogue, keys)
            _check_target(made, force=force)
            return _restored(folder, made, kept, catalogue, findings, storage_running, force=force)


def _keys(folder: Path, made: Manifest, kept: Installation | None) -> list[str]:
    """The keys that the restored installation will have. Raises InvalidInput when they would open nothing."""
    sealing_keys(folder, made)
    keys = list(backup_manifest.available_keys(kept))
    if made.key.fingerprint not in map(security.key_fingerprint, keys):
        raise InvalidInput(
            "SECRET_KEY is set here to another key than the one in the backup: leave SECRET_KEY empty, or put the "
            "key from the backup's installation file into SECRET_KEY_OLD."
        )
    return keys


def _check_target(made: Manifest, *, force: bool) -> None:
    """A restore of this backup that was interrupted may go on, whatever it has left."""
    if force or _continues(made):
        return
    if _marker().exists():
        raise Conflict(
            f"The restore of another backup into {settings().data_dir} was interrupted. Finish that one, or use --force."
        )
    found = database.target()
    if not found.is_empty:
        raise Conflict(
            f"There is an installation already: its database holds {found.users:,} accounts and {found.videos:,} "
            "videos. Restore into an empty DATA_DIR or database, or use --force, which sets this one aside."
        )


def _restored(
    folder: Path,
    made: Manifest,
    kept: Installation | None,
    catalogue: Catalogue,
    findings: Findings,
    storage_running: Callable[[], AbstractContextManager[None]],
    *,
    force: bool,
) -> Restored:
    at = utcnow()
    settings().data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside, undo = _put_key(kept, at, force=force)
    with storage_running(), store_capabilities.without_memory():
        try:
            check_bucket(catalogue, prefix_of(storage.connected()), force=force)
        except VideoVaultError:
            undo()
            raise
        with _marked_as_unfinished(made):
            objects = upload_objects(folder, catalogue)
            aside += database.set_aside(at)
            database.put(folder, made.database)
            db.migrate()
            settled = adjust_restored_rows(made, catalogue)
    return Restored(made, objects, settled, aside, findings)


def _put_key(kept: Installation | None, at: datetime, *, force: bool) -> tuple[list[str], Callable[[], None]]:
    """Put the key file into DATA_DIR; where one that was there is now, and what takes it all back."""
    path = settings().data_dir / FILE_NAME
    if kept is None or _has_keys_of(path, kept):
        return [], lambda: None
    aside = path.with_name(f"{FILE_NAME}.{database.SET_ASIDE}{timestamp(at)}")
    if path.exists():
        if not force:
            raise Conflict(
                f"{path} holds other keys than the backup: what they sealed would be lost. Restore into an empty "
                "DATA_DIR, or use --force, which sets the file aside."
            )
        path.replace(aside)
    installation.restore(path.parent, kept)
    settings.cache_clear()

    def undo() -> None:
        path.unlink(missing_ok=True)
        if aside.exists():
            aside.replace(path)
        settings.cache_clear()

    return [str(aside)] if aside.exists() else [], undo


def _has_keys_of(path: Path, kept: Installation) -> bool:
    """Ports may differ."""
    if not path.exists():
        return False
    try:
        there = installation.load_or_create(path.parent)
    except ValueError:
        return False
    names = ("secret_key", "s3_access_key", "s3_secret_key")
    return all(getattr(there, name) == getattr(kept, name) for name in names)


@contextmanager
def _marked_as_unfinished(made: Manifest) -> Iterator[None]:
    with backup_folder.new_file(_marker()) as file:
        file.write(made.catalogue.sha256.encode())
    yield
    _marker().unlink()


def _continues(made: Manifest) -> bool:
    """Whether a restore of this very backup was interrupted here."""
    marker = _marker()
    return (
        marker.exists()
        and backup_folder.read_file(marker, backup_manifest.MAX_MANIFEST_BYTES)
        == made.catalogue.sha256.encode()
    )


def _marker() -> Path:
    return settings().data_dir / RESTORE_MARKER

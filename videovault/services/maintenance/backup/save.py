"""Take a backup while everything runs, and verify one.

The previous backup stays complete until the new manifest is written.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event

from videovault import logs, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.errors import InvalidInput, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import Listed, ObjectMissing, Storage
from videovault.installation import FILE_NAME, Installation, load_or_create
from videovault.services.maintenance.backup import database
from videovault.services.maintenance.backup.backup_folder import (
    FILE_NAMES,
    MANIFEST_NAME,
    OBJECTS,
    PARTIAL,
    Damaged,
    Database,
    File,
    FileHash,
    Manifest,
    available_keys,
    copy_file,
    current_key,
    file_entry,
    file_size,
    hash_file,
    lock_folder,
    new_file,
    private_folder,
    read_installation,
    read_manifest,
    remove_temporary,
    timestamp,
    verify_file,
    write_manifest,
    write_named,
)
from videovault.services.maintenance.backup.catalogue import Catalogue, Entry
from videovault.services.transfer import standalone
from videovault.services.transfer.engine import RetryPolicy, retry_storage_call

AT_ONCE = 4  # objects, each with a chunk of 1 MiB in memory
BATCH = 16
MAX_SNAPSHOTS = 3
# S3 rounds times to seconds, so an object that is younger may still change without a new time.
YOUNG = timedelta(minutes=1)
MAX_NAMED = 20
log = logs.get(__name__)


@dataclass
class Findings:
    """The number of problems, with a sentence for each of the first 20."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.named) < MAX_NAMED:
            self.named.append(sentence)


@dataclass(frozen=True)
class Saved:
    """A finished backup; ``copied`` objects of ``copied_bytes`` were not in the folder before."""

    manifest: Manifest
    copied: int
    copied_bytes: int
    continued: bool
    findings: Findings


@dataclass
class _CopyCount:
    copied: int = 0
    copied_bytes: int = 0


def save_backup(folder: Path) -> Saved:
    """Make ``folder`` a backup of this moment, copying only objects that it does not have yet.

    A second run continues an interrupted one. Raises InvalidInput when the folder holds other files, Conflict when
    another command uses it, ConfigurationError when the database cannot be copied, StorageError, and OSError when the
    disk is full.
    """
    _check_folder(folder)
    key_file = _read_key_file()
    key = current_key(key_file)
    private_folder(folder)
    with lock_folder(folder):
        continued = (folder / PARTIAL).exists()
        last = read_manifest(folder) if (folder / MANIFEST_NAME).exists() else None
        _prepare_catalogue(folder, last)
        _remove_unneeded(folder, last)
        copy_count, at = _CopyCount(), utcnow()
        with Catalogue.writing(folder / PARTIAL) as catalogue:
            copied_database = _fill(folder, catalogue, copy_count, at)
            findings = find_problems(catalogue, available_keys(key_file))
            manifest = Manifest(
                taken_at=at,
                database=copied_database,
                key=key,
                installation=_save_key(folder, at),
                catalogue=_save_catalogue(folder, at),
                keeps_metadata=storage.connected().keeps_metadata,
                **catalogue.totals(),
            )
            write_manifest(folder, manifest)
            _remove_unneeded(folder, manifest)
            _remove_objects(folder, catalogue)
        (folder / PARTIAL).unlink()
    return Saved(manifest, copy_count.copied, copy_count.copied_bytes, continued, findings)


def prefix_of(vault: Storage) -> str:
    """Other S3s may hold objects of other applications."""
    return "" if vault.is_embedded else "videos/"


def _check_folder(folder: Path) -> None:
    inside, outside = folder.resolve(), settings().data_dir.resolve()
    if inside == outside or outside in inside.parents:
        raise InvalidInput(f"{folder} is inside DATA_DIR and would be lost with it: choose another folder.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    ours = (MANIFEST_NAME, PARTIAL)
    if any(folder.iterdir()) and not any((folder / name).exists() for name in ours):
        raise InvalidInput(
            f"{folder} holds other files: choose an empty folder, or one with an earlier backup."
        )


def _prepare_catalogue(folder: Path, last: Manifest | None) -> None:
    """Prepare the partial catalogue: an interrupted run's, or a copy of the last one. Without either, it starts empty."""
    private_folder(folder / OBJECTS)
    if last is None or (folder / PARTIAL).exists():
        return
    try:
        copy_file(verify_file(folder, last.catalogue), folder / PARTIAL)
    except Damaged as error:
        log.warning("every object is copied again", reason=error.public_message)


def _fill(folder: Path, catalogue: Catalogue, copy_count: _CopyCount, at: datetime) -> Database:
    """Copy the objects, then the database, then newly added objects, so that each row has its object.

    An object that appeared and disappeared between two listings was deleted after the snapshot; another snapshot
    then no longer needs it.
    """
    catalogue.reset_seen()
    _copy_objects(folder, catalogue, 1, copy_count)
    scan = 1
    while True:
        scan += 1
        copied = database.snapshot(folder, at, catalogue)
        _copy_objects(folder, catalogue, scan, copy_count)
        catalogue.delete_unseen(scan)
        if scan > MAX_SNAPSHOTS or next(catalogue.problems(), None) is None:
            return copied


def _copy_objects(folder: Path, catalogue: Catalogue, scan: int, copy_count: _CopyCount) -> None:
    vault, stop = storage.connected(), Event()
    listing = (each for each in vault.objects(prefix_of(vault)) if _has_valid_key(each))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="backup") as pool:
        try:
            while batch := list(islice(listing, BATCH)):
                due = [each for each in batch if not _is_in_folder(folder, catalogue, each, scan)]
                for copied in pool.map(partial(_copy_object, folder, stop), due):
                    if copied is not None:
                        catalogue.put(copied, scan)
                        catalogue.commit()
                        copy_count.copied += 1
                        copy_count.copied_bytes += copied.size
                catalogue.commit()
        finally:
            stop.set()  # after a failure, abandon the others


def _has_valid_key(listed: Listed) -> bool:
    try:
        standalone.checked_key(listed.key)
    except InvalidInput:
        log.warning("object with an invalid key skipped", key=listed.key)
        return False
    return True


def _is_in_folder(folder: Path, catalogue: Catalogue, listed: Listed, scan: int) -> bool:
    """Whether the folder has the object's bytes. Updates its description, which a new secret key changes."""
    known = catalogue.mark_seen(listed, scan)
    if known is None or file_size(folder / known.path) != known.size:
        return False
    modified = _stable_time(listed)
    if not modified or modified != known.modified:
        info = storage.connected().info(listed.key)
        if info is None or info.size != known.size or info.crc32 not in (None, known.crc32):
            return False
        catalogue.put(replace(known, modified=modified, described=info.described), scan)
    return True


def _copy_object(folder: Path, stop: Event, listed: Listed) -> Entry | None:
    """The entry of a copied object; None if it was deleted in the meantime."""

    def check() -> None:
        if stop.is_set():
            raise standalone.TransferStopped

    try:
        return retry_storage_call(lambda: _fetch(folder, listed, check), RetryPolicy(), check)
    except ObjectMissing:
        return None


def _fetch(folder: Path, listed: Listed, check: Callable[[], None]) -> Entry:
    with storage.connected().download(listed.key) as (info, pieces):

        def entry(found: FileHash) -> Entry:
            seen = (listed.key, found.size, info.etag, _stable_time(listed))
            return Entry(*seen, found.sha256, found.crc32, info.described)

        def place(found: FileHash) -> Path:
            if found.size != info.size or info.crc32 not in (None, found.crc32):
                raise StorageError(
                    f"S3 sent a different file than it holds for {listed.key}.", retryable=True
                )
            return folder / entry(found).path

        return entry(write_named(folder / OBJECTS, _interruptible(pieces, check), place))


def _interruptible(pieces: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        check()
        yield piece


def _stable_time(listed: Listed) -> str:
    """Empty for young objects."""
    return listed.modified_at.isoformat() if utcnow() - listed.modified_at > YOUNG else ""


def _read_key_file() -> Installation | None:
    """The key file, which is not created here."""
    data_dir = settings().data_dir
    return load_or_create(data_dir) if (data_dir / FILE_NAME).exists() else None


def _save_key(folder: Path, at: datetime) -> File | None:
    """Raises OSError."""
    source = settings().data_dir / FILE_NAME
    if not source.exists():
        return None
    path = folder / f"installation-{timestamp(at)}.json"
    with new_file(path) as file:
        file.write(source.read_bytes())
    return file_entry(path)


def _save_catalogue(folder: Path, at: datetime) -> File:
    """Copy it, so that the next run can continue with the partial one if the manifest is not written."""
    path = folder / f"catalogue-{timestamp(at)}.sqlite"
    copy_file(folder / PARTIAL, path)
    return file_entry(path)


def _remove_unneeded(folder: Path, listed: Manifest | None) -> None:
    """Delete backup files that the manifest does not list."""
    remove_temporary(folder)
    remove_temporary(folder / OBJECTS)
    names = {each.name for each in listed.files} if listed else set()
    for path in folder.iterdir():
        if re.match(FILE_NAMES, path.name) and path.name not in names:
            path.unlink()


def _remove_objects(folder: Path, catalogue: Catalogue) -> None:
    for path in (folder / OBJECTS).glob("??/*"):
        if not catalogue.needs(path.name):
            path.unlink()


# Verification: every file against the manifest, and the rows against objects and key.


@dataclass(frozen=True)
class Verified:
    manifest: Manifest
    findings: Findings


def verify_backup(folder: Path) -> Verified:
    """Read the whole backup and check it.

    Raises InvalidInput when there is no complete backup, Damaged when manifest or catalogue cannot be trusted.
    """
    with lock_folder(folder):
        manifest = read_manifest(folder)
        findings = Findings()
        _check_database(folder, manifest, findings)
        keys = _open_keys(folder, manifest, findings)
        with Catalogue.reading(verify_file(folder, manifest.catalogue)) as catalogue:
            for entry in catalogue.entries():
                _check_object(folder, entry, findings)
            _check_rows(catalogue, keys, findings)
    return Verified(manifest, findings)


def find_problems(catalogue: Catalogue, keys: Sequence[str]) -> Findings:
    """The ready videos without their objects, and the sealed values that none of ``keys`` opens."""
    findings = Findings()
    _check_rows(catalogue, keys, findings)
    return findings


def sealing_keys(folder: Path, manifest: Manifest) -> Sequence[str]:
    """The keys that open the backup. Raises Damaged, and InvalidInput when the key that sealed it is missing."""
    key_file = read_installation(folder, manifest)
    keys = available_keys(key_file)
    if manifest.key.source == "installation" and key_file is not None:
        keys = [*keys, key_file.secret_key]
    if manifest.key.fingerprint not in map(security.key_fingerprint, keys):
        raise InvalidInput(
            "The backup was sealed with a SECRET_KEY from the settings, which is not in the backup: set SECRET_KEY to "
            "that of the installation that was backed up."
            if manifest.key.source == "settings"
            else "The backup's key file does not hold the key that sealed its database."
        )
    return keys


def _check_database(folder: Path, manifest: Manifest, findings: Findings) -> None:
    try:
        path = verify_file(folder, manifest.database.file)
        if manifest.database.kind == "sqlite":
            database.check_sqlite(path)
    except Damaged as error:
        findings.add(error.public_message)


def _open_keys(folder: Path, manifest: Manifest, findings: Findings) -> Sequence[str] | None:
    try:
        return sealing_keys(folder, manifest)
    except InvalidInput as error:
        findings.add(error.public_message)
        return None


def _check_object(folder: Path, entry: Entry, findings: Findings) -> None:
    try:
        found = hash_file(folder / entry.path)
    except Damaged as error:
        findings.add(f"{entry.key}: {error.public_message}")
        return
    if (found.size, found.sha256, found.crc32) != (entry.size, entry.sha256, entry.crc32):
        findings.add(
            f"{entry.key}: {folder / entry.path} is damaged. Delete this file: the next backup copies it again."
        )


def _check_rows(catalogue: Catalogue, keys: Sequence[str] | None, findings: Findings) -> None:
    for problem in catalogue.problems():
        findings.add(problem)
    if keys is None:
        return
    for video_id, owner_id, sealed in catalogue.sealed_keys():
        if security.unseal(sealed, owner_id=owner_id, video_id=video_id, keys=keys) is None:
            findings.add(f"{video_id}: its secret key cannot be opened with the SECRET_KEY.")

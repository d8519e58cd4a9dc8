"""Taking a backup while everything runs. Until the new manifest is written, the backup before stays whole."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event

from videovault import logs, security
from videovault.config import settings
from videovault.errors import InvalidInput, StorageError
from videovault.gateways import storage
from videovault.gateways.storage import Listed, ObjectMissing, Storage
from videovault.installation import FILE_NAME, Installation, load_or_create
from videovault.models import utcnow
from videovault.services.maintenance.backup import database
from videovault.services.maintenance.backup import folder as backup_folder
from videovault.services.maintenance.backup import folder as backup_manifest
from videovault.services.maintenance.backup.catalogue import Catalogue, Entry
from videovault.services.maintenance.backup.folder import (
    OBJECTS,
    PARTIAL,
    Damaged,
    Database,
    File,
    FileHash,
    Manifest,
    timestamp,
)
from videovault.services.transfer import standalone
from videovault.services.transfer.engine import RetryPolicy, retry_storage_call

# Whether a backup could be restored: every file against the manifest, and the rows against objects and key.

MAX_NAMED = 20


@dataclass
class Findings:
    """How many things are wrong, with sentences about the first 20."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self.named) < MAX_NAMED:
            self.named.append(sentence)


@dataclass(frozen=True)
class Verified:
    manifest: Manifest
    findings: Findings


def verify(folder: Path) -> Verified:
    """Read the whole backup and compare it with itself.

    Raises InvalidInput when there is no complete backup, Damaged when what lists the others cannot be trusted.
    """
    with backup_folder.lock_folder(_existing(folder)):
        made = backup_manifest.read_manifest(folder)
        findings = Findings()
        _check_database(folder, made, findings)
        keys = _keys(folder, made, findings)
        with Catalogue.reading(backup_manifest.verify_file(folder, made.catalogue)) as catalogue:
            for entry in catalogue.entries():
                _check_object(folder, entry, findings)
            _judge(catalogue, keys, findings)
    return Verified(made, findings)


def find_problems(catalogue: Catalogue, keys: Sequence[str]) -> Findings:
    """The ready videos without their objects, and the sealed values that none of ``keys`` opens."""
    findings = Findings()
    _judge(catalogue, keys, findings)
    return findings


def sealing_keys(folder: Path, made: Manifest) -> Sequence[str]:
    """The keys to open the backup with. Raises Damaged; InvalidInput when they are not those that sealed in it."""
    kept = backup_manifest.read_installation(folder, made)
    keys = backup_manifest.available_keys(kept)
    if made.key.source == "installation" and kept is not None:
        keys = [*keys, kept.secret_key]
    if made.key.fingerprint not in map(security.key_fingerprint, keys):
        raise InvalidInput(
            "The backup was sealed by a SECRET_KEY from the settings, which is not in it: set SECRET_KEY to that of "
            "the installation that was backed up."
            if made.key.source == "settings"
            else "The backup's key file does not hold the key that sealed in its database."
        )
    return keys


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    return folder


def _check_database(folder: Path, made: Manifest, findings: Findings) -> None:
    try:
        path = backup_manifest.verify_file(folder, made.database.file)
        if made.database.kind == "sqlite":
            database.check_sqlite(path)
    except Damaged as error:
        findings.add(error.public_message)


def _keys(folder: Path, made: Manifest, findings: Findings) -> Sequence[str] | None:
    try:
        return sealing_keys(folder, made)
    except InvalidInput as error:
        findings.add(error.public_message)
        return None


def _check_object(folder: Path, entry: Entry, findings: Findings) -> None:
    try:
        found = backup_folder.hash_file(folder / entry.path)
    except Damaged as error:
        findings.add(f"{entry.key}: {error.public_message}")
        return
    if (found.size, found.sha256, found.crc32) != (entry.size, entry.sha256, entry.crc32):
        findings.add(
            f"{entry.key}: {folder / entry.path} is damaged. Delete this file: the next backup copies it again."
        )


def _judge(catalogue: Catalogue, keys: Sequence[str] | None, findings: Findings) -> None:
    for missing in catalogue.missing():
        findings.add(f"{missing.video_id} ({missing.title}): {missing.why}.")
    if keys is None:
        return
    for each in catalogue.sealed():
        if security.unseal(each.value, owner_id=each.owner_id, video_id=each.video_id, keys=keys) is None:
            findings.add(f"{each.video_id}: its secret key does not open by the SECRET_KEY.")


AT_ONCE = 4  # objects, each with a piece of 1 MiB in memory
BATCH = 16
SNAPSHOTS = 3
YOUNG = timedelta(minutes=1)
log = logs.get(__name__)


@dataclass(frozen=True)
class Saved:
    """A finished backup. ``copied`` of its objects, of so many bytes, were not in the folder before."""

    manifest: Manifest
    copied: int
    copied_bytes: int
    continued: bool
    findings: Findings


@dataclass
class _Tally:
    copied: int = 0
    copied_bytes: int = 0


def save(folder: Path) -> Saved:
    """Make ``folder`` a backup of this moment, copying only objects that it does not have yet.

    Raises InvalidInput when the folder holds something else, Conflict when another command uses it,
    ConfigurationError when the database cannot be copied, StorageError, OSError when the disk is full. Run again, it
    continues.
    """
    _check_folder(folder)
    kept = _installation()
    key = backup_manifest.current_key(kept)
    backup_folder.private_folder(folder)
    with backup_folder.lock_folder(folder):
        continued = (folder / PARTIAL).exists()
        last = (
            backup_manifest.read_manifest(folder)
            if (folder / backup_manifest.MANIFEST_NAME).exists()
            else None
        )
        _begin(folder, last)
        _remove_unneeded(folder, last)
        tally, at = _Tally(), utcnow()
        with Catalogue.writing(folder / PARTIAL) as catalogue:
            copied_database = _filled(folder, catalogue, tally, at)
            findings = find_problems(catalogue, backup_manifest.available_keys(kept))
            made = Manifest(
                taken_at=at,
                database=copied_database,
                key=key,
                installation=_save_key(folder, at),
                catalogue=_save_catalogue(folder, at),
                keeps_metadata=storage.connected().keeps_metadata,
                **asdict(catalogue.total()),
            )
            backup_manifest.write_manifest(folder, made)
            _remove_unneeded(folder, made)
            _remove_objects(folder, catalogue)
        (folder / PARTIAL).unlink()
    return Saved(made, tally.copied, tally.copied_bytes, continued, findings)


def prefix_of(vault: Storage) -> str:
    """A bucket on another S3 may hold what is not ours."""
    return "" if vault.is_embedded else "videos/"


def _check_folder(folder: Path) -> None:
    inside, outside = folder.resolve(), settings().data_dir.resolve()
    if inside == outside or outside in inside.parents:
        raise InvalidInput(f"{folder} is inside DATA_DIR and would be lost with it: choose another folder.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    ours = (backup_manifest.MANIFEST_NAME, PARTIAL)
    if any(folder.iterdir()) and not any((folder / name).exists() for name in ours):
        raise InvalidInput(
            f"{folder} holds other files: choose an empty folder, or one with an earlier backup."
        )


def _begin(folder: Path, last: Manifest | None) -> None:
    """A catalogue to write into: that of an interrupted run, else a copy of the last one's, else a new one."""
    backup_folder.private_folder(folder / OBJECTS)
    if last is None or (folder / PARTIAL).exists():
        return
    try:
        backup_folder.copy_file(backup_manifest.verify_file(folder, last.catalogue), folder / PARTIAL)
    except Damaged as error:
        log.warning("every object is copied again", reason=error.public_message)


def _filled(folder: Path, catalogue: Catalogue, tally: _Tally, at: datetime) -> Database:
    """Copy the objects, then the database, then the objects that came meanwhile; so the rows find theirs.

    An object that came and went between two looks was deleted after the snapshot: a later snapshot knows that.
    """
    catalogue.reset_seen()
    _copy_objects(folder, catalogue, 1, tally)
    look = 1
    while True:
        look += 1
        copied = database.snapshot(folder, at, catalogue)
        _copy_objects(folder, catalogue, look, tally)
        catalogue.delete_unseen(look)
        if look > SNAPSHOTS or next(catalogue.missing(), None) is None:
            return copied


def _copy_objects(folder: Path, catalogue: Catalogue, look: int, tally: _Tally) -> None:
    vault, stop = storage.connected(), Event()
    listing = (each for each in vault.objects(prefix_of(vault)) if _has_key(each))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="backup") as pool:
        try:
            while batch := list(islice(listing, BATCH)):
                due = [each for each in batch if not _is_kept(folder, catalogue, each, look)]
                for copied in pool.map(partial(_copied, folder, stop), due):
                    if copied is not None:
                        catalogue.put(copied, look)
                        catalogue.commit()
                        tally.copied += 1
                        tally.copied_bytes += copied.size
                catalogue.commit()
        finally:
            stop.set()  # after a failure, the others need not finish


def _has_key(listed: Listed) -> bool:
    try:
        standalone.checked_key(listed.key)
    except InvalidInput:
        log.warning("object with an impossible key left out", key=listed.key)
        return False
    return True


def _is_kept(folder: Path, catalogue: Catalogue, listed: Listed, look: int) -> bool:
    """Whether the folder has the object's bytes. Its description may be newer, as after a new secret key."""
    known = catalogue.see(listed, look)
    if known is None or backup_folder.file_size(folder / known.path) != known.size:
        return False
    modified = _modified(listed)
    if not modified or modified != known.modified:
        info = storage.connected().info(listed.key)
        if info is None or info.size != known.size or info.crc32 not in (None, known.crc32):
            return False
        catalogue.put(replace(known, modified=modified, described=info.described), look)
    return True


def _copied(folder: Path, stop: Event, listed: Listed) -> Entry | None:
    """The entry of an object whose bytes are in the folder now; None for one that was deleted meanwhile."""

    def check() -> None:
        if stop.is_set():
            raise standalone.TransferStopped

    try:
        return retry_storage_call(lambda: _fetched(folder, listed, check), RetryPolicy(), check)
    except ObjectMissing:
        return None


def _fetched(folder: Path, listed: Listed, check: Callable[[], None]) -> Entry:
    with storage.connected().download(listed.key) as (info, pieces):

        def entry(found: FileHash) -> Entry:
            seen = (listed.key, found.size, info.etag, _modified(listed))
            return Entry(*seen, found.sha256, found.crc32, info.described)

        def place(found: FileHash) -> Path:
            if found.size != info.size or info.crc32 not in (None, found.crc32):
                raise StorageError(f"S3 sent other bytes than it holds of {listed.key}.", retryable=True)
            return folder / entry(found).path

        return entry(backup_folder.write_named(folder / OBJECTS, _unless_stopped(pieces, check), place))


def _unless_stopped(pieces: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        check()
        yield piece


def _modified(listed: Listed) -> str:
    """Empty for what is young: S3 counts whole seconds, so it may still change without another time."""
    return listed.modified_at.isoformat() if utcnow() - listed.modified_at > YOUNG else ""


def _installation() -> Installation | None:
    """The key file, never made here."""
    data_dir = settings().data_dir
    return load_or_create(data_dir) if (data_dir / FILE_NAME).exists() else None


def _save_key(folder: Path, at: datetime) -> File | None:
    """Raises OSError."""
    source = settings().data_dir / FILE_NAME
    if not source.exists():
        return None
    path = folder / f"installation-{timestamp(at)}.json"
    with backup_folder.new_file(path) as file:
        file.write(source.read_bytes())
    return backup_manifest.file_entry(path)


def _save_catalogue(folder: Path, at: datetime) -> File:
    """A copy: should the manifest not be written, the next run goes on with the partial one."""
    path = folder / f"catalogue-{timestamp(at)}.sqlite"
    backup_folder.copy_file(folder / PARTIAL, path)
    return backup_manifest.file_entry(path)


def _remove_unneeded(folder: Path, listed: Manifest | None) -> None:
    """Everything of ours that is not listed; with no manifest yet, what may be needed stays."""
    backup_folder.remove_temporary(folder)
    backup_folder.remove_temporary(folder / OBJECTS)
    names = {each.name for each in listed.files} if listed else set()
    for path in folder.iterdir():
        if re.match(backup_manifest.FILE_NAMES, path.name) and path.name not in names:
            path.unlink()


def _remove_objects(folder: Path, catalogue: Catalogue) -> None:
    for path in (folder / OBJECTS).glob("??/*"):
        if not catalogue.needs(path.name):
            path.unlink()

"""Restore a backup into an empty installation, or with ``force`` replace another, which is set aside.

Events after the backup are unknown, so nothing is repeated that costs money or reaches people outside.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from sqlmodel import Session, col, delete, select, update

from videovault import db, installation, models, security
from videovault.clock import db_now, read_db_now, utcnow
from videovault.config import settings
from videovault.db import transaction
from videovault.errors import Conflict, InvalidInput, StorageError, VideoVaultError
from videovault.gateways import storage, store_capabilities
from videovault.gateways.storage import Listed
from videovault.installation import FILE_NAME, RESTORE_MARKER, Installation
from videovault.models import (
    CopyState,
    Event,
    IdempotencyKey,
    OutboxMessage,
    Status,
    UploadPart,
    Video,
    Worker,
)
from videovault.services.core import audit, lifecycle
from videovault.services.generation.orders import MIN_RENDER_TIMEOUT
from videovault.services.maintenance import identity
from videovault.services.maintenance.backup import database
from videovault.services.maintenance.backup.backup_folder import (
    MAX_MANIFEST_BYTES,
    Damaged,
    Manifest,
    available_keys,
    file_size,
    hash_pieces,
    lock_folder,
    new_file,
    open_file,
    read_file,
    read_installation,
    read_manifest,
    timestamp,
    verify_file,
)
from videovault.services.maintenance.backup.catalogue import Catalogue, Entry
from videovault.services.maintenance.backup.save import Findings, find_problems, prefix_of, sealing_keys
from videovault.services.maintenance.reconcile.compare import VideoWithOwner, object_mismatch, ready_videos
from videovault.services.maintenance.reconcile.report import Kind
from videovault.services.maintenance.reconcile.runner import fail_video
from videovault.services.transfer import playable_copy, response_video, standalone
from videovault.services.transfer.cleanup import NO_UPLOAD
from videovault.services.transfer.engine import RetryPolicy, retry_storage_call
from videovault.services.transfer.engine.uploads import FileUpload
from videovault.services.videos import integrity
from videovault.services.videos.integrity import TagStatus
from videovault.services.videos.sidecar import Sidecar

AT_ONCE = 3  # objects, each with one part in memory
BATCH = 16
WHY = "restored from a backup"
NOT_ORDERED = (
    "A backup from before this video was ordered was restored. Whether the order was sent afterwards is unknown, so "
    "it is not sent automatically."
)
NOT_SENT = "Not sent: a backup was restored, and the notice may have been sent after it was taken."


@dataclass
class UploadedObjects:
    """Uploaded objects, the sum of their sizes, and the objects that were present before."""

    put: int = 0
    bytes: int = 0
    present: int = 0


@dataclass
class Adjusted:
    """Numbers of adjusted rows. The names are stored in an event."""

    queued: int = 0
    not_ordered: int = 0
    awaited: int = 0
    lost: int = 0
    retagged: int = 0
    notices: int = 0
    sessions: int = 0


@dataclass(frozen=True)
class Restored:
    """``aside`` lists where the previous content is kept; ``findings`` are the problems of the backup."""

    manifest: Manifest
    objects: UploadedObjects
    adjusted: Adjusted
    aside: list[str]
    findings: Findings


def restore_backup(
    folder: Path, *, force: bool, storage_running: Callable[[], AbstractContextManager[None]]
) -> Restored:
    """Restore the backup into the configured installation, which nothing else may use.

    The bucket is available inside ``storage_running()``. Before any change, raises InvalidInput, Damaged,
    ConfigurationError, and without ``force`` Conflict for an installation that is not empty. Raises StorageError and
    OSError later; a second run continues.
    """
    with lock_folder(folder):
        manifest = read_manifest(folder)
        database.check_restorable(folder, manifest.database)
        if manifest.database.kind == "sqlite":
            database.check_sqlite(folder / manifest.database.file.name)
        key_file = read_installation(folder, manifest)
        keys = _check_keys(folder, manifest, key_file)
        with Catalogue.reading(verify_file(folder, manifest.catalogue)) as catalogue:
            findings = find_problems(catalogue, keys)
            _check_target(manifest, force=force)
            return _restore(folder, manifest, key_file, catalogue, findings, storage_running, force=force)


def _check_keys(folder: Path, manifest: Manifest, key_file: Installation | None) -> list[str]:
    """The keys of the restored installation. Raises InvalidInput when they would not open the backup."""
    sealing_keys(folder, manifest)
    keys = list(available_keys(key_file))
    if manifest.key.fingerprint not in map(security.key_fingerprint, keys):
        raise InvalidInput(
            "SECRET_KEY is set to another key than the one in the backup: leave SECRET_KEY empty, or put the "
            "key from the backup's installation file into SECRET_KEY_OLD."
        )
    return keys


def _check_target(manifest: Manifest, *, force: bool) -> None:
    """An interrupted restore of this backup may continue."""
    if force or _is_interrupted(manifest):
        return
    if _marker_path().exists():
        raise Conflict(
            f"The restore of another backup into {settings().data_dir} was interrupted. Finish that restore, or use --force."
        )
    found = database.target()
    if not found.is_empty:
        raise Conflict(
            f"There is an installation already: its database holds {found.users:,} accounts and {found.videos:,} "
            "videos. Restore into an empty DATA_DIR or database, or use --force, which sets this one aside."
        )


def _restore(
    folder: Path,
    manifest: Manifest,
    key_file: Installation | None,
    catalogue: Catalogue,
    findings: Findings,
    storage_running: Callable[[], AbstractContextManager[None]],
    *,
    force: bool,
) -> Restored:
    at = utcnow()
    settings().data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside, undo = _put_key(key_file, at, force=force)
    with storage_running(), store_capabilities.without_memory():
        try:
            _check_bucket(catalogue, prefix_of(storage.connected()), force=force)
        except VideoVaultError:
            undo()
            raise
        with _restore_marker(manifest):
            objects = _upload_objects(folder, catalogue)
            aside += database.set_aside(at)
            database.restore(folder, manifest.database)
            db.migrate()
            adjusted = _adjust_rows(manifest, catalogue)
    return Restored(manifest, objects, adjusted, aside, findings)


def _put_key(
    key_file: Installation | None, at: datetime, *, force: bool
) -> tuple[list[str], Callable[[], None]]:
    """Put the key file into DATA_DIR. Returns where the previous one is kept, and a function that undoes it."""
    path = settings().data_dir / FILE_NAME
    if key_file is None or _has_same_keys(path, key_file):
        return [], lambda: None
    aside = path.with_name(f"{FILE_NAME}.{database.SET_ASIDE}{timestamp(at)}")
    if path.exists():
        if not force:
            raise Conflict(
                f"{path} holds other keys than the backup; data sealed with them would be lost. Restore into an empty "
                "DATA_DIR, or use --force, which sets the file aside."
            )
        path.replace(aside)
    installation.restore(path.parent, key_file)
    settings.cache_clear()

    def undo() -> None:
        path.unlink(missing_ok=True)
        if aside.exists():
            aside.replace(path)
        settings.cache_clear()

    return [str(aside)] if aside.exists() else [], undo


def _has_same_keys(path: Path, key_file: Installation) -> bool:
    """Ignores ports."""
    if not path.exists():
        return False
    try:
        existing = installation.load_or_create(path.parent)
    except ValueError:
        return False
    names = ("secret_key", "s3_access_key", "s3_secret_key")
    return all(getattr(existing, name) == getattr(key_file, name) for name in names)


@contextmanager
def _restore_marker(manifest: Manifest) -> Iterator[None]:
    with new_file(_marker_path()) as file:
        file.write(manifest.catalogue.sha256.encode())
    yield
    _marker_path().unlink()


def _is_interrupted(manifest: Manifest) -> bool:
    """Whether a restore of this backup was interrupted here."""
    marker = _marker_path()
    return marker.exists() and read_file(marker, MAX_MANIFEST_BYTES) == manifest.catalogue.sha256.encode()


def _marker_path() -> Path:
    return settings().data_dir / RESTORE_MARKER


# The objects.


def _check_bucket(catalogue: Catalogue, prefix: str, *, force: bool) -> None:
    """Mark the objects that the bucket already has.

    Without ``force``, raises Conflict when it has objects that are not in the backup or differ from it.
    """
    foreign, different = 0, 0
    for listed in storage.connected().objects(prefix):
        entry = catalogue.find(listed.key)
        if entry is None:
            foreign += 1
        elif _is_same(listed, entry):
            catalogue.mark_present(entry.key)
        else:
            different += 1
    if (foreign or different) and not force:
        raise Conflict(
            f"The bucket is not empty: {foreign:,} of its objects are not in the backup, and {different:,} differ "
            "from it. Restore into an empty bucket, or use --force: it replaces those that differ and "
            "leaves the rest."
        )


def _upload_objects(folder: Path, catalogue: Catalogue) -> UploadedObjects:
    """Upload the objects that the bucket does not have. Raises Damaged, StorageError."""
    uploaded, stop = UploadedObjects(), threading.Event()
    entries = catalogue.entries()
    # The embedded S3 sometimes fails when two objects create the same folder at once.
    at_once = 1 if storage.connected().is_embedded else AT_ONCE
    with ThreadPoolExecutor(at_once, thread_name_prefix="restore") as pool:
        try:
            while batch := list(islice(entries, BATCH)):
                missing = [each for each in batch if not catalogue.is_present(each.key)]
                uploaded.present += len(batch) - len(missing)
                for entry in pool.map(partial(_upload_object, folder, stop), missing):
                    uploaded.put += 1
                    uploaded.bytes += entry.size
        finally:
            stop.set()
    return uploaded


def _is_same(listed: Listed, entry: Entry) -> bool:
    if listed.size != entry.size:
        return False
    if listed.etag.strip('"') in (entry.etag, f"{entry.crc32:08x}"):
        return True
    info = storage.connected().info(entry.key)
    if info is None or info.crc32 is not None:
        return info is not None and info.crc32 == entry.crc32
    with storage.connected().download(entry.key) as (_, pieces):
        return hash_pieces(pieces).sha256 == entry.sha256


def _upload_object(folder: Path, stop: threading.Event, entry: Entry) -> Entry:
    def check() -> None:
        if stop.is_set():
            raise standalone.TransferStopped

    storage.check_s3_disk_space(entry.size)
    path = folder / entry.path
    if file_size(path) != entry.size:
        raise Damaged(f"{path}, the object {entry.key}, is missing or incomplete.")
    with open_file(path) as file:
        content = cast("BinaryIO", _VerifiedFile(file, path, entry))
        upload = FileUpload(storage.connected(), entry.key, content, entry.size, entry.described, check)
        retry_storage_call(upload.run, RetryPolicy(), check)  # S3 may hold something else than was sent
    return entry


class _VerifiedFile:
    """An object's file; its last bytes are only returned if the whole content is that of the backup."""

    def __init__(self, file: BinaryIO, path: Path, entry: Entry) -> None:
        self._file = file
        self._path = path
        self._entry = entry
        self._sha256 = hashlib.sha256()

    def seek(self, offset: int) -> int:
        self._sha256 = hashlib.sha256()
        return self._file.seek(offset)

    def read(self, count: int) -> bytes:
        """Raises Damaged."""
        content = self._file.read(count)
        self._sha256.update(content)
        is_end = self._file.tell() >= self._entry.size
        if len(content) < count or (is_end and self._sha256.hexdigest() != self._entry.sha256):
            raise Damaged(f"{self._path}, the object {self._entry.key}, is damaged: its checksum differs.")
        return content


# The rows: no worker holds them, and no notice is still to be sent.


def _adjust_rows(manifest: Manifest, catalogue: Catalogue) -> Adjusted:
    """Adjust a restored database to its new surroundings before any worker uses it. Raises StorageError."""
    adjusted = Adjusted()
    with transaction() as session:
        adjusted.notices = session.exec(
            update(OutboxMessage)
            .where(col(OutboxMessage.next_attempt_at).is_not(None))
            .values(next_attempt_at=None, last_error=NOT_SENT)
        ).rowcount
        adjusted.sessions = session.exec(delete(models.Session)).rowcount
        session.exec(delete(Worker))
        session.exec(delete(UploadPart))
        identity.reset(session)
        running = col(IdempotencyKey.status_code).is_(None)
        session.exec(update(IdempotencyKey).where(running).values(lease_until=utcnow()))
        _adjust_unfinished(session, adjusted)
    _adjust_ready(adjusted, catalogue)
    with transaction() as session:
        detail = {"takenAt": manifest.taken_at.isoformat(), **vars(adjusted)}
        session.add(Event(kind="restored", detail=detail))
    return adjusted


def _adjust_unfinished(session: Session, adjusted: Adjusted) -> None:
    """Uploads and workers are elsewhere, so an interrupted transfer restarts from its source."""
    unfinished = col(Video.status) != Status.READY
    released = {**response_video.RELEASED_COLUMNS, **NO_UPLOAD}
    session.exec(update(Video).where(unfinished).values(**released))
    earliest_deadline = read_db_now(session) + MIN_RENDER_TIMEOUT
    for video in session.exec(select(Video).where(Video.status == Status.STORING)):
        adjusted.queued += lifecycle.transition(
            session, video, Status.QUEUED, by="repair", why=WHY, bytes_done=0, bytes_total=None
        )
    for video in session.exec(select(Video).where(Video.status == Status.GENERATING)):
        if video.requested_at is None:
            failed = {"error_code": "RESTORED", "error_message": NOT_ORDERED, "next_ask_at": None}
            adjusted.not_ordered += lifecycle.transition(
                session, video, Status.FAILED, by="repair", why=NOT_ORDERED, **failed
            )
        else:
            until = max(video.deadline_at or earliest_deadline, earliest_deadline)
            adjusted.awaited += lifecycle.update_if_unchanged(session, video, deadline_at=until)


def _adjust_ready(adjusted: Adjusted, catalogue: Catalogue) -> None:
    vault = storage.connected()
    for owned in ready_videos():
        video = owned.video
        info = vault.info(str(video.s3_key))
        kind = object_mismatch(video, info)
        if kind is not None or info is None:
            adjusted.lost += fail_video(video, kind or Kind.MISSING_OBJECT, by="repair", why=WHY)
            continue
        is_renamed, video.etag = info.etag != video.etag, info.etag
        if is_renamed or not _has_sidecar(catalogue, owned):
            with transaction() as session:
                lifecycle.update_if_unchanged(session, video, etag=info.etag, sidecar_due_at=db_now())
        _adjust_copy(video)
        if integrity.tag_status(video, info) != TagStatus.RIGHT:
            adjusted.retagged += _tag(video)


def _adjust_copy(video: Video) -> None:
    """ETags differ between stores. A missing copy is made again."""
    if video.copy_state != CopyState.READY or not video.copy_key:
        return
    info = storage.connected().info(video.copy_key)
    if info is None or info.size != video.copy_size:
        playable_copy.remake(video)
    elif info.etag != video.copy_etag:
        with transaction() as session:
            lifecycle.update_if_unchanged(session, video, copy_etag=info.etag)


def _has_sidecar(catalogue: Catalogue, owned: VideoWithOwner) -> bool:
    """Whether the restored sidecar matches the row. It may be newer than the database's snapshot."""
    wanted = Sidecar.of(owned.video, owned.owner)
    found = catalogue.find(wanted.key)
    return found is not None and found.sha256 == hashlib.sha256(wanted.content()).hexdigest()


def _tag(video: Video) -> bool:
    """The bytes are verified, but the previous store kept no tags, or the key was replaced after the backup."""
    with transaction() as session:
        session.add(Event(kind=audit.REBUILT, video_id=video.id))
    try:
        return integrity.tag(video)
    except StorageError:
        return False

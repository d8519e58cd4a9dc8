"""Putting a backup back: into an empty installation, or with force in the place of another, which is set aside."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from videovault import db, installation, security
from videovault.config import settings
from videovault.errors import Conflict, InvalidInput, VideoVaultError
from videovault.gateways import storage, store_capabilities
from videovault.installation import FILE_NAME, RESTORE_MARKER, Installation
from videovault.models import now
from videovault.services.maintenance.backup import database, files, returning
from videovault.services.maintenance.backup import manifest as backup_manifest
from videovault.services.maintenance.backup.catalogue import Catalogue
from videovault.services.maintenance.backup.manifest import Manifest, stamp
from videovault.services.maintenance.backup.returning import Returned
from videovault.services.maintenance.backup.saving import prefix_of
from videovault.services.maintenance.backup.settling import Settled, settle
from videovault.services.maintenance.backup.verifying import Findings, judged, keys_of


@dataclass(frozen=True)
class Restored:
    """``aside`` says where what was there before is kept; ``findings`` are what the backup lacked."""

    manifest: Manifest
    objects: Returned
    settled: Settled
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
    with files.locked(folder):
        made = backup_manifest.read(folder)
        database.check_restorable(folder, made.database)
        if made.database.kind == "sqlite":
            database.check_sqlite(folder / made.database.file.name)
        kept = backup_manifest.installation_of(folder, made)
        keys = _keys(folder, made, kept)
        with Catalogue.reading(backup_manifest.check(folder, made.catalogue)) as catalogue:
            findings = judged(catalogue, keys)
            _check_target(made, force=force)
            return _restored(folder, made, kept, catalogue, findings, storage_running, force=force)


def _keys(folder: Path, made: Manifest, kept: Installation | None) -> list[str]:
    """The keys that the restored installation will have. Raises InvalidInput when they would open nothing."""
    keys_of(folder, made)
    keys = list(backup_manifest.keys_with(kept))
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
    at = now()
    settings().data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside, undo = _put_key(kept, at, force=force)
    with storage_running(), store_capabilities.kept_nowhere():
        try:
            returning.check_bucket(catalogue, prefix_of(storage.connected()), force=force)
        except VideoVaultError:
            undo()
            raise
        with _marked_as_unfinished(made):
            objects = returning.put_objects(folder, catalogue)
            aside += database.set_aside(at)
            database.put(folder, made.database)
            db.migrate()
            settled = settle(made, catalogue)
    return Restored(made, objects, settled, aside, findings)


def _put_key(kept: Installation | None, at: datetime, *, force: bool) -> tuple[list[str], Callable[[], None]]:
    """Put the key file into DATA_DIR; where one that was there is now, and what takes it all back."""
    path = settings().data_dir / FILE_NAME
    if kept is None or _has_keys_of(path, kept):
        return [], lambda: None
    aside = path.with_name(f"{FILE_NAME}.{database.SET_ASIDE}{stamp(at)}")
    if path.exists():
        if not force:
            raise Conflict(
                f"{path} holds other keys than the backup: what they sealed would be lost. Restore into an empty "
                "DATA_DIR, or use --force, which sets the file aside."
            )
        path.replace(aside)
    installation.put_back(path.parent, kept)
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
    with files.new(_marker()) as file:
        file.write(made.catalogue.sha256.encode())
    yield
    _marker().unlink()


def _continues(made: Manifest) -> bool:
    """Whether a restore of this very backup was interrupted here."""
    marker = _marker()
    return (
        marker.exists() and files.read(marker, backup_manifest.MOST_BYTES) == made.catalogue.sha256.encode()
    )


def _marker() -> Path:
    return settings().data_dir / RESTORE_MARKER

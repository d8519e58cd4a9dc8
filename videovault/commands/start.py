"""Checks before every command: DATA_DIR is private, and the keys open the database."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from videovault import data_dir, logs
from videovault.config import Settings
from videovault.errors import ConfigurationError
from videovault.services.maintenance import keys

MAX_LISTED = 3
# Other files in the folder may belong to the system, as on a mounted disk.
OWN_NAMES = ("installation.json", "videovault.db", "queue.db", "embedded.lock", "s3", "rclone", "studio")
log = logs.get(__name__)


def prepare_data_dir(chosen: Settings) -> data_dir.Permissions:
    """Create DATA_DIR, and remove the permissions of other users in it.

    Raises ConfigurationError when this user cannot use the folder or its content.
    """
    folder = chosen.data_dir
    try:
        folder.mkdir(mode=data_dir.PRIVATE_FOLDER, parents=True, exist_ok=True)
        if data_dir.is_shared(folder):
            raise ConfigurationError(
                f"DATA_DIR ({folder}) is writable by all users: use a separate folder, such as {folder / 'videovault'}."
            )
        _check_usable(folder)
        return data_dir.make_private(folder, _databases(chosen))
    except OSError as error:
        raise ConfigurationError(
            f"DATA_DIR ({folder}) cannot be used: {error.strerror or error}. It has to be a writable folder."
        ) from error


def report_permissions(found: data_dir.Permissions, folder: Path) -> None:
    """Log a line for corrected permissions, and one for those that could not be corrected."""
    if found.corrected:
        log.warning(
            "permissions corrected: other users could read these", data_dir=str(folder), files=found.corrected
        )
    if found.not_corrected:
        log.warning(
            "other users can read files that belong to another user or lie on a file system without permissions: "
            "change their owner (chown) or move DATA_DIR",
            data_dir=str(folder),
            files=len(found.not_corrected),
            first=[str(path) for path in found.not_corrected[:MAX_LISTED]],
        )


def check_keys() -> None:
    """Raises ConfigurationError when the keys do not open the database, or it is unavailable."""
    try:
        keys.verify_keys()
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigurationError(
            f"The database cannot be used: {reason}. Check DATABASE_URL, or run `python -m videovault migrate` first."
        ) from error


def _check_usable(folder: Path) -> None:
    found = data_dir.first_inaccessible(folder, OWN_NAMES)
    if found:
        raise ConfigurationError(
            f"DATA_DIR ({folder}) cannot be used: {found} belongs to {data_dir.owner_name(found)} and is not accessible "
            f"to {data_dir.user_name(os.geteuid())}, who runs VideoVault. Change its owner (chown -R) or its permissions."
        )
    with tempfile.TemporaryFile(dir=folder):  # the only way to detect a read-only file system
        pass


def _databases(chosen: Settings) -> Iterator[Path]:
    """The SQLite files, which may be outside DATA_DIR."""
    for dsn in (chosen.database_dsn, chosen.queue_dsn):
        if dsn.startswith("sqlite") and (name := make_url(dsn).database):
            yield from (Path(name + suffix) for suffix in ("", "-wal", "-shm"))

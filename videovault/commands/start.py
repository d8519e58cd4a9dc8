"""What every command does before its work: DATA_DIR is closed to other users, and the keys open the database."""

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

SHOWN = 3
# Of a folder that is a mounted disk, other things in it belong to the system.
KEPT = ("installation.json", "videovault.db", "queue.db", "embedded.lock", "s3", "rclone", "studio")
log = logs.get(__name__)


def prepare_data_dir(chosen: Settings) -> data_dir.Permissions:
    """Make DATA_DIR, and take from other users what permissions they have in it.

    Raises ConfigurationError when it, or what is in it, cannot be used by this user.
    """
    folder = chosen.data_dir
    try:
        folder.mkdir(mode=data_dir.PRIVATE_FOLDER, parents=True, exist_ok=True)
        if data_dir.is_shared(folder):
            raise ConfigurationError(
                f"DATA_DIR ({folder}) is a folder of all users: give VideoVault one of its own, such as {folder / 'videovault'}."
            )
        _check_usable(folder)
        return data_dir.make_private(folder, _databases(chosen))
    except OSError as error:
        raise ConfigurationError(
            f"DATA_DIR ({folder}) cannot be used: {error.strerror or error}. It has to be a folder that can be written."
        ) from error


def report_permissions(found: data_dir.Permissions, folder: Path) -> None:
    """One line for what was corrected, one for what could not be."""
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
            first=[str(path) for path in found.not_corrected[:SHOWN]],
        )


def check_keys() -> None:
    """Raises ConfigurationError when the keys are not those of the database, or the database cannot be asked."""
    try:
        keys.verify_keys()
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigurationError(
            f"The database cannot be used: {reason}. Check DATABASE_URL, or run `python -m videovault migrate` first."
        ) from error


def _check_usable(folder: Path) -> None:
    found = data_dir.first_inaccessible(folder, KEPT)
    if found:
        raise ConfigurationError(
            f"DATA_DIR ({folder}) cannot be used: {found} belongs to {data_dir.owner_name(found)} and is closed to "
            f"{data_dir.user_name(os.geteuid())}, who runs VideoVault. Change its owner (chown -R) or its permissions."
        )
    with tempfile.TemporaryFile(
        dir=folder
    ):  # the only way to learn of a file system that is mounted read-only
        pass


def _databases(chosen: Settings) -> Iterator[Path]:
    """The SQLite files, which may lie outside DATA_DIR."""
    for dsn in (chosen.database_dsn, chosen.queue_dsn):
        if dsn.startswith("sqlite") and (name := make_url(dsn).database):
            yield from (Path(name + suffix) for suffix in ("", "-wal", "-shm"))

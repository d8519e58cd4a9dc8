"""Checks before the commands that need no database: DATA_DIR is private and usable, and the settings suit the command."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from videovault import installation, logs
from videovault.config import Settings
from videovault.errors import ConfigurationError

MAX_LISTED = 3
MIN_FREE_BYTES = 500 * 1024**2
# Other files in the folder may belong to the system, as on a mounted disk.
OWN_NAMES = ("installation.json", "videovault.db", "queue.db", "embedded.lock", "s3", "rclone", "studio")
log = logs.get(__name__)


def prepare_data_dir(chosen: Settings) -> installation.Permissions:
    """Create DATA_DIR, and remove the permissions of other users in it.

    Raises ConfigurationError when this user cannot use the folder or its content.
    """
    folder = chosen.data_dir
    try:
        folder.mkdir(mode=installation.PRIVATE_FOLDER, parents=True, exist_ok=True)
        if installation.is_shared(folder):
            raise ConfigurationError(
                f"DATA_DIR ({folder}) is writable by all users: use a separate folder, such as {folder / 'videovault'}."
            )
        _check_usable(folder)
        return installation.make_private(folder, _databases(chosen))
    except OSError as error:
        raise ConfigurationError(
            f"DATA_DIR ({folder}) cannot be used: {error.strerror or error}. It has to be a writable folder."
        ) from error


def report_permissions(found: installation.Permissions, folder: Path) -> None:
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


def check_restore_finished(chosen: Settings) -> None:
    """Refuse to start on half-restored data."""
    if (chosen.data_dir / installation.RESTORE_MARKER).exists():
        raise ConfigurationError(
            f"A restore into {chosen.data_dir} was interrupted. Run `python -m videovault restore` again with the same "
            "folder to continue."
        )


def check_disk(chosen: Settings) -> None:
    """Refuse to start on a full disk, since later errors would be less clear."""
    free = shutil.disk_usage(chosen.data_dir).free
    if chosen.uses_embedded_s3 and free < MIN_FREE_BYTES:
        raise ConfigurationError(
            f"The disk is nearly full: {free // 1024**2} MB are free in {chosen.data_dir}, and the videos are "
            "stored there. Free some space, or set DATA_DIR to another disk."
        )


def check_shared_parts(chosen: Settings) -> None:
    """Refuse to serve pages whose videos no worker elsewhere could make or store."""
    missing = {
        "AWS_S3_BUCKET_NAME": chosen.uses_embedded_s3,
        "SCRIPT_WEBHOOK_URL": chosen.script_webhook_url is None,
        "VIDEO_WEBHOOK_URL": chosen.video_webhook_url is None,
    }
    names = [name for name, is_missing in missing.items() if is_missing]
    if names:
        raise ConfigurationError(
            f"`web` starts no S3, no studio and no worker of its own: set {', '.join(names)} (an empty webhook means "
            "none), or start everything on this machine with `run`."
        )


def _check_usable(folder: Path) -> None:
    found = installation.first_inaccessible(folder, OWN_NAMES)
    if found:
        raise ConfigurationError(
            f"DATA_DIR ({folder}) cannot be used: {found} belongs to {installation.owner_name(found)} and is not accessible "
            f"to {installation.user_name(os.geteuid())}, who runs VideoVault. Change its owner (chown -R) or its permissions."
        )
    with tempfile.TemporaryFile(dir=folder):  # the only way to detect a read-only file system
        pass


def _databases(chosen: Settings) -> Iterator[Path]:
    """The SQLite files, which may be outside DATA_DIR."""
    for dsn in (chosen.database_dsn, chosen.queue_dsn):
        scheme, _, name = dsn.partition("?")[0].partition(":///")
        if scheme.startswith("sqlite") and name:
            yield from (Path(name + suffix) for suffix in ("", "-wal", "-shm"))

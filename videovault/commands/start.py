"""Steps and checks before the commands: DATA_DIR is private, the database up to date, and the keys open it."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from videovault import db, installation, logs
from videovault.config import Settings, settings
from videovault.errors import ConfigurationError
from videovault.services.maintenance import identity, keys

MAX_LISTED = 3
MIGRATE_COMMAND = "python -m videovault migrate"
POLL_SECONDS, LOG_SECONDS = 0.5, 10.0
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


def prepare_database() -> None:
    """Wait for the database and bring it up to date, or wait until another process has, with MIGRATE=off.

    Raises ConfigurationError when it cannot be used.
    """
    if settings().migrate == "on":
        _wait(_database_problem)
        migrate()
    else:
        wait_for_schema()


def migrate() -> None:
    """Bring the database and the queue up to date. Raises ConfigurationError when one cannot be used."""
    try:
        db.migrate()
        identity.record_version()
    except SQLAlchemyError as error:
        raise ConfigurationError(f"{_describe(error)} Check DATABASE_URL.") from error
    if settings().uses_postgres_queue:
        _create_queue_tables()


def wait_for_schema() -> None:
    """Wait for the tables of this version. Raises ConfigurationError after START_WAIT_SECONDS."""
    _wait(_schema_problem)


def check_keys() -> None:
    """Raises ConfigurationError when the keys do not open the database, or it is unavailable."""
    _check_keys(keys.verify_keys)


def join_as_worker() -> None:
    """Raises ConfigurationError when this worker's key or settings are not those of the installation.

    A worker that is refused has recorded nothing, and only a worker of a local database may give it its first key.
    """
    is_shared = not settings().database_dsn.startswith("sqlite")
    _check_keys(partial(keys.compare_keys, is_shared=is_shared))
    identity.check(identity.Role.WORKER)
    if is_shared and not identity.is_recorded():
        from videovault.services.maintenance import startup_check  # loads boto3

        startup_check.check_newest_video_is_stored()
    identity.record(identity.Role.WORKER)
    if not is_shared:
        check_keys()


def _check_keys(check: Callable[[], None]) -> None:
    try:
        check()
    except SQLAlchemyError as error:
        raise ConfigurationError(
            f"{_describe(error)} Check DATABASE_URL, or run `{MIGRATE_COMMAND}` first."
        ) from error


def _create_queue_tables() -> None:
    from videovault import worker  # takes 100 ms, which other queues do not need

    try:
        worker.queue()
    except Exception as error:  # of a client library that is not imported here
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(f"The queue cannot be used: {reason}. Check QUEUE_URL.") from error


def _wait(find_problem: Callable[[], str]) -> None:
    """Until there is none. Raises ConfigurationError with the problem after START_WAIT_SECONDS."""
    seconds = settings().start_wait_seconds
    until = time.monotonic() + seconds
    logged_at = float("-inf")
    while problem := find_problem():
        if time.monotonic() >= until:
            waited = f" VideoVault has waited {seconds:.0f} seconds." if seconds else ""
            raise ConfigurationError(f"{problem}{waited}")
        if time.monotonic() - logged_at >= LOG_SECONDS:
            logged_at = time.monotonic()
            log.warning("waiting to start", reason=problem)
        time.sleep(POLL_SECONDS)


def _database_problem() -> str:
    """Why a database of another machine does not answer; empty if it does."""
    if settings().database_dsn.startswith("sqlite"):
        return ""
    try:
        with db.engine().connect():
            return ""
    except SQLAlchemyError as error:
        return f"{_describe(error)} Check DATABASE_URL."


def _schema_problem() -> str:
    """Raises ConfigurationError for tables of a later version."""
    try:
        behind = db.schema_behind()
    except SQLAlchemyError as error:
        return f"{_describe(error)} Check DATABASE_URL."
    if behind:
        found = "no tables" if behind == "none" else f"the schema {behind}"
        return (
            f"The database has {found}, and this version of VideoVault needs {db.known_revisions()[0]}: "
            f"run `{MIGRATE_COMMAND}`, or start the app, which migrates unless MIGRATE=off."
        )
    return _queue_problem() if settings().uses_postgres_queue else ""


def _queue_problem() -> str:
    from videovault import postgres  # its driver takes 100 ms to import

    problem = postgres.queue_problem(settings().queue_dsn)
    hint = f"Check QUEUE_URL, or run `{MIGRATE_COMMAND}`."
    return f"The queue cannot be used: {problem}. {hint}" if problem else ""


def _describe(error: SQLAlchemyError) -> str:
    return f"The database cannot be used: {str(error.__cause__ or error).splitlines()[0]}."


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
        if dsn.startswith("sqlite") and (name := make_url(dsn).database):
            yield from (Path(name + suffix) for suffix in ("", "-wal", "-shm"))

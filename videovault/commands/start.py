"""Steps and checks of commands that need the database: it is up to date, and the keys open it."""

import time
from collections.abc import Callable
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from videovault import db, logs
from videovault.config import settings
from videovault.errors import ConfigurationError
from videovault.services.maintenance import identity, keys

MIGRATE_COMMAND = "python -m videovault migrate"
POLL_SECONDS, LOG_SECONDS = 0.5, 10.0
log = logs.get(__name__)


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

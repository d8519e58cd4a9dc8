"""The database engine and the two ways to use it: ``transaction()`` to write, ``reading()`` to read."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Engine,
    Update,
    delete,
    event,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session, create_engine

from videovault import __version__, counters, logs, search_index
from videovault.backoff import exponential
from videovault.config import settings
from videovault.errors import ConfigurationError, DiskFull
from videovault.installation import POLL_SECONDS, directory_lock

BUSY_SECONDS = 15
POOL_SECONDS = 10.0  # to wait for a connection while all are in use
# How long a read waits for the lock to write beside it: an audit entry, and a last-seen time.
AUDIT_LOCK_SECONDS, LAST_SEEN_LOCK_SECONDS = 2.0, 0.25
MIGRATION_LOCK = "migrate"
# How long a process waits for another one that migrates: indexes of a million rows take two to three minutes.
MIGRATION_SECONDS = 600.0
ALEMBIC_INI = Path(__file__).parent.parent / "alembic.ini"
POSTGRES_DISK_FULL = "53100"
POSTGRES_READ_ONLY = "25006"  # during a failover
SQLITE_UNAVAILABLE = (
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
)
RETRY_SECONDS = (0.5, 5.0)  # the first and the longest pause of ``keep_trying``
FILLER = "disk_reserve_filler"
# The reserve for essential writes, such as signing in and deleting, on a full disk.
RESERVE_BYTES = 8 * 1024**2  # thousands of rows, and twice SQLite's log
LOG_BYTES = 5 * 1024**2  # SQLite starts to overwrite its log at 1,000 pages
LOW_PAGE_BYTES = 256 * 1024
STEP_BYTES = 1024**2
# Non-essential writes leave this much free: more than a step, so that they do not use up a released step.
MIN_FREE_BYTES = 4 * 1024**2
T = TypeVar("T")
log = logs.get(__name__)


@lru_cache(maxsize=1)
def engine() -> Engine:
    """The process's only engine, created at first use so that an import opens no connection."""
    return make_engine(settings().database_dsn)


def make_engine(dsn: str, *, long_statements: bool = False) -> Engine:
    """``long_statements``: without the limits of a page or a request."""
    url = make_url(dsn)
    if url.get_backend_name() != "sqlite":
        return _make_postgres_engine(url, long_statements=long_statements)
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    if url.database and url.database != ":memory:":
        event.listen(engine, "do_connect", partial(_make_room_to_open, Path(url.database)))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_postgres_engine(url: URL, *, long_statements: bool) -> Engine:
    from videovault import postgres  # its driver takes 100 ms to import

    def connect(_dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        connection = postgres.connect(*arguments, **options)
        if long_statements:
            connection.lift_time_limit()
        return connection

    def ping(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Replaces pool_pre_ping, which would wait as long as for a statement, for each connection of the pool."""
        if not record.info.setdefault("was_used", False):
            record.info["was_used"] = True
            return
        try:
            with connection.answering_within(postgres.PING_SECONDS):
                made.dialect.do_ping(connection)
        except postgres.Error as error:
            raise InvalidatePoolError from error

    made = create_engine(url, pool_timeout=POOL_SECONDS)
    event.listen(made, "do_connect", connect)
    event.listen(made, "checkout", ping)
    return made


@contextmanager
def engine_for_long_statements() -> Iterator[Engine]:
    """For statements that take long, such as those of a migration. Its connections are closed at the end of the block."""
    if not is_postgres():
        yield engine()
        return
    made = make_engine(settings().database_dsn, long_statements=True)
    try:
        yield made
    finally:
        made.dispose()


def is_postgres() -> bool:
    return engine().dialect.name == "postgresql"


@contextmanager
def transaction(*, essential: bool = False, lock_timeout: float = BUSY_SECONDS) -> Iterator[Session]:
    """One unit of work: committed at the end, or rolled back.

    ``essential``: may use the disk reserve, because it signs people in, frees space or finishes work in progress.
    ``lock_timeout``: seconds to wait for the write lock. Raises DiskFull.
    """
    with _translate_full_disk():
        if not essential:
            check_database_disk_space()
        with Session(engine(), expire_on_commit=False) as session, session.begin():
            # SQLite refuses to upgrade a reading transaction while another one writes. One that begins as a
            # writing transaction waits instead.
            options = {"sqlite_begin": "IMMEDIATE", "lock_timeout": lock_timeout}
            connection = session.connection(execution_options=options)
            if essential:
                _open_reserve(connection)
            if lock_timeout != BUSY_SECONDS and connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = {round(lock_timeout * 1000)}"))
            yield session


def is_unavailable(error: BaseException) -> bool:
    """Whether the database cannot be reached, or is too busy, so that the same call may succeed later."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in SQLITE_UNAVAILABLE
    is_standby = getattr(error.orig, "sqlstate", None) == POSTGRES_READ_ONLY
    return error.connection_invalidated or is_standby or isinstance(error, OperationalError | InterfaceError)


def keep_trying(write: Callable[[], T], *, seconds: float, is_retryable: Callable[[Exception], bool]) -> T:
    """Call ``write`` again after retryable errors of the database, for ``seconds`` at most."""
    until = time.monotonic() + seconds
    failures = 0
    while True:
        try:
            return write()
        except (SQLAlchemyError, DiskFull) as error:
            if not is_retryable(error) or time.monotonic() >= until:
                raise
            failures += 1
            log.warning("not recorded yet, trying again", reason=type(error).__name__, failures=failures)
        time.sleep(exponential(*RETRY_SECONDS, failures))


def try_write(what: str, change: Callable[[Session], object], *, lock_timeout: float) -> None:
    """Run ``change`` in its own transaction; if that fails, log it and go on, since no read may fail because of it."""
    try:
        with transaction(lock_timeout=lock_timeout) as session:
            change(session)
    except DiskFull as error:
        log.warning("write dropped", what=what, reason=error.public_message)
    except SQLAlchemyError as error:
        log.warning("write dropped", what=what, reason=type(error).__name__)


def check_database_disk_space() -> None:
    """Raises DiskFull if a transaction that is not essential would."""
    reserve = _reserve()
    if reserve:
        with _ignore_unreadable_disk():
            reserve.check()


def refill_disk_reserve() -> None:
    """Refill the reserve for essential writes if the disk has room."""
    reserve = _reserve()
    if reserve is None or not reserve.can_be_refilled():
        return
    reserve.fill()
    with reading() as session:
        is_full = reserve.is_full(_free_pages(session.connection()))
    if not is_full:  # committed in between: in one transaction SQLite would not write the pages at all
        filler = f"CREATE TABLE {FILLER} AS SELECT randomblob({RESERVE_BYTES}) AS data"
        for statements in ((f"DROP TABLE IF EXISTS {FILLER}", filler), (f"DROP TABLE IF EXISTS {FILLER}",)):
            with transaction() as session:
                for statement in statements:
                    session.connection().exec_driver_sql(statement)


@contextmanager
def reading() -> Iterator[Session]:
    """A consistent read that takes no lock."""
    with Session(engine(), expire_on_commit=False) as session:
        yield session


def changes_row(session: Session, statement: Update | Delete) -> bool:
    """Execute a conditional UPDATE or DELETE; whether it matched a row. Loaded objects are not updated."""
    return bool(session.exec(statement.execution_options(synchronize_session=False)).rowcount)


def advisory_lock(session: Session, what: str) -> None:
    """Serialize transactions that name the same ``what``, where there is no row to lock."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has only one writer anyway
        session.connection().execute(select(func.pg_advisory_xact_lock(func.hashtext(what))))


def keep_newest(session: Session, age: Any, max_rows: int, *rows: ColumnElement[bool]) -> None:
    """Delete all but the newest ``max_rows`` of these rows; ``age`` is a column that grows with time."""
    last = session.connection().execute(
        select(age).where(*rows).order_by(age.desc()).offset(max_rows).limit(1)
    )
    oldest = last.scalar()
    if oldest is not None:
        session.connection().execute(delete(age.class_).where(*rows, age <= oldest))


def migrate() -> None:
    """Migrate the database to this version's tables; processes that start together take turns."""
    with engine_for_long_statements() as migrating, _migration_lock(migrating):
        if schema_behind():
            from alembic import command  # takes 10 MB and 200 ms, which only a first start needs
            from alembic.config import Config

            command.upgrade(Config(str(ALEMBIC_INI)), "head")
        with migrating.begin() as connection:
            if not counters.are_installed(connection):  # of a restored database
                counters.install(connection)
            if not is_postgres():
                search_index.install(connection)
        if is_postgres():
            from videovault import postgres

            postgres.create_search_indexes(migrating)


@contextmanager
def _migration_lock(migrating: Engine) -> Iterator[None]:
    if not is_postgres():
        with directory_lock(Path(engine().url.database or "").absolute().parent, MIGRATION_SECONDS):
            yield
        return
    # Without a transaction: a migration that creates an index concurrently waits for all of them to end, and so it would
    # for a statement that waits for the lock.
    with migrating.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _lock_for_migration(connection)
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(func.hashtext(MIGRATION_LOCK))))


def _lock_for_migration(connection: Connection) -> None:
    """Raises ConfigurationError after MIGRATION_SECONDS."""
    until = time.monotonic() + MIGRATION_SECONDS
    while not connection.execute(select(func.pg_try_advisory_lock(func.hashtext(MIGRATION_LOCK)))).scalar():
        if time.monotonic() > until:
            raise ConfigurationError(
                f"Another process has been migrating the database for {MIGRATION_SECONDS:.0f} seconds. "
                "Wait for its end, or stop it."
            )
        time.sleep(POLL_SECONDS)


def schema_behind() -> str | None:
    """The database's revision if this version needs a later one, "none" without tables, None if nothing is missing.

    Raises ConfigurationError for the revision of a later version.
    """
    known = known_revisions()
    with engine().connect() as connection:
        found = current_revision(connection)
        if found is not None and found not in known:
            raise ConfigurationError(
                f"The database has the schema {found} of a later version of VideoVault{_newest_version(connection)}. "
                f"This is version {__version__}, which knows the schemas up to {known[0]}. Start that version or a later one "
                "here, or check DATABASE_URL."
            )
    return None if found == known[0] else found or "none"


def _newest_version(connection: Connection) -> str:
    """The newest version that has used the database, in parentheses; empty if it is not recorded."""
    if not inspect(connection).has_table("installation_facts"):
        return ""
    row = connection.execute(text("SELECT value FROM installation_facts WHERE name = 'version'"))
    return f" ({value})" if (value := row.scalar()) else ""


def current_revision(connection: Connection) -> str | None:
    """The revision of a database's tables, None if there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def known_revisions() -> list[str]:
    """Every revision that ``migrate`` can start from, the newest first. Files are named after their revision."""
    files = (ALEMBIC_INI.parent / "alembic" / "versions").glob("[0-9]*_*.py")
    return sorted((file.name.partition("_")[0] for file in files), reverse=True)


@dataclass(frozen=True)
class DiskReserve:
    """Space on the disk of the SQLite file ``database``, reserved so that essential writes succeed on a full disk.

    Most of it lies inside SQLite's own files, where no other program can take it: free pages (``page_bytes``), and a
    write-ahead log long enough to be overwritten. A file beside them is truncated if that is not enough.
    """

    database: Path

    @property
    def file(self) -> Path:
        return self.database.with_name(f"{self.database.name}.reserve")

    def check(self) -> None:
        """Raises DiskFull if a non-essential write would take space that essential writes need."""
        if self.free() < MIN_FREE_BYTES:
            raise DiskFull

    def is_full(self, page_bytes: int) -> bool:
        return page_bytes >= RESERVE_BYTES // 2 and self._log_bytes() >= LOG_BYTES

    def can_be_refilled(self) -> bool:
        """Whether the disk has room for a new reserve."""
        return self.free() >= 3 * RESERVE_BYTES + MIN_FREE_BYTES

    def release_step(self, page_bytes: int) -> None:
        """Truncate the file by a step if SQLite's files must grow for an essential write and cannot."""
        grows = page_bytes < LOW_PAGE_BYTES or self._log_bytes() < LOG_BYTES
        size = _size(self.file)
        if not grows or not size or self.free() >= STEP_BYTES:
            return
        left = max(0, size - STEP_BYTES)
        os.truncate(self.file, left)
        log.warning("the disk is full: using the reserve for signing in and deleting", bytes_left=left)

    def fill(self) -> None:
        """Restore the file to its full size."""
        missing = RESERVE_BYTES - _size(self.file)
        if missing > 0:
            with self.file.open("ab") as file:
                file.write(os.urandom(missing))  # a compressing file system stores zeros in no space

    def free(self) -> int:
        """Bytes that this process may still write to the disk."""
        return shutil.disk_usage(self.database.parent).free

    def _log_bytes(self) -> int:
        return _size(self.database.with_name(f"{self.database.name}-wal"))


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _make_room_to_open(database: Path, *_event: object) -> None:
    """The first connection creates the shared-memory index, even if it only reads."""
    if not database.with_name(f"{database.name}-shm").exists():
        with _ignore_unreadable_disk():
            DiskReserve(database).release_step(0)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = (
        None  # transactions are opened by SQLAlchemy's begin event, not by the driver
    )
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own handles ASCII only
    # temp_store: sorting through a temporary file would fail on a full disk.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    lock_timeout = options.get("lock_timeout", BUSY_SECONDS)
    if lock_timeout == BUSY_SECONDS:
        connection.exec_driver_sql(f"BEGIN {options.get('sqlite_begin', 'DEFERRED')}")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(lock_timeout * 1000)}")
    try:
        connection.exec_driver_sql(f"BEGIN {options['sqlite_begin']}")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _reserve() -> DiskReserve | None:
    """None if the database is on another machine or in memory."""
    url = engine().url
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return DiskReserve(Path(str(url.database))) if is_file else None


def _open_reserve(connection: Connection) -> None:
    reserve = _reserve()
    if reserve:
        with _ignore_unreadable_disk():
            reserve.release_step(_free_pages(connection))


def _free_pages(connection: Connection) -> int:
    """Size of SQLite's free pages in bytes."""
    pages, size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("freelist_count", "page_size")
    )
    return int(pages) * int(size)


@contextmanager
def _ignore_unreadable_disk() -> Iterator[None]:
    """If the folder cannot be read, the database itself reports what is wrong with it."""
    try:
        yield
    except OSError as error:
        log.warning("cannot read the disk of the database", reason=error.strerror)


@contextmanager
def _translate_full_disk() -> Iterator[None]:
    """Translate SQLAlchemy's errors that mean a full disk."""
    try:
        yield
    except DBAPIError as error:
        if _is_full(error.orig):
            raise DiskFull from error
        raise


def _is_full(error: BaseException | None) -> bool:
    if getattr(error, "sqlstate", None) == POSTGRES_DISK_FULL:
        return True
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # The write-ahead log or its index could not be created.
    if kind in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        reserve = _reserve()
        return reserve is not None and reserve.free() < STEP_BYTES
    return kind == sqlite3.SQLITE_FULL

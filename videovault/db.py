"""The database engine, and the two ways to use it: ``transaction()`` to change, ``reading()`` to look."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, event, func, make_url, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, create_engine

from videovault import logs
from videovault.config import settings
from videovault.data_dir import LOCK_SECONDS, directory_lock
from videovault.disk_reserve import RESERVE_BYTES, STEP_BYTES, DiskReserve
from videovault.errors import DiskFull
from videovault.models import UtcDateTime

BUSY_SECONDS = 15
# How long what only reads waits to leave a note: of what was done, and of when somebody was last seen.
AUDIT_LOCK_SECONDS, LAST_SEEN_LOCK_SECONDS = 2.0, 0.25
MIGRATING = "migrate"
ALEMBIC_INI = Path(__file__).parent.parent / "alembic.ini"
POSTGRES_DISK_FULL = "53100"
FILLER = "disk_reserve_filler"
log = logs.get(__name__)


@lru_cache(maxsize=1)
def engine() -> Engine:
    """The process's one engine, made at first use so that importing opens nothing."""
    return make_engine(settings().database_dsn)


def make_engine(dsn: str) -> Engine:
    url = make_url(dsn)
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    made = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    if url.database and url.database != ":memory:":
        event.listen(made, "do_connect", partial(_make_room_to_open, Path(url.database)))
    event.listen(made, "connect", _prepare_sqlite)
    event.listen(made, "begin", _begin_sqlite)
    return made


@contextmanager
def transaction(*, essential: bool = False, patience: float = BUSY_SECONDS) -> Iterator[Session]:
    """One unit of work: committed whole at the end, or not at all.

    ``essential``: it goes on with a full disk, since it lets people in, frees space or ends work that was begun.
    ``patience``: seconds to wait for others that write. Raises DiskFull.
    """
    with _full_disk_told():
        if not essential:
            check_database_disk_space()
        with Session(engine(), expire_on_commit=False) as session, session.begin():
            # SQLite refuses to turn a reading transaction into a writing one while another writes;
            # one that says so from the start waits its turn instead.
            options = {"sqlite_begin": "IMMEDIATE", "patience": patience}
            connection = session.connection(execution_options=options)
            if essential:
                _open_up(connection)
            if patience != BUSY_SECONDS and connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = {round(patience * 1000)}"))
            yield session


def try_write(what: str, change: Callable[[Session], object], *, patience: float) -> None:
    """``change`` in a transaction of its own that no read may fail for: ``what`` is dropped, with a log line, if it fails."""
    try:
        with transaction(patience=patience) as session:
            change(session)
    except DiskFull as error:
        log.warning("write dropped", what=what, reason=error.public_message)
    except SQLAlchemyError as error:
        log.warning("write dropped", what=what, reason=type(error).__name__)


def check_database_disk_space() -> None:
    """Raises DiskFull where a transaction that is not essential would."""
    reserve = _reserve()
    if reserve:
        with _own_word_for_it():
            reserve.check()


def refill_disk_reserve() -> None:
    """Make the reserve for essential writes whole again, if the disk has room."""
    reserve = _reserve()
    if reserve is None or not reserve.has_plenty():
        return
    reserve.fill()
    with reading() as session:
        whole = reserve.is_whole(_free_pages(session.connection()))
    if not whole:  # written and committed for real, else SQLite leaves out what is thrown away again
        filler = f"CREATE TABLE {FILLER} AS SELECT randomblob({RESERVE_BYTES}) AS data"
        for statements in ((f"DROP TABLE IF EXISTS {FILLER}", filler), (f"DROP TABLE IF EXISTS {FILLER}",)):
            with transaction() as session:
                for statement in statements:
                    session.connection().exec_driver_sql(statement)


@contextmanager
def reading() -> Iterator[Session]:
    """A consistent look that changes nothing and blocks nobody."""
    with Session(engine(), expire_on_commit=False) as session:
        yield session


class db_now(FunctionElement[datetime]):  # noqa: N801 - a function of SQL
    """The database's own time, in a statement: the one clock that all machines share."""

    type = UtcDateTime()
    inherit_cache = True


def read_db_now(session: Session) -> datetime:
    """What time it is by the database's own clock."""
    return session.connection().execute(select(db_now())).scalar_one()


def advisory_lock(session: Session, what: str) -> None:
    """Wait until no other transaction is at ``what``, for the rare thing that no row can be locked for."""
    if session.get_bind().dialect.name == "postgresql":  # on SQLite every transaction is alone
        session.connection().execute(select(func.pg_advisory_xact_lock(func.hashtext(what))))


def keep_newest(session: Session, age: Any, most: int, *rows: ColumnElement[bool]) -> None:
    """Delete all but the newest ``most`` of these rows; ``age`` is the column of their table that rises with time."""
    last = session.connection().execute(select(age).where(*rows).order_by(age.desc()).offset(most).limit(1))
    oldest = last.scalar()
    if oldest is not None:
        session.connection().execute(delete(age.class_).where(*rows, age <= oldest))


def migrate() -> None:
    """Bring the database up to this code's tables; of processes that start at once, one after the other does."""
    from alembic import command  # 10 MB that a process which only works does not need
    from alembic.config import Config

    with _migrating_alone():
        command.upgrade(Config(str(ALEMBIC_INI)), "head")


@contextmanager
def _migrating_alone() -> Iterator[None]:
    url = engine().url
    if url.get_backend_name() == "sqlite":
        with directory_lock(Path(url.database or "").absolute().parent):
            yield
        return
    with engine().connect() as connection:
        connection.execute(
            text("SELECT set_config('lock_timeout', :wait, false)"), {"wait": f"{LOCK_SECONDS:.0f}s"}
        )
        connection.execute(select(func.pg_advisory_lock(func.hashtext(MIGRATING))))
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(func.hashtext(MIGRATING))))
            connection.invalidate()  # its lock_timeout is not for others


def is_migrated() -> bool:
    """Whether the database has just the tables that this code knows."""
    with engine().connect() as connection:
        return current_revision(connection) == known_revisions()[0]


def current_revision(connection: Connection) -> str | None:
    """The revision of a database's tables, None where there are none."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def known_revisions() -> list[str]:
    """Every revision that ``migrate`` can start from, the newest first."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(Config(str(ALEMBIC_INI)))
    return [script.revision for script in scripts.walk_revisions()]


def _make_room_to_open(database: Path, *_told: object) -> None:
    """Whoever opens it first makes its index in shared memory, even to read only."""
    if not database.with_name(f"{database.name}-shm").exists():
        with _own_word_for_it():
            DiskReserve(database).open_up(0)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event opens transactions, not the driver
    connection.create_function("lower", 1, _lower, deterministic=True)  # its own knows ASCII only
    # A sort that goes by a temporary file would fail on a full disk, though it only reads.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    patience = options.get("patience", BUSY_SECONDS)
    if patience == BUSY_SECONDS:
        connection.exec_driver_sql(f"BEGIN {options.get('sqlite_begin', 'DEFERRED')}")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(patience * 1000)}")
    try:
        connection.exec_driver_sql(f"BEGIN {options['sqlite_begin']}")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _reserve() -> DiskReserve | None:
    """None where the database is on another machine, or in memory."""
    url = engine().url
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return DiskReserve(Path(str(url.database))) if is_file else None


def _open_up(connection: Connection) -> None:
    reserve = _reserve()
    if reserve:
        with _own_word_for_it():
            reserve.open_up(_free_pages(connection))


def _free_pages(connection: Connection) -> int:
    """In bytes."""
    pages, size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("freelist_count", "page_size")
    )
    return int(pages) * int(size)


@contextmanager
def _own_word_for_it() -> Iterator[None]:
    """Where the folder cannot be looked at, the database itself tells what is wrong with it."""
    try:
        yield
    except OSError as error:
        log.warning("the disk of the database cannot be looked at", reason=error.strerror)


@contextmanager
def _full_disk_told() -> Iterator[None]:
    """SQLAlchemy's errors that mean a full disk, in our words."""
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
    if kind in (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    ):  # its log, or the index of it, could not be made
        reserve = _reserve()
        return reserve is not None and reserve.free() < STEP_BYTES
    return kind == sqlite3.SQLITE_FULL


@compiles(db_now)
def _clock(_element: db_now, _compiler: Any, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(db_now, "sqlite")
def _sqlite_clock(_element: db_now, _compiler: Any, **_options: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"  # just as times are stored there

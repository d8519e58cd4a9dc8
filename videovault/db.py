"""The database engine, and the two ways to use it: ``transaction()`` to change, ``reading()`` to look."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, func, make_url, select, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, create_engine

from videovault.config import settings
from videovault.data_dir import LOCK_SECONDS, locked
from videovault.models import UtcDateTime

BUSY_SECONDS = 15
MIGRATING = "migrate"
ALEMBIC_INI = Path(__file__).parent.parent / "alembic.ini"


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
    event.listen(made, "connect", _prepare_sqlite)
    event.listen(made, "begin", _begin_sqlite)
    return made


@contextmanager
def transaction() -> Iterator[Session]:
    """One unit of work: committed whole at the end, or not at all."""
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        # SQLite refuses to turn a reading transaction into a writing one while another writes;
        # one that says so from the start waits its turn instead.
        session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """A consistent look that changes nothing and blocks nobody."""
    with Session(engine(), expire_on_commit=False) as session:
        yield session


class clock(FunctionElement[datetime]):  # noqa: N801 - a function of SQL
    """The database's own time, in a statement: the one clock that all machines share."""

    type = UtcDateTime()
    inherit_cache = True


def moment(session: Session) -> datetime:
    """What time it is by the database's own clock."""
    return session.connection().execute(select(clock())).scalar_one()


def one_at_a_time(session: Session, what: str) -> None:
    """Wait until no other transaction is at ``what``, for the rare thing that no row can be locked for."""
    if session.get_bind().dialect.name == "postgresql":  # on SQLite every transaction is alone
        session.connection().execute(select(func.pg_advisory_xact_lock(func.hashtext(what))))


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
        with locked(Path(url.database or "").absolute().parent):
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
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(Config(str(ALEMBIC_INI))).get_current_head()
    with engine().connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == newest


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event opens transactions, not the driver
    connection.create_function("lower", 1, _lower, deterministic=True)  # its own knows ASCII only
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


@compiles(clock)
def _clock(_element: clock, _compiler: Any, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(clock, "sqlite")
def _sqlite_clock(_element: clock, _compiler: Any, **_options: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"  # just as times are stored there

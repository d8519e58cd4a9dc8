"""The database engine, and the two ways to use it: ``transaction()`` to change, ``reading()`` to look."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, make_url
from sqlmodel import Session, create_engine

from videovault.config import settings

BUSY_SECONDS = 15
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


def migrate() -> None:
    """Bring the database up to this code's tables."""
    from alembic import command  # 10 MB that a process which only works does not need
    from alembic.config import Config

    command.upgrade(Config(str(ALEMBIC_INI)), "head")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event opens transactions, not the driver
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")

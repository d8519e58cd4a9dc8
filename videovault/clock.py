"""The clocks: this process's own time, and the database's, which all machines share.

Compare heartbeats, leases and queue positions by database time only: a machine whose clock is wrong must neither lose
its own work nor take that of others.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in UTC on every database; SQLite does not store the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def utcnow() -> datetime:
    """The time of this process's machine."""
    return datetime.now(UTC)


class db_now(FunctionElement[datetime]):  # noqa: N801 - a SQL function
    """The database's time at execution, for use inside a statement."""

    type = UtcDateTime()
    inherit_cache = True


def read_db_now(session: Session) -> datetime:
    """The database's time, read into this process."""
    return session.connection().execute(select(db_now())).scalar_one()


@compiles(db_now)
def _db_now(_element: db_now, _compiler: Any, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(db_now, "sqlite")
def _db_now_sqlite(_element: db_now, _compiler: Any, **_options: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"  # the format in which SQLAlchemy stores times there

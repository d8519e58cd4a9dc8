"""What is particular to PostgreSQL: connections in which every wait ends, indexes for searches, the queue's tables."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from videovault import logs

CONNECT_SECONDS = 5
# For one statement. The server ends it first, since an error leaves the connection usable.
STATEMENT_SECONDS, ANSWER_SECONDS = 18.0, 20.0
QUEUE_ANSWER_SECONDS = 4.0  # its statements touch one row
LOCK_SECONDS = 15.0
LONG_STATEMENT_SECONDS = 3600.0  # of migrations
PING_SECONDS = 2.0
POLL_SECONDS = 0.1
Error = psycopg.Error
OPTIONS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# The last two let the server notice a lost client, whose locks it would otherwise keep for two hours.
SERVER_OPTIONS = {
    "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
    "lock_timeout": f"{LOCK_SECONDS:.0f}s",
    "tcp_keepalives_idle": "30s",
    "tcp_user_timeout": "30s",
}
SEARCH_PREFIX = "ix_videos_search_"
INDEX_SECONDS = 3600
SEARCH_INDEXES = {f"{SEARCH_PREFIX}{column}": column for column in ("title", "company_name")}
USABLE_INDEXES = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indisvalid AND indrelid = to_regclass('videos')"

QUEUE_TABLES = ("huey_kv", "huey_schedule", "huey_task", "huey_counter")
QUEUE_LOCK_SECONDS = 60

log = logs.get(__name__)


C = TypeVar("C", bound="BoundedConnection")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed if the server does not answer a statement within ``answer_seconds``.

    Neither statement_timeout nor TCP notices a server that is suspended, or a proxy that passes nothing on.
    """

    answer_seconds = ANSWER_SECONDS

    def wait(self, gen: PQGen[Any], interval: float = POLL_SECONDS, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()
            self._note_half_open()
            message = f"the server has not answered within {self.answer_seconds:.0f} seconds"
            raise psycopg.OperationalError(message) from error

    @contextmanager
    def answering_within(self, seconds: float) -> Iterator[None]:
        """Wait only this long in the block."""
        before, self.answer_seconds = self.answer_seconds, seconds
        try:
            yield
        finally:
            self.answer_seconds = before

    def _note_half_open(self) -> None:
        """Called when the server has not answered."""

    def lift_time_limit(self) -> None:
        """Allow long statements until the connection is closed. Not within a transaction."""
        self.answer_seconds = LONG_STATEMENT_SECONDS
        self._set({"statement_timeout": f"{LONG_STATEMENT_SECONDS:.0f}s"})

    def _set(self, options: dict[str, str]) -> None:
        before = self.autocommit
        self.set_autocommit(True)  # a rollback would undo the setting
        self.execute("; ".join(f"SET {name} = '{value}'" for name, value in options.items()).encode())
        self.set_autocommit(before)


class QueueConnection(BoundedConnection):
    """One of the queue's, of which each thread has its own. Once one of them was half-open, all older ones count as closed.

    Otherwise each thread would find that out by itself, whenever it is first used again.
    """

    answer_seconds = QUEUE_ANSWER_SECONDS
    _half_open_at: ClassVar[float] = -math.inf
    _opened_at = math.inf  # until it is open

    def _note_half_open(self) -> None:
        QueueConnection._half_open_at = time.monotonic()

    @property
    def closed(self) -> bool:
        return super().closed or self._opened_at < QueueConnection._half_open_at

    def close(self) -> None:
        self._opened_at = math.inf
        super().close()


def connect_queue(dsn: str) -> QueueConnection:
    """As ``connect``."""
    connection = _connect(QueueConnection, dsn, {})
    connection._opened_at = time.monotonic()  # noqa: SLF001 - in this module
    return connection


def connect(dsn: str = "", **options: Any) -> BoundedConnection:
    """Connect; what ``dsn`` or ``options`` name replaces OPTIONS. Raises psycopg.OperationalError."""
    return _connect(BoundedConnection, dsn, options)


def _connect(kind: type[C], dsn: str, options: dict[str, Any]) -> C:
    given = {name for name, value in conninfo_to_dict(dsn, **options).items() if value is not None}
    defaults: dict[str, Any] = {name: value for name, value in OPTIONS.items() if name not in given}
    connection = kind.connect(dsn, **defaults, **options)
    try:
        connection._set(SERVER_OPTIONS)  # noqa: SLF001 - in this module
    except BaseException:
        connection.close()
        raise
    return connection


def create_search_indexes(engine: Engine) -> None:
    """Create the missing indexes for parts of titles and company names, by the extension pg_trgm, while others write.

    Without the right to create the extension, searches read the rows of the list instead.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        missing = SEARCH_INDEXES.keys() - set(connection.execute(text(USABLE_INDEXES)).scalars())
        if not missing:
            return
        try:
            # A concurrent build waits for every older transaction, such as a backup's, and blocks no reader or writer.
            connection.execute(text(f"SET lock_timeout = '{INDEX_SECONDS}s'"))
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            for name in sorted(missing):
                # An interrupted build leaves an index that is not used.
                connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
                column = SEARCH_INDEXES[name]
                connection.execute(
                    text(f"CREATE INDEX CONCURRENTLY {name} ON videos USING gin ({column} gin_trgm_ops)")
                )
        except DBAPIError as error:
            log.warning("searches have no index", reason=str(error.orig).splitlines()[0])


def queue_problem(dsn: str) -> str:
    """Why the queue of this PostgreSQL cannot be used yet; empty if it can."""
    try:
        with connect(dsn, autocommit=True) as connection:
            return "" if _queue_tables_exist(connection) else "its tables are missing"
    except Error as error:
        return str(error).partition("\n")[0] or type(error).__name__


def create_queue_tables(dsn: str, statements: Sequence[str]) -> None:
    """Create the queue's tables, by its library's statements, unless they exist. Raises psycopg.Error.

    Processes that start together take turns: CREATE TABLE IF NOT EXISTS fails if two of them run it at once, and for a
    role that may not create tables.
    """
    with connect(dsn) as connection:
        if _queue_tables_exist(connection):
            return
        connection.execute(f"SET LOCAL lock_timeout = '{QUEUE_LOCK_SECONDS}s'".encode())
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('videovault queue'))")
        for statement in statements:
            connection.execute(statement.encode())


def _queue_tables_exist(connection: BoundedConnection) -> bool:
    found = connection.execute(
        "SELECT count(to_regclass(name)) FROM unnest(%s::text[]) AS name", ([*QUEUE_TABLES],)
    )
    row = found.fetchone()
    return row is not None and row[0] == len(QUEUE_TABLES)

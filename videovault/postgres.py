"""Connections to PostgreSQL in which every wait ends, for the database and for the queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

CONNECT_SECONDS = 5
# For one statement. The server ends it first, since an error leaves the connection usable.
STATEMENT_SECONDS, ANSWER_SECONDS = 18.0, 20.0
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

    def lift_time_limit(self) -> None:
        """Allow long statements until the connection is closed. Not within a transaction."""
        self.answer_seconds = LONG_STATEMENT_SECONDS
        self._set({"statement_timeout": f"{LONG_STATEMENT_SECONDS:.0f}s"})

    def _set(self, options: dict[str, str]) -> None:
        before = self.autocommit
        self.set_autocommit(True)  # a rollback would undo the setting
        self.execute("; ".join(f"SET {name} = '{value}'" for name, value in options.items()).encode())
        self.set_autocommit(before)


def connect(dsn: str = "", **options: Any) -> BoundedConnection:
    """Connect; what ``dsn`` or ``options`` name replaces OPTIONS. Raises psycopg.OperationalError."""
    given = {name for name, value in conninfo_to_dict(dsn, **options).items() if value is not None}
    defaults: dict[str, Any] = {name: value for name, value in OPTIONS.items() if name not in given}
    connection = BoundedConnection.connect(dsn, **defaults, **options)
    try:
        connection._set(SERVER_OPTIONS)  # noqa: SLF001 - in this module
    except BaseException:
        connection.close()
        raise
    return connection

"""The tables of a queue in PostgreSQL. Their statements are the queue library's.

PostgreSQL's CREATE TABLE IF NOT EXISTS fails if two processes run it at once, and for a role that may not create tables.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

TABLES = ("huey_kv", "huey_schedule", "huey_task", "huey_counter")
LOCK_SECONDS = 60


def is_needed(dsn: str) -> bool:
    return dsn.startswith("postgresql")


def problem(dsn: str) -> str:
    """Why the queue cannot be used yet; empty if it can."""
    if not is_needed(dsn):
        return ""
    from videovault import postgres  # imports the client, which others do not need

    try:
        with postgres.connect(dsn, autocommit=True) as connection:
            return "" if _exist(connection) else "its tables are missing"
    except postgres.Error as error:
        return str(error).partition("\n")[0] or type(error).__name__


def create(dsn: str, statements: Sequence[str]) -> None:
    """Create the tables unless they exist; processes that start together take turns. Raises psycopg.Error."""
    from videovault import postgres

    with postgres.connect(dsn) as connection:
        if _exist(connection):
            return
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'".encode())
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('videovault queue'))")
        for statement in statements:
            connection.execute(statement.encode())


def _exist(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    found = connection.execute(
        "SELECT count(to_regclass(name)) FROM unnest(%s::text[]) AS name", ([*TABLES],)
    )
    row = found.fetchone()
    return row is not None and row[0] == len(TABLES)

"""A database that does not answer, as the product's own engine sees it."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from videovault import db


@contextmanager
def database_away() -> Iterator[list[str]]:
    """Every read and write in the block fails as on a locked database; yields the threads' names, one per failure."""
    failures: list[str] = []
    is_over = threading.Event()

    def fail(_connection: Connection) -> None:
        if is_over.is_set():
            return
        failures.append(threading.current_thread().name)
        locked = sqlite3.OperationalError("database is locked")
        locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError("BEGIN", {}, locked)

    # Before the product's own BEGIN. It stays, since another thread may be in it; each test has a new engine.
    event.listen(db.engine(), "begin", fail, insert=True)
    try:
        yield failures
    finally:
        is_over.set()

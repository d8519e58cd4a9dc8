"""Copy the database consistently while everything runs, and restore it into an empty one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text

from videovault import counters, db, search_index
from videovault.config import settings
from videovault.errors import ConfigurationError, Conflict
from videovault.gateways import postgres_tools
from videovault.services.maintenance.backup.backup_folder import (
    Damaged,
    Database,
    DatabaseKind,
    copy_file,
    create_empty,
    file_entry,
    fsync_path,
    timestamp,
    verify_file,
)
from videovault.services.maintenance.backup.catalogue import VIDEO_COLUMNS, Catalogue

# Tables of huey are not copied: its jobs are created again from the rows.
QUEUE_TABLE_PREFIX = "huey_"
SET_ASIDE = "before_restore_"


def kind() -> DatabaseKind:
    return "sqlite" if make_url(settings().database_dsn).get_backend_name() == "sqlite" else "postgresql"


def snapshot(folder: Path, at: datetime, catalogue: Catalogue) -> Database:
    """Copy the database into ``folder``, and its video rows into ``catalogue``, from one snapshot.

    Replaces an earlier copy of the same run.

    Raises ConfigurationError when there is no database, or pg_dump cannot be used.
    """
    if kind() == "sqlite" and not _sqlite_file().exists():
        raise ConfigurationError(
            f"There is nothing to back up: {_sqlite_file()} does not exist. Check DATA_DIR."
        )
    with _engine() as engine:
        return (_sqlite_snapshot if kind() == "sqlite" else _dump)(engine, folder, at, catalogue)


@dataclass(frozen=True)
class Target:
    """The current content of the configured database."""

    users: int
    videos: int
    has_tables: bool
    server: int | None

    @property
    def is_empty(self) -> bool:
        return not self.users and not self.videos


def target() -> Target:
    """Raises ConfigurationError when it cannot be reached."""
    if kind() == "sqlite" and not _sqlite_file().exists():
        return Target(0, 0, has_tables=False, server=None)
    with _engine() as engine, engine.connect() as connection:
        present = set(_tables(connection))
        counted = {name: _count(connection, name) if name in present else 0 for name in ("users", "videos")}
        server = _server_version(connection) if kind() == "postgresql" else None
        return Target(counted["users"], counted["videos"], bool(present), server)


def check_restorable(folder: Path, saved: Database) -> None:
    """Raises Damaged, and ConfigurationError when this version, the settings or the server cannot restore it."""
    verify_file(folder, saved.file)
    if saved.kind != kind():
        name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
        raise ConfigurationError(
            f"The backup is of a {name[saved.kind]} database, and DATABASE_URL names {name[kind()]}: "
            "set DATABASE_URL to the same kind."
        )
    if saved.revision not in db.known_revisions():
        raise ConfigurationError(
            f"The backup's tables have the revision {saved.revision}, which is unknown to this version of VideoVault: "
            "restore with the version that took the backup, or a newer one."
        )
    if saved.kind == "postgresql":
        postgres_tools.require_version("pg_restore", saved.tool or 0)
        server = target().server or 0
        if server < (saved.server or 0):
            raise ConfigurationError(
                f"The backup is of PostgreSQL {saved.server}, but the server has version {server}: use the same or a newer one."
            )


def check_sqlite(path: Path) -> None:
    """Raises Damaged when SQLite finds an error in the file, or it holds triggers or views."""
    try:
        with closing(_read_only(path)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            foreign = connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')"
            ).fetchone()
    except sqlite3.DatabaseError as error:
        raise Damaged(f"{path} is damaged: {error}.") from error
    if answer != "ok":
        raise Damaged(f"{path} is damaged: {answer}.")
    if foreign:
        raise Damaged(f"{path} holds a trigger or view ({foreign[0]}), which VideoVault never creates.")


def set_aside(at: datetime) -> list[str]:
    """Move the database's content aside; returns the new places."""
    if kind() == "sqlite":
        return _sqlite_set_aside(at)
    schema = f"{SET_ASIDE}{timestamp(at).lower()}"
    with _engine() as engine, engine.begin() as connection:
        tables = _tables(connection)
        if not tables:
            return []
        connection.execute(text(f'CREATE SCHEMA "{schema}"'))
        for name in tables:
            connection.execute(text(f'ALTER TABLE "{name}" SET SCHEMA "{schema}"'))
    return [f"the schema {schema} of the database"]


def restore(folder: Path, saved: Database) -> None:
    """Copy a checked database to the configured, empty place. Raises Conflict, Damaged."""
    source = folder / saved.file.name
    if saved.kind == "postgresql":
        postgres_tools.restore(settings().database_dsn, source)
        return
    file = _sqlite_file()
    if file.exists():
        raise Conflict(f"{file} was created in the meantime.")
    file.parent.mkdir(parents=True, exist_ok=True)
    copy_file(source, file)


@contextmanager
def _engine() -> Iterator[Engine]:
    """A separate engine, since an open connection would keep the file that a restore replaces."""
    engine = db.make_engine(settings().database_dsn, long_statements=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _sqlite_snapshot(engine: Engine, folder: Path, at: datetime, catalogue: Catalogue) -> Database:
    path = create_empty(folder / f"database-{timestamp(at)}.sqlite")
    with closing(engine.raw_connection()) as connection:
        # A single read transaction: writers continue, and deleted data is not copied.
        connection.cursor().execute("VACUUM INTO ?", (str(path),))
    _drop_derived(path)
    fsync_path(path)
    copied = create_engine("sqlite://", creator=lambda: _read_only(path))
    try:
        with copied.connect() as connection:
            revision = _revision(connection)
            catalogue.replace_videos(_videos(connection))
    finally:
        copied.dispose()
    return Database(kind="sqlite", revision=revision, file=file_entry(path))


def _drop_derived(path: Path) -> None:
    """No backup holds code that a database runs; after a restore, the start creates triggers and search index again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")
        for trigger in counters.TRIGGERS + search_index.SQLITE_TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for table in (search_index.SQLITE_TABLE, search_index.SQLITE_NUMBERS):
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def _dump(engine: Engine, folder: Path, at: datetime, catalogue: Catalogue) -> Database:
    path = create_empty(folder / f"database-{timestamp(at)}.dump")
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        server = _server_version(connection)
        tool = postgres_tools.require_version("pg_dump", server)
        revision = _revision(connection)
        exported = str(connection.execute(text("SELECT pg_export_snapshot()")).scalar_one())
        postgres_tools.dump(settings().database_dsn, exported, _tables(connection), path)
        catalogue.replace_videos(_videos(connection))
    fsync_path(path)
    return Database(kind="postgresql", revision=revision, file=file_entry(path), server=server, tool=tool)


def _videos(connection: Connection) -> Iterator[dict[str, Any]]:
    """Databases of earlier versions may lack columns."""
    present = {column["name"] for column in inspect(connection).get_columns("videos")}
    chosen = ", ".join(name if name in present else f"NULL AS {name}" for name in VIDEO_COLUMNS)
    rows = connection.execution_options(stream_results=True, yield_per=500)
    for row in rows.execute(text(f"SELECT {chosen} FROM videos")).mappings():  # noqa: S608 - names of ours
        yield dict(row)


def _revision(connection: Connection) -> str:
    revision = db.current_revision(connection)
    if revision is None:
        raise ConfigurationError(
            "There is nothing to back up: the database has no tables. Check DATABASE_URL."
        )
    return revision


def _tables(connection: Connection) -> list[str]:
    return [name for name in inspect(connection).get_table_names() if not name.startswith(QUEUE_TABLE_PREFIX)]


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 - names of ours


def _server_version(connection: Connection) -> int:
    return int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000


def _read_only(path: Path) -> sqlite3.Connection:
    """``db.make_engine`` would add a write-ahead log."""
    connection = sqlite3.connect(path.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _sqlite_file() -> Path:
    return Path(make_url(settings().database_dsn).database or "")


def _sqlite_set_aside(at: datetime) -> list[str]:
    """Includes the write-ahead log, which would corrupt another database."""
    file, moved = _sqlite_file(), []
    for ending in ("", "-wal", "-shm"):
        part = file.with_name(file.name + ending)
        if part.exists():
            target_file = file.with_name(f"{file.name}.{SET_ASIDE}{timestamp(at)}{ending}")
            part.replace(target_file)
            moved.append(str(target_file))
    return moved

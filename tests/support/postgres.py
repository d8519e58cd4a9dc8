"""A real PostgreSQL for the session, and an empty database of it for each test that asks."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlmodel import SQLModel

from tests.support.app import free_port
from tests.support.installation import Configure, migrate
from tests.support.part import Part, running
from tests.support.waiting import HANG_SECONDS
from videovault import db

ACCOUNT = "postgres"
KINDS = ("SQLite", pytest.param("PostgreSQL", marks=pytest.mark.postgres))
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server, without a database; skipped where PostgreSQL is not installed."""
    with running_postgres() as server:
        yield server.url.replace("postgresql:", "postgresql+psycopg:").removesuffix("/postgres")


@contextmanager
def running_postgres(*, is_durable: bool = False) -> Iterator[Part]:
    """A server of its own; its ``url`` names the database `postgres`. Skips the test where PostgreSQL is not installed.

    Durable: what it has confirmed survives its kill.
    """
    programs, account = server_programs(), ACCOUNT if os.geteuid() == 0 else None  # it never runs as root
    # Not pytest's own folder: that one is closed to the account that the server runs under.
    folder = Path(tempfile.mkdtemp(prefix="videovault-postgres-"))
    try:
        if account:
            owner = pwd.getpwnam(account)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data, port = str(folder / "data"), free_port()
        initdb = (
            str(programs / "initdb"),
            "-D",
            data,
            "-U",
            ACCOUNT,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        )
        subprocess.run(
            initdb, cwd="/", user=account, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        options = {
            "port": port,
            "unix_socket_directories": folder,
            "listen_addresses": "127.0.0.1",
            "max_connections": 200,
            "fsync": "on" if is_durable else "off",
        }
        command = (
            str(programs / "postgres"),
            "-D",
            data,
            *(f"--{name}={value}" for name, value in options.items()),
        )
        url = f"postgresql://{ACCOUNT}@127.0.0.1:{port}/postgres"
        with running(
            Part(
                "postgres",
                command,
                folder,
                folder / "log",
                lambda: _answers(url),
                {"URL": url},
                signal.SIGINT,
                account,
            )
        ) as part:
            yield part
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """DATABASE_URL of an empty database."""
    return _created(postgres_server)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a database with all tables and nothing in them, to be copied."""
    url = _created(postgres_server)
    migrate(url)
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def shared_postgres(postgres_server: str, migrated_postgres: str) -> str:
    """DATABASE_URL of a copy that one test after the other empties and uses: a copy for each would cost much more."""
    return _created(postgres_server, migrated_postgres)


def _created(server: str, template: str = "template1") -> str:
    """DATABASE_URL of a new copy of ``template``, which must have no connections."""
    name = f"test_{next(_numbers)}"
    with _connected(f"{server}/postgres") as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return f"{server}/{name}"


def _empty(url: str) -> None:
    """Delete all rows, once no other connection can have locked them. IDs begin at 1 again."""
    tables = ", ".join(table.name for table in SQLModel.metadata.sorted_tables)
    with _connected(url) as connection:
        connection.execute(f"SET lock_timeout = '{HANG_SECONDS}s'".encode())
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())


def _connected(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2).close()
        return True
    return False


def server_programs() -> Path:
    """The folder of initdb and pg_ctl, which Debian keeps off the PATH; skips the test where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    folder = next((folder for folder in reversed(folders) if (folder / "pg_ctl").exists()), None)
    if folder is None:
        pytest.skip("PostgreSQL (initdb, pg_ctl) is not installed here")
    return folder


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, configure: Configure) -> str:
    """The installation on each kind of database in turn, with all tables and nothing in them."""
    if request.param == "PostgreSQL":
        url = request.getfixturevalue("shared_postgres")
        _empty(url)
        configure(DATABASE_URL=url)
    db.engine()  # made now, as threads that are the first to ask, and at once, would make one each
    return str(request.param)


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, configure: Configure) -> str:
    """The same without any table."""
    if request.param == "PostgreSQL":
        configure(DATABASE_URL=request.getfixturevalue("postgres_url"))
    else:
        configure(DATABASE_URL="sqlite:///empty.db")
    return str(request.param)

"""An isolated installation per test: its own settings, database, queue and bucket."""

import functools
import itertools
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto import backends
from moto.server import ThreadedMotoServer
from sqlalchemy import Connection, Dialect, Engine, Pool, event

from tests.support import log_grep
from tests.support.embedded_s3 import EmbeddedS3
from videovault import db, worker
from videovault.config import Settings, settings
from videovault.gateways import notifications, source, storage, webhooks
from videovault.services.admin import health
from videovault.services.admin import statistics as gauges
from videovault.services.core import rate_limits

ROOT = Path(__file__).parent.parent.parent
Configure = Callable[..., None]
_numbers = itertools.count(1)
# Held while settings change, and by threads of tests that read them: otherwise such a thread could cache the old ones.
changing = threading.RLock()
_dialects: dict[str, Dialect] = {}
_compiled: dict[Any, Any] = {}


@event.listens_for(Pool, "checkout")  # "connect" runs before the product sets its own mode
def _no_waiting_for_the_disk(connection: Any, _record: object, _proxy: object) -> None:
    """Do not wait for the disk, which takes most of the time of a small transaction; no test needs durability."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@event.listens_for(Engine, "engine_connect")
def _compile_each_statement_once(connection: Connection) -> None:
    """Share compiled SQL between engines: each test has a new one, and compiling took a fifth of the CPU time."""
    if connection.dialect.name == "sqlite":
        connection.dialect = connection.engine.dialect = _dialects.setdefault("sqlite", connection.dialect)
        connection.execution_options(compiled_cache=_compiled)


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_developers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests that do not request an installation away from the developer's ``var`` and ``.env``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("no-installation"))
        patch.setenv("PYTHONPATH", str(ROOT))  # so that child processes find the product
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_read_again() -> Iterator[None]:
    """httpx reads all certificates for each client (24 ms of CPU time), and moto lists its folder for each request."""
    modules = tuple(backends.list_of_moto_modules())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "list_of_moto_modules", lambda: modules)
        patch.setattr(
            "httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context)
        )
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with empty tables, to be copied, since migrating one for each test takes much longer."""
    file = tmp_path_factory.mktemp("migrated") / "videovault.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migrated: Path) -> Iterator[Path]:
    """A migrated installation in ``tmp_path``, with default settings except SIGNUP=open; returns the folder."""
    monkeypatch.chdir(tmp_path)  # away from the developer's .env
    for name in [*os.environ]:
        if name.lower() in Settings.model_fields or name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("SIGNUP", "open")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("S3_RETRY_SECONDS", "0.5")  # in tests an unavailable S3 stays unavailable
    forget()
    (tmp_path / "var").mkdir()
    shutil.copy(migrated, tmp_path / "var")
    yield tmp_path
    forget()


@pytest.fixture
def configure(installation: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Change settings after the start: ``configure(SIGNUP="closed")``."""
    del installation

    def change(**values: object) -> None:
        with changing:
            for name, value in values.items():
                monkeypatch.setenv(name, str(value))
            log_grep.choose({name: str(value) for name, value in values.items()})
            forget()  # last, so that no thread can cache the old ones in between

    return change


@contextmanager
def s3_in_memory() -> Iterator[str]:
    """The URL of an S3 (moto) that runs in the block."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    with s3_in_memory() as address:
        yield address


@pytest.fixture
def moto_s3(configure: Configure, moto_server: str) -> storage.Storage:
    """The installation with its own bucket on the session's moto S3."""
    bucket = f"videos-{os.getpid()}-{next(_numbers)}"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    configure(AWS_S3_BUCKET_NAME=bucket, AWS_ENDPOINT_URL_S3=moto_server, **keys)
    connected = storage.connected()
    connected._s3.create_bucket(Bucket=bucket)
    return connected


@pytest.fixture
def own_embedded_s3(configure: Configure, installation: Path, embedded_s3: EmbeddedS3) -> storage.Storage:
    """The installation with the session's embedded S3, but its own database and queue."""
    configure(
        DATA_DIR=embedded_s3.data_dir,
        DATABASE_URL=f"sqlite:///{installation / 'var' / 'videovault.db'}",
        QUEUE_URL=f"sqlite:///{installation / 'var' / 'queue.db'}",
    )
    return storage.connected()


def migrate(url: str) -> None:
    """Create the tables of another database than the installation's, and close all connections to it."""
    with changing:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_URL", url)
            forget()
            db.migrate()
        forget()


def forget() -> None:
    """Close and drop everything that this process has opened based on the settings."""
    settings.cache_clear()  # first, so that a thread opens new objects with the new settings
    for opened, close in CLOSED_BY.items():
        if opened.cache_info().currsize and close:
            close(opened())
        opened.cache_clear()


def _close_engine(engine: Engine) -> None:
    """Wait until all connections are returned: one returned to a disposed pool would never be closed."""
    until = time.monotonic() + 5
    held = getattr(engine.pool, "checkedout", lambda: 0)
    while held() and time.monotonic() < until:
        time.sleep(0.01)
    engine.dispose()


def _close_storage(opened: storage.Storage) -> None:
    opened._s3.close()
    vars(opened).get("_public", opened._s3).close()


CLOSED_BY: dict[Any, Callable[[Any], object] | None] = {
    db.engine: _close_engine,
    source.connected: lambda opened: opened.close(),
    source.from_studio: lambda opened: opened.close(),
    webhooks.status_client_for_generator: lambda opened: opened.close(),
    webhooks.status_client_for_studio: lambda opened: opened.close(),
    webhooks.connected: lambda opened: opened._client.close(),
    notifications.connected_webhook: lambda opened: opened._client.close(),
    notifications.connected_mailer: None,
    storage.connected: _close_storage,
    rate_limits.limiter: None,
    health.shared_runs: None,
    gauges.shared_run: None,
    worker.queue: lambda opened: opened.huey.storage.close(),
}

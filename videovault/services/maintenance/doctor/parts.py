"""What the doctor looks at itself, since the System page needs it to work before it can be shown."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url, text

from videovault import db, installation
from videovault.config import Settings, settings
from videovault.errors import ConfigurationError
from videovault.formatting import format_size
from videovault.gateways import http_check, redis_connection
from videovault.services.maintenance import identity, keys
from videovault.services.maintenance.doctor.finding import Finding, State, look_at

MIN_FREE_BYTES = 500 * 1024**2  # as `run` requires of the embedded installation
WRITTEN_BYTES = 4096
WEBSOCKET_PATH = "/_event/?EIO=4&transport=websocket"
SWITCHING_PROTOCOLS = 101
PROXY_ADVICE = (
    "Let the proxy pass the Upgrade and Connection headers, by HTTP/1.1 and with the Host header unchanged: "
    "deploy/nginx.conf and deploy/Caddyfile show how."
)
INSTALLATION = "Settings of the installation"
OTHER_SCHEMA = "The tables of the database are of another version, or missing."
LOOPBACK_HOSTS = {"localhost", "::1", "0.0.0.0"}  # noqa: S104 - compared, not bound


def data_folder() -> Finding:
    """Whether DATA_DIR can be written; one that is missing is created by the first start."""
    folder, name, title = settings().data_dir, "data-dir", "Data folder"
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    user = installation.user_name(os.geteuid())
    advice = f"Make {folder} a folder that {user} owns (chown -R), or set DATA_DIR to another one."
    try:
        blocked = installation.first_inaccessible(existing, ())
        if blocked or not existing.is_dir():
            found = f"DATA_DIR ({folder}) cannot be written by {user}."
            return Finding(name, title, "broken", found, advice)
        _write_in(existing)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            found = f"DATA_DIR ({folder}) is on a disk that is full."
            return Finding(name, title, "broken", found, "Free some space, or set DATA_DIR to another disk.")
        return Finding(name, title, "broken", f"DATA_DIR ({folder}): {error.strerror or error}.", advice)
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        found = f"Only {format_size(free)} are free in DATA_DIR ({folder})."
        state: State = "broken" if settings().uses_embedded_s3 else "warning"
        return Finding(name, title, state, found, "Free some space, or set DATA_DIR to another disk.")
    new = "" if folder.exists() else " It does not exist yet; the first start creates it."
    return Finding(name, title, "ok", f"{folder} can be written; {format_size(free)} are free.{new}")


def database() -> Finding:
    name, title = "database-connection", "Database connection"
    url = make_url(settings().database_dsn)
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "")
        if not file.exists():
            return Finding(name, title, "skipped", f"There is no {file} yet; the first start creates it.")
        advice = f"Check the owner and permissions of {file}, or restore it from a backup."
    else:
        advice = (
            f"Check that PostgreSQL runs at {url.host}:{url.port or 5432} and can be reached from this machine, and the "
            "user, password and database name in DATABASE_URL."
        )
    return look_at(name, title, _connect, advice)


def _connect() -> str:
    url = db.engine().url
    with db.engine().connect() as connection:
        connection.execute(text("SELECT 1"))
    return f"Connected to {url.database if url.host is None else f'{url.database} at {url.host}'}."


def has_this_schema() -> bool:
    """Whether the tables of the database are those of this version."""
    try:
        return not db.schema_behind()
    except ConfigurationError:  # of a later version
        return False


def secret_key() -> Finding:
    """Whether the key opens what the database holds. Needs the database and its tables."""
    name, title = "secret-key", "Secret key"
    if not has_this_schema():
        return Finding(name, title, "skipped", OTHER_SCHEMA)
    try:
        opens = keys.key_opens()
    except ConfigurationError as error:
        found, _, remedy = error.public_message.partition("\n")
        advice = (
            "On a further machine set SECRET_KEY to that of the first one, where it is SECRET_KEY in the environment or "
            f"secret_key in DATA_DIR/installation.json. Otherwise:\n{remedy}"
        )
        return Finding(name, title, "broken", found, advice)
    if not opens:
        return Finding(name, title, "ok", "None is set yet; the first start makes one in DATA_DIR.")
    source = "SECRET_KEY" if settings().secret_key.get_secret_value() else "the key in DATA_DIR"
    return Finding(name, title, "ok", f"This database was used with {source}, or is new.")


def installation_settings() -> Finding:
    """Whether bucket, endpoint and queue are those of the installation. Needs the database and its tables."""
    name, title = "installation", INSTALLATION
    if not has_this_schema():
        return Finding(name, title, "skipped", OTHER_SCHEMA)
    if not identity.is_recorded():
        return Finding(
            name, title, "ok", "None are recorded yet; the first start records those of this machine."
        )
    if not identity.can_be_named():
        found = "There is no DATA_DIR/installation.json yet, which names the embedded parts of this machine."
        return Finding(name, title, "skipped", found)
    try:
        identity.check(identity.Role.COMMAND)
    except ConfigurationError as error:
        *found_lines, advice = error.public_message.splitlines()
        return Finding(name, title, "broken", "\n".join(found_lines) or advice, advice if found_lines else "")
    return Finding(name, title, "ok", "Bucket, endpoint and queue are those of the installation.")


def queue(jobs_waiting: Callable[[], int]) -> Finding:
    name, title = "queue-connection", "Queue connection"
    dsn = settings().queue_dsn
    if dsn.startswith("sqlite"):
        file = Path(dsn.removeprefix("sqlite:///"))
        if not file.exists():
            return Finding(name, title, "skipped", f"There is no {file} yet; the first start creates it.")
        advice = f"Check the owner and permissions of {file}. If it is damaged, the next start of a worker rebuilds it."
    else:
        parts = urlsplit(dsn)
        advice = (
            f"Check that {'Redis' if parts.scheme.startswith('redis') else 'PostgreSQL'} runs at {parts.hostname}"
            f"{f':{parts.port}' if parts.port else ''} and can be reached from this machine, and the user and password "
            "in QUEUE_URL."
        )
        if settings().uses_postgres_queue:
            advice += " If its tables are missing, run `python -m videovault migrate`."
    return look_at(name, title, lambda: f"Connected; {jobs_waiting():,} jobs are waiting.", advice)


def redis() -> Finding:
    name, title = "redis", "Redis"
    url = settings().redis_url
    if not url:
        return Finding(name, title, "ok", "None is set: page state is kept in the memory of one process.")
    parts = urlsplit(url)
    advice = (
        f"Check that Redis runs at {parts.hostname}:{parts.port or 6379}, can be reached from this machine and accepts "
        "writes, and the user and password in REDIS_URL. Without it pages lose their state; for one replica leave "
        "REDIS_URL empty."
    )

    def look() -> str:
        redis_connection.write_and_read(url)
        return "A key was written and read."

    return look_at(name, title, look, advice)


def websocket() -> Finding:
    """Whether pages under PUBLIC_URL can open their websocket, through whatever proxy is in front."""
    name, title, base = "websocket", "Websocket of the pages", settings().base_url
    try:
        status = http_check.open_websocket(f"{base}{WEBSOCKET_PATH}", {"Origin": base})
    except http_check.Unreachable as error:
        advice = f"Check PUBLIC_URL ({base}), its DNS entry, its certificate and the proxy in front."
        return Finding(name, title, "broken", error.public_message, advice)
    if status == SWITCHING_PROTOCOLS:
        return Finding(name, title, "ok", f"It opens at {base}.")
    found = f"{base} answers HTTP {status} instead of opening it, so pages do nothing."
    return Finding(name, title, "broken", found, PROXY_ADVICE)


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in LOOPBACK_HOSTS or host.startswith("127.")


def is_local_only(config: Settings) -> bool:
    """Whether pages are reached on this machine only."""
    return is_loopback(config.base_url)


def _write_in(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(os.urandom(WRITTEN_BYTES))
        file.flush()
        os.fsync(file.fileno())

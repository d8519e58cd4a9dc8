"""Everything that this installation depends on, checked for an operator: also when nothing runs, or nothing can.

What the System page needs before it can be shown is looked at here, and what several machines have to share; the rest
are the checks of that page.
"""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy import make_url, text

from videovault import db, installation
from videovault.config import Settings, settings
from videovault.errors import ConfigurationError, VideoVaultError
from videovault.formatting import format_size
from videovault.gateways import http_check, redis_connection, store_capabilities
from videovault.services.admin import checks
from videovault.services.admin.checks import CheckView
from videovault.services.admin.health import SharedRun
from videovault.services.maintenance import identity, keys

NEED_TABLES = {"queue", "workers", "copies", "failures"}
NEED_STORE = {"storage", "cors", "clock"}
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
SCRIPT = re.compile(r"/assets/[\w.-]+\.js")
VERSION_REQUESTS = 4  # a proxy sends them to several replicas
LOOK_SECONDS = 8.0  # more than the timeouts of the connections themselves
MASK = "[redacted]"
State = Literal["ok", "warning", "broken", "skipped"]


@dataclass(frozen=True)
class Circumstances:
    """``is_running``: a web process of this machine uses DATA_DIR. ``start_page`` is the one that was built here.

    ``is_shared``: there are, or will be, several machines.
    """

    jobs_waiting: Callable[[], int]
    is_running: bool
    start_page: str
    is_shared: bool


@dataclass(frozen=True)
class Finding:
    """``found`` is a sentence, ``advice`` how to repair it, ``details`` further sentences; skipped: not looked at."""

    name: str
    title: str
    state: State
    found: str
    advice: str = ""
    details: tuple[str, ...] = ()


def examine(here: Circumstances) -> Iterator[Finding]:
    """One finding after the other. Changes nothing, except for small objects and keys that are deleted again."""
    yield _data_folder()
    database = _database()
    yield database
    has_database = database.state == "ok"
    if has_database:
        yield _secret_key()
        yield _installation_settings()
    else:
        yield Finding("secret-key", "Secret key", "skipped", "It is compared with the database.")
        yield Finding("installation", INSTALLATION, "skipped", "They are compared with the database.")
    queue = _queue(here.jobs_waiting)
    yield queue
    yield _redis()
    yield from _system_checks(here, has_database=has_database, has_queue=queue.state == "ok")
    if here.is_running or not _is_local_only(settings()):
        yield _websocket()
    if here.is_shared or _looks_shared():
        yield from _shared(settings(), here.start_page, is_required=here.is_shared)


def _looks_shared() -> bool:
    return settings().workers == 0 or bool(settings().redis_url)


def _system_checks(here: Circumstances, *, has_database: bool, has_queue: bool) -> Iterator[Finding]:
    """The checks of the System page, started together."""
    has_tables = has_database and _has_this_schema()
    has = {"database": has_database} | dict.fromkeys(NEED_TABLES, has_tables)
    reasons = {
        name: "It needs the database." if not has.get(name, True) else _reason_to_skip(name, here)
        for name in checks.applicable()
    }
    if not has_queue:
        reasons["queue"] = reasons["queue"] or "The queue cannot be used."
    memory: AbstractContextManager[None] = (
        nullcontext() if has_tables else store_capabilities.without_memory()
    )
    with memory:
        running = {
            name: checks.start_check(name, jobs_waiting=here.jobs_waiting)
            for name, reason in reasons.items()
            if not reason
        }
        for name, reason in reasons.items():
            if reason:
                yield Finding(name, checks.CHECKS[name].title, "skipped", reason)
            else:
                yield _finding(running[name].result())


def _reason_to_skip(name: str, here: Circumstances) -> str:
    config = settings()
    if name == "disk" and not config.data_dir.exists():
        return "There is no DATA_DIR yet."
    if here.is_running:
        return ""
    if name in NEED_STORE and config.uses_embedded_s3:
        return "VideoVault does not run here, and the embedded S3 runs with it."
    is_own = {
        "workers": config.workers > 0 and config.database_dsn.startswith("sqlite"),
        "script-webhook": config.script_webhook_url is None,
        "video-webhook": config.video_webhook_url is None,
        "callback": _is_local_only(config) and not config.callback_url,
    }
    return "VideoVault does not run here." if is_own.get(name) else ""


def _finding(view: CheckView) -> Finding:
    problem = (f"This is what the guide calls {view.problem}.",) if view.problem else ()
    return Finding(view.name, view.title, view.state, view.found, view.advice, (*problem, *view.details))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in LOOPBACK_HOSTS or host.startswith("127.")


def _is_local_only(config: Settings) -> bool:
    """Whether pages are reached on this machine only."""
    return _is_loopback(config.base_url)


def _data_folder() -> Finding:
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


def _write_in(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(os.urandom(WRITTEN_BYTES))
        file.flush()
        os.fsync(file.fileno())


def _database() -> Finding:
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
    return _look_at(name, title, _connect, advice)


def _connect() -> str:
    url = db.engine().url
    with db.engine().connect() as connection:
        connection.execute(text("SELECT 1"))
    return f"Connected to {url.database if url.host is None else f'{url.database} at {url.host}'}."


def _has_this_schema() -> bool:
    """Whether the tables of the database are those of this version."""
    try:
        return not db.schema_behind()
    except ConfigurationError:  # of a later version
        return False


def _secret_key() -> Finding:
    """Whether the key opens what the database holds. Needs the database and its tables."""
    name, title = "secret-key", "Secret key"
    if not _has_this_schema():
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


def _installation_settings() -> Finding:
    """Whether bucket, endpoint and queue are those of the installation. Needs the database and its tables."""
    name, title = "installation", INSTALLATION
    if not _has_this_schema():
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


def _queue(jobs_waiting: Callable[[], int]) -> Finding:
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
    return _look_at(name, title, lambda: f"Connected; {jobs_waiting():,} jobs are waiting.", advice)


def _redis() -> Finding:
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

    return _look_at(name, title, look, advice)


def _websocket() -> Finding:
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


def _look_at(name: str, title: str, look: Callable[[], str], advice: str) -> Finding:
    """Run ``look``, which returns a sentence, in a thread of its own, with a deadline; an error makes it broken."""
    try:
        return Finding(name, title, "ok", SharedRun[str](f"doctor {name}").start(look).result(LOOK_SECONDS))
    except TimeoutError:
        return Finding(name, title, "broken", f"No answer within {LOOK_SECONDS:g} seconds.", advice)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is the finding
        return Finding(name, title, "broken", _reason_of(error), advice)


def _reason_of(error: BaseException) -> str:
    """The driver's own words, without secrets: who runs the doctor has access to the machine."""
    if isinstance(error, VideoVaultError):
        text = error.public_message
    else:
        cause = getattr(error, "orig", None) or error
        text = " ".join(str(cause).split()) or type(cause).__name__
    for secret in settings().secrets:
        text = text.replace(secret, MASK)
    return text


# What several machines have to share, and what each of them must be able to reach.


def _shared(config: Settings, start_page: str, *, is_required: bool) -> Iterator[Finding]:
    """``start_page`` is the one that was built here. What is not shared is broken if it ``is_required``, else a warning."""
    lacking: State = "broken" if is_required else "warning"
    yield _shared_database("shared-database", "Shared database", "DATABASE_URL", config.database_dsn, lacking)
    yield _shared_database("shared-queue", "Shared queue", "QUEUE_URL", config.queue_dsn, lacking)
    yield _shared_redis(config)
    yield _shared_store(config, lacking)
    yield _shared_key(config, lacking)
    yield _shared_generators(config, lacking)
    yield _public_address(config, lacking)
    yield _same_version(config, start_page, lacking)


def _shared_database(name: str, title: str, setting: str, dsn: str, lacking: State) -> Finding:
    if dsn.startswith("sqlite"):
        found = f"{setting} is a file of this machine, so other machines do not see what is in it."
        return Finding(
            name,
            title,
            lacking,
            found,
            f"Set {setting} to one PostgreSQL{_or_redis(setting)} for all machines.",
        )
    host = urlsplit(dsn).hostname or "localhost"
    if _is_loopback(dsn):
        found = f"{setting} leads to {host}, which is another machine on each machine."
        return Finding(
            name,
            title,
            "warning",
            found,
            "On other machines use the address of this one, and let it listen there.",
        )
    return Finding(name, title, "ok", f"{setting} leads to {host}.")


def _or_redis(setting: str) -> str:
    return " or Redis" if setting == "QUEUE_URL" else ""


def _shared_redis(config: Settings) -> Finding:
    name, title = "shared-redis", "Shared page state"
    if config.redis_url:
        return Finding(name, title, "ok", f"REDIS_URL leads to {urlsplit(config.redis_url).hostname}.")
    found = "REDIS_URL is not set: one web replica only, however many workers there are."
    return Finding(name, title, "warning", found, "Set REDIS_URL to one Redis for all web replicas.")


def _shared_store(config: Settings, lacking: State) -> Finding:
    name, title = "shared-s3", "Shared S3"
    if config.uses_embedded_s3:
        advice = "Set AWS_S3_BUCKET_NAME, and AWS_ENDPOINT_URL_S3 for another S3 than AWS, to the same bucket everywhere."
        return Finding(name, title, lacking, "The embedded S3 serves this machine only.", advice)
    if config.aws_endpoint_url_s3 and _is_loopback(config.aws_endpoint_url_s3):
        found = f"AWS_ENDPOINT_URL_S3 leads to {config.aws_endpoint_url_s3}, which is another machine on each machine."
        return Finding(name, title, "warning", found, "Use an address that all machines and browsers reach.")
    return Finding(name, title, "ok", f"All machines have to use the bucket {config.aws_s3_bucket_name}.")


def _shared_key(config: Settings, lacking: State) -> Finding:
    name, title = "shared-key", "Shared secret key"
    if config.secret_key.get_secret_value():
        return Finding(
            name, title, "ok", "SECRET_KEY is set. The line Secret key says whether it is the right one."
        )
    found = "The key is kept in this machine's DATA_DIR only."
    advice = "Set SECRET_KEY on every machine, to secret_key in DATA_DIR/installation.json of the first one."
    return Finding(name, title, lacking, found, advice)


def _shared_generators(config: Settings, lacking: State) -> Finding:
    name, title = "shared-generators", "Generators"
    if config.uses_embedded_studio:
        found = "The embedded studio serves this machine only."
        advice = "Set SCRIPT_WEBHOOK_URL and VIDEO_WEBHOOK_URL everywhere; an empty one means none."
        return Finding(name, title, lacking, found, advice)
    return Finding(name, title, "ok", "No embedded studio is used.")


def _public_address(config: Settings, lacking: State) -> Finding:
    name, title = "public-address", "Public address"
    if _is_loopback(config.base_url):
        found = f"PUBLIC_URL is {config.base_url}, where only this machine finds VideoVault."
        return Finding(
            name, title, lacking, found, "Set PUBLIC_URL to the address of the proxy, on every machine."
        )
    return Finding(name, title, "ok", f"PUBLIC_URL is {config.base_url}.")


def _same_version(config: Settings, start_page: str, lacking: State) -> Finding:
    """The pages of a version are the same files wherever they are built."""
    name, title = "same-version", "Same version"
    if not start_page:
        found = "The pages are not built here: only the tables were compared (see Database)."
        return Finding(name, title, "skipped", found)
    own = set(SCRIPT.findall(start_page))
    try:
        others = [_scripts_at(config.base_url) for _ in range(VERSION_REQUESTS)]
    except http_check.Unreachable as error:
        return Finding(name, title, "skipped", f"{config.base_url}: {error.public_message}")
    if any(other != own for other in others):
        found = f"{config.base_url} serves pages of another version than this machine's."
        return Finding(
            name, title, lacking, found, "Install the same version on every machine, then restart it."
        )
    return Finding(name, title, "ok", f"{config.base_url} serves the pages of this version.")


def _scripts_at(base: str) -> set[str]:
    return set(SCRIPT.findall(http_check.send_request(f"{base}/").body.decode(errors="replace")))

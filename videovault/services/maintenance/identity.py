"""What all processes of an installation have in common, kept in the database: bucket, endpoint, queue, generator.

The first start records it. Afterwards a process with other settings is refused, since it would read another queue or
store videos elsewhere. The key has its own mechanism (``keys``), and the schema that of the migrations.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlmodel import Session, select

from videovault import __version__, logs
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import advisory_lock, reading, transaction
from videovault.errors import ConfigurationError
from videovault.installation import FILE_NAME
from videovault.models import Event, InstallationFact, Video

BUCKET, ENDPOINT, QUEUE, GENERATOR, VERSION = "bucket", "endpoint", "queue", "generator", "version"
SETTINGS = {
    BUCKET: "AWS_S3_BUCKET_NAME",
    ENDPOINT: "AWS_ENDPOINT_URL_S3",
    QUEUE: "QUEUE_URL",
    GENERATOR: "VIDEO_WEBHOOK_URL",
}
AWS, EMBEDDED_S3, EMBEDDED_STUDIO, EXTERNAL = (
    "AWS",
    "the embedded S3",
    "the embedded studio",
    "an external generator",
)
CHANGED, LOCK = "installation_changed", "identity"
DEFAULT_PORTS = {"http": 80, "https": 443, "redis": 6379, "postgresql": 5432}
COMMAND = "python -m videovault identity --accept"
REFUSED = f"""This process has other settings than its installation, so it does not start. Nothing was changed.
{{differences}}
Correct these settings (environment or .env). To move the installation on purpose, stop all its processes and run \
`{COMMAND}` with the new settings."""
OWN_PARTS = """A worker needs the S3, the queue and the generator of its installation, and these are not set, so it would use \
its own:
{differences}
Set them as the app has them (environment or .env)."""

log = logs.get(__name__)


class Role(Enum):
    """The kind of process. Only the app may change facts that need no confirmation; only it and workers record them."""

    APP = "app"
    WORKER = "worker"
    COMMAND = "command"


@dataclass(frozen=True)
class Difference:
    """``setting`` is the environment variable; both values may be shown."""

    setting: str
    installation: str
    process: str

    def __str__(self) -> str:
        return f"{self.setting}: the installation uses {self.installation}, this process {self.process}"


def of_this_process() -> dict[str, str]:
    """The facts by this process's settings, without user names and passwords."""
    chosen = settings()
    return {
        BUCKET: f"{EMBEDDED_S3}{_of_data_dir()}" if chosen.uses_embedded_s3 else chosen.aws_s3_bucket_name,
        ENDPOINT: "" if chosen.uses_embedded_s3 else _endpoint(chosen.aws_endpoint_url_s3),
        QUEUE: _queue(chosen.queue_dsn),
        GENERATOR: f"{EMBEDDED_STUDIO}{_of_data_dir()}" if chosen.video_webhook_url is None else EXTERNAL,
    }


def recorded() -> dict[str, str]:
    """The installation's facts; before its first start with this version none, or the version alone."""
    with reading() as session:
        return _recorded(session)


def is_recorded() -> bool:
    return BUCKET in recorded()


def can_be_named() -> bool:
    """Whether ``check`` creates nothing: without an installation.json, it makes one to name the parts of this machine."""
    chosen = settings()
    has_own = (
        chosen.uses_embedded_s3 or chosen.queue_dsn.startswith("sqlite") or chosen.video_webhook_url is None
    )
    return not has_own or _is_database_in_data_dir() or (chosen.data_dir / FILE_NAME).exists()


def check(role: Role) -> None:
    """Raises ConfigurationError that names each setting of this process that differs from the installation's."""
    _refuse(_differences(recorded(), of_this_process(), role))


def record(role: Role) -> None:
    """Record the facts at the first start, and what the app may change later. Raises as ``check`` does."""
    own = of_this_process()
    known = recorded()
    is_known_version = _numbers(known.get(VERSION, "")) >= _numbers(__version__)
    if is_known_version and BUCKET in known and not (role is Role.APP and _changes_of_app(known, own)):
        return
    with transaction(essential=True) as session:
        advisory_lock(session, LOCK)
        known = _recorded(session)
        if known.keys().isdisjoint(SETTINGS):
            if role is Role.WORKER:
                _check_has_no_own_parts()
            _write(session, own)
            log.info("the installation's settings are recorded", **own)
        else:
            _refuse(_differences(known, own, role))
            if role is Role.APP:
                _write(session, _changes_of_app(known, own))
        _record_version(session, known.get(VERSION, ""))


def record_version() -> None:
    """Record this version if it is the newest that has used the database."""
    if _numbers(recorded().get(VERSION, "")) >= _numbers(__version__):
        return
    with transaction(essential=True) as session:
        advisory_lock(session, LOCK)
        _record_version(session, _recorded(session).get(VERSION, ""))


def accept() -> list[Difference]:
    """Make this process's settings those of the installation; the changes are in the audit log."""
    own = of_this_process()
    with transaction() as session:
        advisory_lock(session, LOCK)
        known = _recorded(session)
        changes = [
            Difference(SETTINGS[name], known.get(name) or "none", own[name] or "none")
            for name in SETTINGS
            if known.get(name) != own[name]
        ]
        _write(session, own)
        for change in changes:
            detail = {"name": change.setting, "from": change.installation, "to": change.process}
            session.add(Event(kind=CHANGED, detail=detail))
    return changes


def reset(session: Session) -> None:
    """After a restore: the objects and rows were put where this process's settings say."""
    _write(session, of_this_process())


def _differences(known: Mapping[str, str], own: Mapping[str, str], role: Role) -> list[Difference]:
    """Without a value on one side there is nothing to compare: an embedded S3 has no endpoint."""
    if role is Role.APP and _may_change_freely():
        return []
    return [
        Difference(SETTINGS[name], known[name], own[name])
        for name in SETTINGS
        if own[name] and known.get(name) and known[name] != own[name]
        if name != GENERATOR or _orders_elsewhere(own[name], role)
    ]


def _check_has_no_own_parts() -> None:
    """Raises ConfigurationError if this worker of an external database would bring its own S3, queue or studio."""
    chosen = settings()
    own = {
        "AWS_S3_BUCKET_NAME": (chosen.uses_embedded_s3, "the embedded S3"),
        "QUEUE_URL": (chosen.queue_dsn.startswith("sqlite"), "a queue in SQLite"),
        "VIDEO_WEBHOOK_URL": (chosen.video_webhook_url is None, "the embedded studio"),
    }
    lines = [
        f"  {name}: this process would use {part} of this machine."
        for name, (is_own, part) in own.items()
        if is_own
    ]
    if lines and not _has_local_database():
        raise ConfigurationError(OWN_PARTS.format(differences="\n".join(lines)))


def _changes_of_app(known: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """What the app may change without confirmation, such as from the studio to an external generator."""
    may_name_generator = own[GENERATOR] == EXTERNAL or _has_local_database()
    names = [name for name in SETTINGS if name != GENERATOR or may_name_generator]
    return {name: own[name] for name in names if known.get(name) != own[name]}


def _orders_elsewhere(generator: str, role: Role) -> bool:
    """The studio of this machine would get the orders; the URL of an external generator may change at any time."""
    orders = role is Role.WORKER or (role is Role.APP and settings().workers > 0)
    return orders and generator != EXTERNAL and not _has_local_database()


def _may_change_freely() -> bool:
    """Nothing can be lost: a single machine, whose database has no videos yet."""
    if not _has_local_database():
        return False
    with reading() as session:
        return session.exec(select(Video.id).limit(1)).first() is None


def _recorded(session: Session) -> dict[str, str]:
    return {fact.name: fact.value for fact in session.exec(select(InstallationFact))}


def _write(session: Session, facts: Mapping[str, str]) -> None:
    for name, value in facts.items():
        session.merge(InstallationFact(name=name, value=value, changed_at=utcnow()))


def _record_version(session: Session, known: str) -> None:
    if _numbers(__version__) > _numbers(known):
        _write(session, {VERSION: __version__})


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _refuse(differences: list[Difference]) -> None:
    if differences:
        raise ConfigurationError(REFUSED.format(differences="\n".join(f"  {each}." for each in differences)))


# The names of places.


def _has_local_database() -> bool:
    return settings().database_dsn.startswith("sqlite")


def _is_database_in_data_dir() -> bool:
    chosen = settings()
    return _has_local_database() and _sqlite_file(chosen.database_dsn).parent == chosen.data_dir.resolve()


def _of_data_dir() -> str:
    """Distinguishes the embedded parts of one DATA_DIR from another's, unless the database lies in it too."""
    if _is_database_in_data_dir():
        return ""
    digest = hashlib.sha256(
        f"videovault data dir {settings().installation.s3_access_key}".encode()
    ).hexdigest()
    return f" in the DATA_DIR {digest[:8]}"


def _endpoint(url: str) -> str:
    url = url or os.environ.get("AWS_ENDPOINT_URL", "")  # boto3's own, which it falls back to
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise ConfigurationError("AWS_ENDPOINT_URL must begin with http:// or https://.")
    return _place(url) if url else AWS


def _queue(dsn: str) -> str:
    if not dsn.startswith("sqlite"):
        return _place(dsn)
    file = _sqlite_file(dsn)
    return (
        f"SQLite ({file.name}){_of_data_dir()}"
        if file.parent == settings().data_dir.resolve()
        else f"SQLite ({file})"
    )


def _sqlite_file(dsn: str) -> Path:
    return Path(dsn.partition(":///")[2].partition("?")[0]).resolve()


def _place(url: str) -> str:
    """Scheme, hosts with ports, and path, without credentials and options."""
    parts = urlsplit(url)
    scheme = parts.scheme.partition("+")[0].replace("rediss", "redis")
    options = parse_qs(parts.query)
    hosts = parts.netloc.rpartition("@")[2] or ",".join(options.get("host", ["localhost"]))
    named = ",".join(_with_port(host, DEFAULT_PORTS[scheme]) for host in hosts.split(","))
    path = parts.path.strip("/") or next(iter(options.get("db", options.get("dbname", []))), "")
    if scheme == "redis":
        path = path or "0"
    return f"{scheme}://{named}/{path}".rstrip("/")


def _with_port(host: str, port: int) -> str:
    if host.startswith("/"):  # the folder of PostgreSQL's socket
        return host
    return host.lower() if host.rpartition(":")[2].isdigit() else f"{host.lower()}:{port}"

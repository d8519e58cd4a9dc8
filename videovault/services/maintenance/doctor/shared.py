"""What several machines have to share, and what each of them must be able to reach."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from videovault.config import Settings
from videovault.gateways import http_check
from videovault.services.maintenance.doctor.finding import Finding, State
from videovault.services.maintenance.doctor.parts import is_loopback

SCRIPT = re.compile(r"/assets/[\w.-]+\.js")
REQUESTS = 4  # a proxy sends them to several replicas


def findings(config: Settings, start_page: str, *, is_required: bool) -> Iterator[Finding]:
    """``start_page`` is the one that was built here. What is not shared is broken if it ``is_required``, else a warning."""
    lacking: State = "broken" if is_required else "warning"
    yield _database_like("shared-database", "Shared database", "DATABASE_URL", config.database_dsn, lacking)
    yield _database_like("shared-queue", "Shared queue", "QUEUE_URL", config.queue_dsn, lacking)
    yield _redis(config)
    yield _store(config, lacking)
    yield _key(config, lacking)
    yield _generators(config, lacking)
    yield _address(config, lacking)
    yield _version(config, start_page, lacking)


def _database_like(name: str, title: str, setting: str, dsn: str, lacking: State) -> Finding:
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
    if is_loopback(dsn):
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


def _redis(config: Settings) -> Finding:
    name, title = "shared-redis", "Shared page state"
    if config.redis_url:
        return Finding(name, title, "ok", f"REDIS_URL leads to {urlsplit(config.redis_url).hostname}.")
    found = "REDIS_URL is not set: one web replica only, however many workers there are."
    return Finding(name, title, "warning", found, "Set REDIS_URL to one Redis for all web replicas.")


def _store(config: Settings, lacking: State) -> Finding:
    name, title = "shared-s3", "Shared S3"
    if config.uses_embedded_s3:
        advice = "Set AWS_S3_BUCKET_NAME, and AWS_ENDPOINT_URL_S3 for another S3 than AWS, to the same bucket everywhere."
        return Finding(name, title, lacking, "The embedded S3 serves this machine only.", advice)
    if config.aws_endpoint_url_s3 and is_loopback(config.aws_endpoint_url_s3):
        found = f"AWS_ENDPOINT_URL_S3 leads to {config.aws_endpoint_url_s3}, which is another machine on each machine."
        return Finding(name, title, "warning", found, "Use an address that all machines and browsers reach.")
    return Finding(name, title, "ok", f"All machines have to use the bucket {config.aws_s3_bucket_name}.")


def _key(config: Settings, lacking: State) -> Finding:
    name, title = "shared-key", "Shared secret key"
    if config.secret_key.get_secret_value():
        return Finding(
            name, title, "ok", "SECRET_KEY is set. The line Secret key says whether it is the right one."
        )
    found = "The key is kept in this machine's DATA_DIR only."
    advice = "Set SECRET_KEY on every machine, to secret_key in DATA_DIR/installation.json of the first one."
    return Finding(name, title, lacking, found, advice)


def _generators(config: Settings, lacking: State) -> Finding:
    name, title = "shared-generators", "Generators"
    if config.uses_embedded_studio:
        found = "The embedded studio serves this machine only."
        advice = "Set SCRIPT_WEBHOOK_URL and VIDEO_WEBHOOK_URL everywhere; an empty one means none."
        return Finding(name, title, lacking, found, advice)
    return Finding(name, title, "ok", "No embedded studio is used.")


def _address(config: Settings, lacking: State) -> Finding:
    name, title = "public-address", "Public address"
    if is_loopback(config.base_url):
        found = f"PUBLIC_URL is {config.base_url}, where only this machine finds VideoVault."
        return Finding(
            name, title, lacking, found, "Set PUBLIC_URL to the address of the proxy, on every machine."
        )
    return Finding(name, title, "ok", f"PUBLIC_URL is {config.base_url}.")


def _version(config: Settings, start_page: str, lacking: State) -> Finding:
    """The pages of a version are the same files wherever they are built."""
    name, title = "same-version", "Same version"
    if not start_page:
        found = "The pages are not built here: only the tables were compared (see Database)."
        return Finding(name, title, "skipped", found)
    own = set(SCRIPT.findall(start_page))
    try:
        others = [_scripts_at(config.base_url) for _ in range(REQUESTS)]
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

"""Types of settings with validation, and the description of invalid settings."""

import base64
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

STARTTLS = ("offered", "required", "never")
PORTS = {"smtp": 587, "smtps": 465}
LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class SmtpServer:
    """The mail server of a URL such as smtp://user:password@host:587, or smtps:// for TLS from the first byte."""

    host: str
    port: int
    user: str
    password: str
    tls: Literal["at once", "offered", "required", "never"]

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Raises ValueError with the problem, but never with the URL, which holds a password."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("must be like smtp://user:password@host:587 or smtps://user:password@host:465")
        if bool(parts.username) != bool(parts.password):
            raise ValueError("needs user and password, or neither")
        try:
            port = parts.port or PORTS[parts.scheme]
        except ValueError as error:
            raise ValueError(
                "must have a port between 1 and 65535, and %-encode / # ? in a password"
            ) from error
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(
            parts.hostname, port, user, password, _tls(parts.scheme, parts.query, parts.hostname, user)
        )


def _tls(scheme: str, query: str, host: str, user: str) -> Literal["at once", "offered", "required", "never"]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    wanted = options.pop("starttls", "")
    if options or wanted not in ("", *STARTTLS) or (wanted and scheme == "smtps"):
        raise ValueError(f"takes one option only, and smtps:// none: ?starttls={'|'.join(STARTTLS)}")
    if scheme == "smtps":
        return "at once"
    # With a password, STARTTLS is required, since an attacker could strip the offer.
    if wanted != "never" and user and host not in LOOPBACK_HOSTS:
        return "required"
    match wanted:
        case "required" | "never":
            return wanted
        case _:
            return "offered"


Network = IPv4Network | IPv6Network

MIN_GUESSES_LOG10 = 18.0
MAX_ESTIMATED_LENGTH = 72  # zxcvbn's time grows with the square of the length
# Placeholders of examples and templates. One of 10^7 random keys of 43 characters contains such a word.
PLACEHOLDERS = re.compile(r"change[-_ ]?(me|it|this|in)|secret|passw|example|default", re.IGNORECASE)
MAKE_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
MAKE_WEBHOOK_KEY = "python -c 'import base64, secrets; print(\"whsec_\" + base64.b64encode(secrets.token_bytes(32)).decode())'"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("must be a URL that starts with http:// or https://")
    return value.rstrip("/")


def _url_with_scheme(*schemes: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        parts = urlsplit(value)
        if value and parts.scheme not in schemes:
            raise ValueError("must begin with " + " or ".join(f"{scheme}://" for scheme in schemes))
        # Drivers read such a password, but what splits the URL here does not: it would be shown as part of the host.
        if parts.scheme != "sqlite" and "@" in parts.path + parts.query + parts.fragment:
            raise ValueError("has a #, ? or / in its user or password: write %23, %3F or %2F")
        return value

    return check


def _proxy_url(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if value.get_secret_value() and (parts.scheme != "http" or not parts.hostname):
        raise ValueError("must be like http://user:password@host:port")
    return value


def is_guessable(secret: str) -> bool:
    """Whether a dictionary or brute-force attack finds it, by zxcvbn's cautious estimate."""
    if PLACEHOLDERS.search(secret):
        return True
    loaded = "zxcvbn" in sys.modules
    from zxcvbn import zxcvbn

    estimated: float = zxcvbn(secret[:MAX_ESTIMATED_LENGTH])["guesses_log10"]
    if not loaded:  # its dictionaries take 12 MB, which each process would keep for one check at its start
        for name in [name for name in sys.modules if name.partition(".")[0] == "zxcvbn"]:
            del sys.modules[name]
    return estimated < MIN_GUESSES_LOG10


def _sealing_key(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and is_guessable(value.get_secret_value()):
        raise ValueError(
            f"is easy to guess. Generate a strong one: {MAKE_KEY}. If videos were stored with the present one, set that as "
            "SECRET_KEY_OLD beside the new one, run `python -m videovault reseal`, and remove it again"
        )
    return value


def _metrics_token(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and is_guessable(value.get_secret_value()):
        raise ValueError(f"is easy to guess. Generate a strong one: {MAKE_KEY}")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value().removeprefix("whsec_")
    try:
        decoded = base64.b64decode(secret, validate=True).decode("latin-1")
    except ValueError as error:
        raise ValueError("must be base64, with or without whsec_ before it") from error
    if secret and (is_guessable(secret) or is_guessable(decoded)):
        raise ValueError(
            f"is easy to guess. Generate a strong one, and set it on both sides: {MAKE_WEBHOOK_KEY}"
        )
    return value


def _smtp_url(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        SmtpServer.parse(value.get_secret_value())
    return value


def _mail_address(value: str) -> str:
    name, at, domain = parseaddr(value)[1].rpartition("@")
    if value and not (name and at and domain and value.isprintable()):
        raise ValueError("must be like videos@example.com or VideoVault <videos@example.com>")
    return value


def parse_networks(value: str) -> tuple[Network, ...]:
    """Addresses and networks such as ``10.0.0.0/8``, comma-separated; ``*`` for all, ``none`` for none."""
    if value == "none":
        return ()
    entries = [entry.strip() for entry in value.replace("*", "0.0.0.0/0,::/0").split(",")]
    return tuple(ip_network(entry) for entry in entries if entry)


def _networks(value: str) -> str:
    try:
        parse_networks(value)
    except ValueError as error:
        raise ValueError("must be IP addresses or networks such as 10.0.0.0/8, or none") from error
    return value


DatabaseUrl = Annotated[str, AfterValidator(_url_with_scheme("sqlite", "postgresql+psycopg"))]
QueueUrl = Annotated[str, AfterValidator(_url_with_scheme("sqlite", "postgresql", "redis", "rediss"))]
RedisUrl = Annotated[str, AfterValidator(_url_with_scheme("redis", "rediss"))]
ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]
SealingKey = Annotated[SecretStr, AfterValidator(_sealing_key)]
MetricsToken = Annotated[SecretStr, AfterValidator(_metrics_token)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Networks = Annotated[str, AfterValidator(_networks)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


# Origins of objects, which the content security policy has to allow.


def endpoint_origins(endpoint: str, bucket: str) -> tuple[str, ...]:
    """The two ways to address a bucket of another S3: by path, and as a virtual host."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}", f"{parts.scheme}://{bucket}.{parts.netloc}"


def aws_origins(region: str, bucket: str) -> tuple[str, ...]:
    """AWS S3, regional and (as boto3 signs for some regions) global; a bucket with dots has no virtual host."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    hosts = (f"s3.{region}.{domain}", f"s3.{domain}")
    return tuple(f"https://{host}" if "." in bucket else f"https://{bucket}.{host}" for host in hosts)


def explain_errors(error: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """Describe every invalid variable with its problem and its meaning."""
    lines = ["VideoVault cannot start with these settings (environment or .env):"]
    for problem in error.errors(include_url=False):
        name = "_".join(str(part) for part in problem["loc"]).upper()
        meaning = fields[name.lower()].description if name.lower() in fields else ""
        reason = problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {name + ': ' if name else ''}{reason}. {meaning or ''}".rstrip())
    return "\n".join(lines)

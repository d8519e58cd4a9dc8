"""Types of settings with validation, the headers that settings add to requests, and the description of invalid settings."""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from videovault import untrusted_json

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

MAX_HEADERS_BYTES = 16 * 1024  # per setting
MAX_HEADERS = 20  # per receiver
MAX_HEADER_HOSTS = 50
MAX_HEADER_NAME = 100
MAX_HEADER_VALUE = 4096
MASK = "…"  # replaces a secret
MIN_MASKED_LENGTH = 8  # characters; masking a shorter value would hit ordinary words
# Headers of the client itself, hop-by-hop headers (RFC 9110, 7.6.1), and those that sign or identify our request.
FORBIDDEN_HEADERS = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect"),
        *("host", "http2-settings", "idempotency-key", "if-match", "if-modified-since", "if-none-match"),
        *(
            "if-range",
            "if-unmodified-since",
            "keep-alive",
            "proxy-authorization",
            "proxy-connection",
            "range",
        ),
        *("te", "trailer", "transfer-encoding", "upgrade"),
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
    }
)

Headers = Mapping[str, str]
HostHeaders = Mapping[str, Headers]
"""Headers by host in lower case: ``host``, or ``host:port`` for that port only."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_HEADER_HOST = re.compile(r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
HEADERS_EXAMPLE = '{"X-Api-Key": "…"}'
HOST_HEADERS_EXAMPLE = '{"files.example.com": {"Authorization": "Bearer …"}}'


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


def _validate_headers(value: SecretStr) -> SecretStr:
    parse_headers(value.get_secret_value())
    return value


def _validate_host_headers(value: SecretStr) -> SecretStr:
    parse_host_headers(value.get_secret_value())
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
WebhookHeaders = Annotated[SecretStr, AfterValidator(_validate_headers)]
SourceHeaders = Annotated[SecretStr, AfterValidator(_validate_host_headers)]
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


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as pairs, to detect duplicate names."""


def parse_headers(value: str) -> Headers:
    """Parse ``WEBHOOK_HEADERS``. Raises ValueError with the problem, but never with a header's value."""
    return _parse_pairs(_parse_object(value, HEADERS_EXAMPLE), HEADERS_EXAMPLE) if value else {}


def parse_host_headers(value: str) -> HostHeaders:
    """Parse ``SOURCE_HEADERS``; raises like ``parse_headers``."""
    if not value:
        return {}
    hosts = _parse_object(value, HOST_HEADERS_EXAMPLE)
    if len(hosts) > MAX_HEADER_HOSTS:
        raise ValueError(f"names {len(hosts)} hosts, at most {MAX_HEADER_HOSTS} are allowed")
    found: dict[str, Headers] = {}
    for name, headers in hosts:
        host = _parse_host(name)
        if host in found:
            raise ValueError(f"names the host {host} twice")
        found[host] = _parse_pairs(headers, HOST_HEADERS_EXAMPLE)
    return found


def headers_for_host(by_host: HostHeaders, host: str, port: int) -> Headers:
    """The headers for this host, given in lower-case ASCII without brackets. An entry with the port replaces one without."""
    named = f"[{host}]" if ":" in host else host
    return by_host.get(f"{named}:{port}") or by_host.get(named, {})


def secrets_of(headers: Headers) -> list[str]:
    """The parts that no log may show: each value, and the part after a scheme such as ``Bearer``."""
    values = list(headers.values())
    return [*values, *(value.partition(" ")[2].strip() for value in values if " " in value)]


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Mask secrets in a text that may come from a service that received them."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= MIN_MASKED_LENGTH:
            text = text.replace(secret, MASK)
    return text


def _parse_object(value: str, example: str) -> _Pairs:
    if len(value.encode()) > MAX_HEADERS_BYTES:
        raise ValueError(f"is too long: at most {MAX_HEADERS_BYTES // 1024} KiB are allowed")
    try:
        untrusted_json.check(value)
        pairs = json.loads(value, object_pairs_hook=_Pairs)
    except ValueError as error:
        raise ValueError(f"is not JSON. It must be like {example}") from error
    if not isinstance(pairs, _Pairs):
        raise ValueError(f"must be a JSON object like {example}")  # noqa: TRY004 - pydantic expects ValueError
    return pairs


def _parse_pairs(pairs: Any, example: str) -> Headers:
    if not isinstance(pairs, _Pairs):
        raise ValueError(f"must be a JSON object like {example}")  # noqa: TRY004 - as above
    if len(pairs) > MAX_HEADERS:
        raise ValueError(f"names {len(pairs)} headers, at most {MAX_HEADERS} are allowed")
    names = [name.lower() for name, _ in pairs]
    for name, value in pairs:
        _check_header(name, value)
        if names.count(name.lower()) > 1:
            raise ValueError(f"names the header {name} twice")
    return dict(pairs)


def _check_header(name: str, value: Any) -> None:
    if len(name) > MAX_HEADER_NAME or not _HEADER_NAME.fullmatch(name):
        raise ValueError(
            "holds a header name with characters other than letters, digits and hyphens, or an empty or overlong one"
        )
    if name.lower() in FORBIDDEN_HEADERS:
        raise ValueError(f"must not hold the header {name}, which VideoVault sets itself")
    if not isinstance(value, str):
        raise ValueError(f"must give the header {name} a text in quotation marks")  # noqa: TRY004 - as above
    if len(value) > MAX_HEADER_VALUE:
        raise ValueError(
            f"gives the header {name} an overlong value: at most {MAX_HEADER_VALUE:,} characters are allowed"
        )
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(
            f"gives the header {name} an empty value, or one with line breaks, control characters, characters beyond "
            "ASCII, or spaces at its ends"
        )


def _parse_host(name: str) -> str:
    match = _HEADER_HOST.fullmatch(name.lower())
    if match is None or len(name) > 260 or not (match[2] is None or 1 <= int(match[2]) <= 65535):
        raise ValueError(
            "must name hosts like files.example.com or files.example.com:8443, without https:// or path"
        )
    return name.lower()


def explain_errors(error: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """Describe every invalid variable with its problem and its meaning."""
    lines = ["VideoVault cannot start with these settings (environment or .env):"]
    for problem in error.errors(include_url=False):
        name = "_".join(str(part) for part in problem["loc"]).upper()
        meaning = fields[name.lower()].description if name.lower() in fields else ""
        reason = problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {name + ': ' if name else ''}{reason}. {meaning or ''}".rstrip())
    return "\n".join(lines)

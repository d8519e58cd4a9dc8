"""Configured HTTP headers of outgoing requests: JSON objects, validated at the start."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

from videovault import untrusted_json

MAX_BYTES = 16 * 1024  # per setting
MAX_HEADERS = 20  # per receiver
MAX_HOSTS = 50
MAX_NAME_LENGTH = 100
MAX_VALUE_LENGTH = 4096
MASK = "…"  # replaces a secret
MIN_SECRET_LENGTH = 8  # characters; masking a shorter value would hit ordinary words
# Headers of the client itself, hop-by-hop headers (RFC 9110, 7.6.1), and those that sign or identify our request.
FORBIDDEN = frozenset(
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

_NAME_PATTERN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE_PATTERN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_HOST_PATTERN = re.compile(r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
EXAMPLE = '{"X-Api-Key": "…"}'
HOSTS_EXAMPLE = '{"files.example.com": {"Authorization": "Bearer …"}}'


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as pairs, to detect duplicate names."""


def parse_headers(value: str) -> Headers:
    """Parse ``WEBHOOK_HEADERS``. Raises ValueError with the problem, but never with a header's value."""
    return _parse_pairs(_parse_object(value, EXAMPLE), EXAMPLE) if value else {}


def parse_host_headers(value: str) -> HostHeaders:
    """Parse ``SOURCE_HEADERS``; raises like ``parse_headers``."""
    if not value:
        return {}
    hosts = _parse_object(value, HOSTS_EXAMPLE)
    if len(hosts) > MAX_HOSTS:
        raise ValueError(f"names {len(hosts)} hosts, at most {MAX_HOSTS} are allowed")
    found: dict[str, Headers] = {}
    for name, headers in hosts:
        host = _parse_host(name)
        if host in found:
            raise ValueError(f"names the host {host} twice")
        found[host] = _parse_pairs(headers, HOSTS_EXAMPLE)
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
        if len(secret) >= MIN_SECRET_LENGTH:
            text = text.replace(secret, MASK)
    return text


def _parse_object(value: str, example: str) -> _Pairs:
    if len(value.encode()) > MAX_BYTES:
        raise ValueError(f"is too long: at most {MAX_BYTES // 1024} KiB are allowed")
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
    if len(name) > MAX_NAME_LENGTH or not _NAME_PATTERN.fullmatch(name):
        raise ValueError(
            "holds a header name with characters other than letters, digits and hyphens, or an empty or overlong one"
        )
    if name.lower() in FORBIDDEN:
        raise ValueError(f"must not hold the header {name}, which VideoVault sets itself")
    if not isinstance(value, str):
        raise ValueError(f"must give the header {name} a text in quotation marks")  # noqa: TRY004 - as above
    if len(value) > MAX_VALUE_LENGTH:
        raise ValueError(
            f"gives the header {name} an overlong value: at most {MAX_VALUE_LENGTH:,} characters are allowed"
        )
    if not _VALUE_PATTERN.fullmatch(value):
        raise ValueError(
            f"gives the header {name} an empty value, or one with line breaks, control characters, characters beyond "
            "ASCII, or spaces at its ends"
        )


def _parse_host(name: str) -> str:
    match = _HOST_PATTERN.fullmatch(name.lower())
    if match is None or len(name) > 260 or not (match[2] is None or 1 <= int(match[2]) <= 65535):
        raise ValueError(
            "must name hosts like files.example.com or files.example.com:8443, without https:// or path"
        )
    return name.lower()


def _validate(value: SecretStr) -> SecretStr:
    parse_headers(value.get_secret_value())
    return value


def _validate_by_host(value: SecretStr) -> SecretStr:
    parse_host_headers(value.get_secret_value())
    return value


WebhookHeaders = Annotated[SecretStr, AfterValidator(_validate)]
SourceHeaders = Annotated[SecretStr, AfterValidator(_validate_by_host)]

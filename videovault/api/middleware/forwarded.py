"""Forwarded headers of reverse proxies, applied only from the addresses in FORWARDED_ALLOW_IPS."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import Scope

from videovault.config import settings
from videovault.config.validation import Network
from videovault.services.core.client_ip import Address, is_in_networks, parse_address, rate_limit_key


def apply_forwarded_headers(scope: Scope) -> Scope:
    """The request with the browser's own address, scheme and Host, as far as a trusted proxy names them."""
    trusted = settings().trusted_proxies
    if not is_trusted_proxy(scope):
        return scope
    headers = Headers(scope=scope)
    client = _client_of(",".join(headers.getlist("x-forwarded-for")), trusted)
    scheme, host = (_first(headers.get(f"x-forwarded-{name}", "")) for name in ("proto", "host"))
    forwarded = {**scope}
    if client:
        forwarded["client"] = (client, 0)
    if scheme in ("http", "https"):
        forwarded["scheme"] = scheme if scope["type"] == "http" else scheme.replace("http", "ws")
    if host:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        forwarded["headers"] = [(b"host", host.encode("latin-1")), *others]
    return forwarded


def client_ip(scope: Scope) -> str:
    """The client's full address, for logs and events; empty if unknown."""
    return str(parse_address(_host_of(scope)) or "")


def limit_key(scope: Scope) -> str:
    """What limits per client address count by."""
    return rate_limit_key(_host_of(scope))


def is_trusted_proxy(scope: Scope) -> bool:
    """Whether the client is a trusted proxy; after ``apply_forwarded_headers``, one that did not name its client."""
    return is_in_networks(parse_address(_host_of(scope)), settings().trusted_proxies)


def _client_of(forwarded_for: str, trusted: Collection[Network]) -> str:
    """The last address that is not a trusted proxy's: everything before it may be forged."""
    client: Address | None = None
    for text in reversed(forwarded_for.split(",")):
        client = parse_address(text)
        if not is_in_networks(client, trusted):
            break
    return str(client or "")


def _host_of(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


def _first(values: str) -> str:
    return values.partition(",")[0].strip()

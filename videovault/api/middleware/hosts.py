"""Host check, and forwarded headers: the host, scheme and client address of a request.

A request to a host name of another site is refused (defence against DNS rebinding). Forwarded headers of reverse
proxies apply only from the addresses in FORWARDED_ALLOW_IPS.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from videovault.config import settings
from videovault.config.validation import Network
from videovault.services.core.client_ip import Address, is_in_networks, parse_address, rate_limit_key

AMBIGUOUS = "This request names several hosts."
LOCAL_SUFFIXES = (".localhost", ".local")  # cannot be registered in the public DNS
HEALTH_CHECK = "/healthz"  # load balancers use any name
UNKNOWN = (
    "VideoVault does not know this host name. To let people use it, set PUBLIC_URL to this address; "
    "to let only generators use it, set CALLBACK_URL."
)


def is_unknown(scope: Scope) -> bool:
    """Whether the Host may be another site's name, which would let its pages pass for ours in a browser."""
    if scope["type"] == "http" and scope["path"] == HEALTH_CHECK:
        return False
    host = _host_name(f"//{Headers(scope=scope).get('host', '')}")
    return host is None or not (_is_local(host) or host in _own_hosts())


def is_ambiguous(scope: Scope) -> bool:
    """Whether there are several Host headers, of which readers choose differently (RFC 9112, 3.2)."""
    return len(Headers(scope=scope).getlist("host")) > 1


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


def _own_hosts() -> set[str | None]:
    configured = settings()
    return {
        _host_name(configured.base_url),
        _host_name(configured.callback_url) or None,
        _host_name(configured.s3_public_endpoint_url) if configured.uses_embedded_s3 else None,
    }


def _is_local(host: str) -> bool:
    """Whether it is an IP address, or a name that exists in the local network only."""
    return "." not in host or host.endswith(LOCAL_SUFFIXES) or _is_ip_address(host)


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _host_name(url: str) -> str | None:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return None


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

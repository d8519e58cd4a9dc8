"""Host check: whether a request was made to a name of this installation (defence against DNS rebinding)."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from videovault.config import settings

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

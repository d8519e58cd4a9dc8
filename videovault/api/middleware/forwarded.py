"""What a reverse proxy says of the browser behind it, believed from the addresses in FORWARDED_ALLOW_IPS only."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import Scope

from videovault.config import settings
from videovault.config.validation import Network
from videovault.services.core import client_ip as core_client_ip
from videovault.services.core.client_ip import Address


def apply_forwarded_headers(scope: Scope) -> Scope:
    """The request as the browser sent it: its own address, scheme and Host, where a trusted proxy tells them."""
    trusted = settings().trusted_proxies
    if not core_client_ip.is_in_networks(core_client_ip.parse_address(_peer(scope)), trusted):
        return scope
    told = Headers(scope=scope)
    client = _browser(",".join(told.getlist("x-forwarded-for")), trusted)
    scheme, host = _first(told.get("x-forwarded-proto", "")), _first(told.get("x-forwarded-host", ""))
    changed = {**scope}
    if client:
        changed["client"] = (client, 0)
    if scheme in ("http", "https"):
        changed["scheme"] = scheme if scope["type"] == "http" else scheme.replace("http", "ws")
    if host:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        changed["headers"] = [(b"host", host.encode("latin-1")), *others]
    return changed


def client_ip(scope: Scope) -> str:
    """The whole address, for logs and events; empty for none."""
    return str(core_client_ip.parse_address(_peer(scope)) or "")


def client_address(scope: Scope) -> str:
    """Who is counted as one by limits per address."""
    return core_client_ip.rate_limit_key(_peer(scope))


def is_trusted_proxy(scope: Scope) -> bool:
    """Whether the client, as ``believed`` shows it, is a trusted proxy that did not name the browser behind it."""
    return core_client_ip.is_in_networks(
        core_client_ip.parse_address(_peer(scope)), settings().trusted_proxies
    )


def _browser(forwarded: str, trusted: Collection[Network]) -> str:
    """The last address that no trusted proxy has: what stands before it, anybody may have written."""
    furthest: Address | None = None
    for text in reversed(forwarded.split(",")):
        furthest = core_client_ip.parse_address(text)
        if not core_client_ip.is_in_networks(furthest, trusted):
            break
    return str(furthest or "")


def _peer(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


def _first(listed: str) -> str:
    return listed.partition(",")[0].strip()

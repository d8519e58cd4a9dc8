"""Whether a request was made to a name of this installation, or to somebody else's that merely leads here."""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from videovault.config import settings

AMBIGUOUS = "This request names several hosts."
LOCAL = (".localhost", ".local")  # nobody can have these in the public DNS
ASKED_BY_MACHINES = "/healthz"
UNKNOWN = (
    "VideoVault is not known by this name. If people are to reach it so, set PUBLIC_URL to this address; "
    "if only generators are, CALLBACK_URL."
)


def is_unknown(scope: Scope) -> bool:
    """Whether the Host could be the name of another site, whose pages a browser takes for ours then (DNS rebinding)."""
    if scope["type"] == "http" and scope["path"] == ASKED_BY_MACHINES:
        return False
    host = _name(f"//{Headers(scope=scope).get('host', '')}")
    return host is None or not (_is_nobodys(host) or host in _ours())


def is_ambiguous(scope: Scope) -> bool:
    """Whether several Host headers came: readers differ on which one counts (RFC 9112, 3.2)."""
    return len(Headers(scope=scope).getlist("host")) > 1


def _ours() -> set[str | None]:
    chosen = settings()
    return {
        _name(chosen.base_url),
        _name(chosen.callback_url) or None,
        _name(chosen.s3_public_endpoint_url) if chosen.uses_embedded_s3 else None,
    }


def _is_nobodys(host: str) -> bool:
    """An address, or a name that only this network knows."""
    return "." not in host or host.endswith(LOCAL) or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(url: str) -> str | None:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return None

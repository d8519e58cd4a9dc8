"""Whether a request was made by a page of this site, or by another site's page behind its visitor's back."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from videovault.config import settings

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
DEFAULT_PORTS = {"http": 80, "https": 443}
NO_COOKIES = "/api/callback/"  # what is asked for there depends on the address alone
FOREIGN = "This request did not come from a page of this site."


def is_cross_site(scope: Scope) -> bool:
    """Whether another site's page makes a browser change something here, or listen to a websocket.

    A foreign ``Origin`` is refused with or without a cookie, since signing somebody in is a change too.
    Programs send neither cookies nor an origin, and are not concerned.
    """
    if scope["type"] == "http" and (scope["method"] in SAFE_METHODS or scope["path"].startswith(NO_COOKIES)):
        return False
    headers = Headers(scope=scope)
    if "origin" in headers:
        return not _is_ours(headers["origin"], headers.get("host", ""), scope.get("scheme", ""))
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] not in ("same-origin", "none")
    return scope["type"] == "http" and _is_signed_in_by_browser(headers)


def _is_signed_in_by_browser(headers: Headers) -> bool:
    """Whether a cookie could decide who is asking.

    Of what stands in ``Authorization`` only a bearer token keeps it from that: browsers send other schemes, such as
    Basic for a proxy in front, by themselves and for whichever page makes the request.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return "cookie" in headers and not (scheme.lower() == "bearer" and token.strip())


def _is_ours(origin: str, host: str, scheme: str) -> bool:
    """The page's own host and port. The scheme counts only where it is known that people come by TLS."""
    said = origin.partition("://")[0]
    came_from = _host_and_port(origin)
    if said == "http" and (settings().secure_cookies or scheme in ("https", "wss")):
        return False
    ours = {_host_and_port(settings().base_url), _host_and_port(f"{said}://{host}")}
    return came_from is not None and came_from in ours


def _host_and_port(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.hostname, port) if parts.hostname else None

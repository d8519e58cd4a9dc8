"""CSRF: whether another site's page made a browser send a request."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from videovault.config import settings

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
DEFAULT_PORTS = {"http": 80, "https": 443}
NO_COOKIES = "/api/callback/"  # authorised by the address alone
CROSS_SITE = "This request did not come from a page of this site."


def is_cross_site(scope: Scope) -> bool:
    """Whether another site's page makes a browser change something here, or opens a websocket.

    A foreign ``Origin`` is refused even without a cookie, since a sign-in is a change too.
    Programs send neither cookies nor an origin and are not affected.
    """
    if scope["type"] == "http" and (scope["method"] in SAFE_METHODS or scope["path"].startswith(NO_COOKIES)):
        return False
    headers = Headers(scope=scope)
    if "origin" in headers:
        return not _is_own_origin(headers["origin"], headers.get("host", ""), scope.get("scheme", ""))
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] not in ("same-origin", "none")
    return scope["type"] == "http" and _is_authenticated_by_cookie(headers)


def _is_authenticated_by_cookie(headers: Headers) -> bool:
    """Whether a cookie may identify the caller.

    Only a bearer token rules that out: browsers add other schemes, such as Basic for a proxy in front, to any request.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return "cookie" in headers and not (scheme.lower() == "bearer" and token.strip())


def _is_own_origin(origin: str, host: str, scheme: str) -> bool:
    """Whether host and port are ours. The scheme counts only where clients are known to use TLS."""
    origin_scheme = origin.partition("://")[0]
    if origin_scheme == "http" and (settings().secure_cookies or scheme in ("https", "wss")):
        return False
    sender = _host_and_port(origin)
    own = {_host_and_port(settings().base_url), _host_and_port(f"{origin_scheme}://{host}")}
    return sender is not None and sender in own


def _host_and_port(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.hostname, port) if parts.hostname else None

"""Security and caching headers of every response, the Content Security Policy among them."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Scope

from videovault.config import settings

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# The addresses of shared videos contain a key, which must reach no other site and no search engine.
SHARE_PATHS = ("/share/", "/api/share/")
SHARE_HEADERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}
HSTS = "max-age=31536000; includeSubDomains"
DENY_ALL = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
IMMUTABLE = "public, max-age=31536000, immutable"  # file names under /assets contain a hash of the content
# The hash of an empty text: the style library adds empty style elements and fills them itself.
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


@dataclass(frozen=True)
class ResponseInfo:
    """What is known of a response when it starts."""

    scope: Scope
    status: int
    content_type: str

    @property
    def is_page(self) -> bool:
        """Whether it is an HTML page. A 304 has no type, but updates the headers that the browser has cached."""
        if self.status == 304:
            return Headers(scope=self.scope).get("sec-fetch-dest") == "document"
        return self.content_type.startswith("text/html")


def add_headers(headers: MutableHeaders, response: ResponseInfo, script_hashes: Collection[str]) -> None:
    """Add the headers that the application did not set; ``script_hashes`` are those of the page's inline scripts."""
    added = dict(SECURITY_HEADERS)
    if response.scope["path"].startswith(SHARE_PATHS):
        added |= SHARE_HEADERS
    if response.is_page:
        added["Content-Security-Policy"] = page_policy(tuple(script_hashes), settings().object_origins)
    elif response.status != 304:
        added["Content-Security-Policy"] = DENY_ALL
    if settings().secure_cookies:
        added["Strict-Transport-Security"] = HSTS
    caching = _cache_control(response)
    if caching:
        added["Cache-Control"] = caching
    for name, value in added.items():
        headers.setdefault(name, value)


@lru_cache(maxsize=8)
def page_policy(script_hashes: tuple[str, ...], media_origins: tuple[str, ...]) -> str:
    """Allow the site's own files and the scripts with these hashes; images and videos also from ``media_origins``."""
    rules = {
        "default-src": ("'none'",),
        "script-src": ("'self'", *(f"'{script_hash}'" for script_hash in script_hashes)),
        "style-src": ("'self'", EMPTY_STYLE),
        "img-src": ("'self'", "data:", *media_origins),
        "media-src": ("'self'", *media_origins),
        "font-src": ("'self'",),
        "connect-src": ("'self'",),
        "form-action": ("'self'",),
        "base-uri": ("'none'",),
        "frame-ancestors": ("'none'",),
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in rules.items())


def _cache_control(response: ResponseInfo) -> str:
    path = response.scope["path"]
    if path.startswith("/api"):
        return "no-store"
    if path.startswith("/assets/") and response.status in (200, 206, 304):
        return IMMUTABLE
    return "no-cache" if response.is_page else ""

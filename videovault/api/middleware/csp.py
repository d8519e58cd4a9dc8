"""The headers that tell browsers what an answer may do and how long it may be kept."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Scope

from videovault.config import settings

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
SHARED = (
    "/share/",
    "/api/share/",
)  # addresses that carry a key, which no other site and no search engine may learn
DISCREET = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}
HSTS = "max-age=31536000; includeSubDomains"
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
FOREVER = "public, max-age=31536000, immutable"  # file names under /assets carry a hash of the content
# The style library fills its own, empty elements: this is the hash of no text at all.
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


@dataclass(frozen=True)
class ResponseInfo:
    """What is known of an answer once it begins."""

    scope: Scope
    status: int
    content_type: str

    @property
    def is_page(self) -> bool:
        """An HTML page; "not modified" names no type, and renews the headers of what the browser has."""
        if self.status == 304:
            return Headers(scope=self.scope).get("sec-fetch-dest") == "document"
        return self.content_type.startswith("text/html")


def add_headers(headers: MutableHeaders, answer: ResponseInfo, page_scripts: Collection[str]) -> None:
    """Add what the application did not set itself; ``page_scripts`` are the hashes of the pages' own scripts."""
    discreet = DISCREET if answer.scope["path"].startswith(SHARED) else {}
    for name, value in (SECURITY | discreet).items():
        headers.setdefault(name, value)
    if answer.is_page:
        headers.setdefault("Content-Security-Policy", page_policy(tuple(page_scripts), _media()))
    elif answer.status != 304:
        headers.setdefault("Content-Security-Policy", NOTHING)
    if settings().secure_cookies:
        headers.setdefault("Strict-Transport-Security", HSTS)
    caching = _caching(answer)
    if caching:
        headers.setdefault("Cache-Control", caching)


@lru_cache(maxsize=8)
def page_policy(scripts: tuple[str, ...], media: tuple[str, ...]) -> str:
    """Own files only, and the scripts with these hashes; pictures and films also from ``media``, the S3."""
    rules = {
        "default-src": ("'none'",),
        "script-src": ("'self'", *(f"'{script}'" for script in scripts)),
        "style-src": ("'self'", EMPTY_STYLE),
        "img-src": ("'self'", "data:", *media),
        "media-src": ("'self'", *media),
        "font-src": ("'self'",),
        "connect-src": ("'self'",),
        "form-action": ("'self'",),
        "base-uri": ("'none'",),
        "frame-ancestors": ("'none'",),
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in rules.items())


def _media() -> tuple[str, ...]:
    return settings().object_origins


def _caching(answer: ResponseInfo) -> str:
    path = answer.scope["path"]
    if path.startswith("/api"):
        return "no-store"
    if path.startswith("/assets/") and answer.status in (200, 206, 304):
        return FOREVER
    return "no-cache" if answer.is_page else ""

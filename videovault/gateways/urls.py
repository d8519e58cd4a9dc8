"""Parses http and https URLs as browsers do (WHATWG URL Standard), for the SSRF guard.

No other code parses the text again: the guard checks these parts, and the request is built from them.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from videovault.errors import UnsafeUrl

MAX_URL_BYTES = 16 * 1024
TOO_LONG = f"The address is too long: at most {MAX_URL_BYTES // 1024} KiB are possible."

_ENDS = " \t\r\n"
_TABS_AND_NEWLINES = str.maketrans("", "", "\t\r\n")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SLASHES = "/\\"
_SLASH = re.compile(r"[/\\]")
_END_OF_AUTHORITY = re.compile(r"[/\\?]")
_VISIBLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))
# Not encoded; "%" is included, so that what is percent-encoded already keeps its meaning.
_IN_PATH = "".join(char for char in _VISIBLE_ASCII if char not in '"#<>?^`{}')
_IN_QUERY = "".join(char for char in _VISIBLE_ASCII if char not in "\"#'<>")


@dataclass(frozen=True)
class UrlParts:
    """``authority`` is the unparsed host and port; ``target`` is path and query in ASCII."""

    scheme: str
    authority: str
    target: str


def check(url: str) -> None:
    """Raises UnsafeUrl for a text that cannot be a URL because of its length or characters."""
    try:
        size = len(url.encode())
    except UnicodeEncodeError:  # half a surrogate pair
        size = -1
    if size < 0 or _CONTROL.search(url):
        raise UnsafeUrl("The address contains characters that cannot be shown.")
    # Percent-encoding lengthens a URL; encoding it must not make it too long.
    if size - 2 * url.count("%") > MAX_URL_BYTES:
        raise UnsafeUrl(TOO_LONG)


def split(url: str, base: UrlParts | None = None) -> UrlParts:
    """The parts of ``url``, which may be relative to ``base``. Raises UnsafeUrl unless it is a web address."""
    check(url)
    text = url.strip(_ENDS).translate(_TABS_AND_NEWLINES).partition("#")[0]
    scheme_match = _SCHEME.match(text)
    scheme = scheme_match[1].lower() if scheme_match else base.scheme if base else ""
    if scheme not in ("http", "https"):
        raise UnsafeUrl("The address must start with http:// or https://.")
    rest = text[scheme_match.end() :] if scheme_match else text
    if base is None or scheme != base.scheme or _has_authority(rest):
        rest = rest.lstrip(_SLASHES)
        end = _END_OF_AUTHORITY.search(rest)
        authority, rest = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
        return UrlParts(scheme, authority, _target(rest))
    return UrlParts(scheme, base.authority, _relative_target(rest, base.target))


def _has_authority(rest: str) -> bool:
    return len(rest) > 1 and rest[0] in _SLASHES and rest[1] in _SLASHES


def _relative_target(rest: str, base: str) -> str:
    path = base.partition("?")[0]
    if not rest:
        return base
    if rest[0] == "?":
        return _target(path + rest)
    return _target(rest if rest[0] in _SLASHES else f"{path.rpartition('/')[0]}/{rest}")


def _target(rest: str) -> str:
    path, mark, query = rest.partition("?")
    return _path(path) + mark + quote(query, safe=_IN_QUERY)


def _path(path: str) -> str:
    kept: list[str] = []
    segments = _SLASH.split(path)[1:] or [""]
    for segment in segments:
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(quote(segment, safe=_IN_PATH))
    if dots in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)

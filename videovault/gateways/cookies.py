"""The cookies of one fetch: a source that sets one on a redirect receives it again, and no other host does."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from videovault.gateways import http_headers
from videovault.gateways.ssrf import WebAddress

MAX_COOKIES = 50  # RFC 6265, 6.1: what browsers store for one host
MAX_HEADER_BYTES = 8 * 1024  # of one Cookie header; many servers refuse longer ones

_PAIR = re.compile(r"([!-:<>-~]{1,256})=([ -:<-~]{0,4096})")
_SECURE_NAMES = ("__secure-", "__host-")


@dataclass(frozen=True)
class _Cookie:
    value: str
    secure: bool


# Host, port (0 for the scheme's default, so that http may redirect to https), path and name.
_Key = tuple[str, int, str, str]


class CookieJar:
    """The ``Domain`` attribute is ignored: each cookie belongs to the host and port that set it."""

    def __init__(self) -> None:
        self._cookies: dict[_Key, _Cookie] = {}

    def store(self, address: WebAddress, headers: list[str]) -> None:
        """Store the cookies of these Set-Cookie headers of a response from ``address``; malformed ones are ignored."""
        for header in headers:
            self._store(address, header)

    def header_for(self, address: WebAddress) -> str:
        """The Cookie header for a request to ``address``; empty without cookies."""
        path, pairs, size = _path(address), [], 0
        for (*origin, cookie_path, name), cookie in sorted(
            self._cookies.items(), key=lambda each: -len(each[0][2])
        ):
            if origin != _origin(address) or not _path_matches(path, cookie_path):
                continue
            if cookie.secure and address.scheme != "https":
                continue
            size += len(name) + len(cookie.value) + 3
            if size <= MAX_HEADER_BYTES:
                pairs.append(f"{name}={cookie.value}")
        return "; ".join(pairs)

    def _store(self, address: WebAddress, header: str) -> None:
        pair, *rest = header.split(";")
        pair_match = _PAIR.fullmatch(pair.strip())
        if pair_match is None:
            return
        attributes = {
            name.strip().lower(): value.strip() for name, _, value in (one.partition("=") for one in rest)
        }
        secure = "secure" in attributes
        if (secure and address.scheme != "https") or (
            not secure and pair_match[1].lower().startswith(_SECURE_NAMES)
        ):
            return
        path = attributes.get("path", "")
        host, port = _origin(address)
        key = (str(host), int(port), path if path.startswith("/") else _default_path(address), pair_match[1])
        if _is_expired(attributes):
            self._cookies.pop(key, None)
        elif key in self._cookies or len(self._cookies) < MAX_COOKIES:
            self._cookies[key] = _Cookie(pair_match[2].strip(), secure)


def _origin(address: WebAddress) -> list[str | int]:
    return [address.host, 0 if address.has_default_port else address.port]


def _path(address: WebAddress) -> str:
    return address.target.partition("?")[0]


def _default_path(address: WebAddress) -> str:
    return _path(address).rpartition("/")[0] or "/"


def _path_matches(path: str, cookie_path: str) -> bool:
    return path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")
    )


def _is_expired(attributes: dict[str, str]) -> bool:
    if "max-age" in attributes:
        return attributes["max-age"].startswith("-") or attributes["max-age"].strip("0") == ""
    date = http_headers.parse_date(attributes.get("expires", ""))
    return date is not None and date < datetime.now(UTC)

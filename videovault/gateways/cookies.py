"""Cookies of one fetch: a source that sets one on a redirect gets it back, and no other host ever does."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from videovault.gateways import http_headers
from videovault.gateways.ssrf import WebAddress

MAX_COOKIES = 50  # RFC 6265, 6.1: what browsers keep for a host
MAX_HEADER_BYTES = 8 * 1024  # of one Cookie header; many servers take no longer one

_PAIR = re.compile(r"([!-:<>-~]{1,256})=([ -:<-~]{0,4096})")
_SECURE_NAMES = ("__secure-", "__host-")


@dataclass(frozen=True)
class _Cookie:
    value: str
    secure: bool


# Host, port (0 for the scheme's own, so that http may lead on to https), path and name.
_Key = tuple[str, int, str, str]


class CookieJar:
    """A ``Domain`` attribute is ignored: each cookie is for the host and port that set it only."""

    def __init__(self) -> None:
        self._kept: dict[_Key, _Cookie] = {}

    def take(self, address: WebAddress, headers: list[str]) -> None:
        """Keep what these Set-Cookie headers of an answer from ``address`` set; what is malformed is left out."""
        for header in headers:
            self._take(address, header)

    def header_for(self, address: WebAddress) -> str:
        """The Cookie header for a request to ``address``; empty for none."""
        path, pairs, size = _path(address), [], 0
        for (*place, own_path, name), cookie in sorted(self._kept.items(), key=lambda each: -len(each[0][2])):
            if place != _place(address) or not _is_below(path, own_path):
                continue
            if cookie.secure and address.scheme != "https":
                continue
            size += len(name) + len(cookie.value) + 3
            if size <= MAX_HEADER_BYTES:
                pairs.append(f"{name}={cookie.value}")
        return "; ".join(pairs)

    def _take(self, address: WebAddress, header: str) -> None:
        pair, *rest = header.split(";")
        found = _PAIR.fullmatch(pair.strip())
        if found is None:
            return
        attributes = {
            name.strip().lower(): value.strip() for name, _, value in (one.partition("=") for one in rest)
        }
        secure = "secure" in attributes
        if (secure and address.scheme != "https") or (
            not secure and found[1].lower().startswith(_SECURE_NAMES)
        ):
            return
        path = attributes.get("path", "")
        host, port = _place(address)
        key = (str(host), int(port), path if path.startswith("/") else _folder(address), found[1])
        if _is_over(attributes):
            self._kept.pop(key, None)
        elif key in self._kept or len(self._kept) < MAX_COOKIES:
            self._kept[key] = _Cookie(found[2].strip(), secure)


def _place(address: WebAddress) -> list[str | int]:
    return [address.host, 0 if address.has_default_port else address.port]


def _path(address: WebAddress) -> str:
    return address.target.partition("?")[0]


def _folder(address: WebAddress) -> str:
    return _path(address).rpartition("/")[0] or "/"


def _is_below(path: str, own: str) -> bool:
    return path == own or (path.startswith(own) and (own.endswith("/") or path[len(own)] == "/"))


def _is_over(attributes: dict[str, str]) -> bool:
    if "max-age" in attributes:
        return attributes["max-age"].startswith("-") or attributes["max-age"].strip("0") == ""
    date = http_headers.parse_date(attributes.get("expires", ""))
    return date is not None and date < datetime.now(UTC)

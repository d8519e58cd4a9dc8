"""The SSRF guard: checks the form of a URL first, then each IP address that its name resolves to.

URLs are parsed once, as browsers do (WHATWG URL Standard); the request is built from the checked parts, so that no
second parser can read it differently.
"""

import ipaddress
import re
import socket
import time
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from urllib.parse import quote

import idna

from videovault.errors import SourceError, UnsafeUrl

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


Resolver = Callable[[str, int], Sequence[str]]
"""From host and port to IP addresses in the order to try; raises OSError (socket.gaierror) when there are none."""

StopCheck = Callable[[], None]
"""Called at least every POLL_SECONDS of waiting; what it raises ends the wait."""

POLL_SECONDS = 0.25

_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")

# WHATWG URL, "ends in a number": resolvers read such names as IPv4 (127.1, 0x7f.1, 2130706433).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

_DEFAULT_PORTS = {"http": 80, "https": 443}

# Names that resolve only on this machine or its network: RFC 6761, 6762, 7686, 8375, and ICANN's .internal.
_LOCAL_SUFFIXES = ("localhost", "localdomain", "local", "internal", "home.arpa", "onion")

# "Bad ports" of the WHATWG Fetch standard: other protocols listen there and could interpret a request as commands.
# fmt: off
FORBIDDEN_PORTS = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
    526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
    3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
})

# fmt: on

# In addition to the ipaddress module, whose answers differ between Python's patch releases.
_REFUSED_IPV4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarking
        "168.63.129.16/32",  # formally global, but Azure's metadata service for its own machines
    )
]

# IPv6 is allowed from 2000::/3 only, which excludes loopback, mapped, compatible, NAT64 (64:ff9b::/96 and
# 64:ff9b:1::/48), unique local, link-local, site-local and multicast addresses; these are refused as well.
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")

_REFUSED_IPV6 = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarking and other protocol assignments
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]


@dataclass(frozen=True)
class UrlParts:
    """``authority`` is the unparsed host and port; ``target`` is path and query in ASCII."""

    scheme: str
    authority: str
    target: str


def check_form(url: str) -> None:
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


def split_url(url: str, base: UrlParts | None = None) -> UrlParts:
    """The parts of ``url``, which may be relative to ``base``. Raises UnsafeUrl unless it is a web address."""
    check_form(url)
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


@dataclass(frozen=True)
class WebAddress:
    """A URL in parts: ``host`` in lower-case ASCII without brackets, ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def has_default_port(self) -> bool:
        return self.port == _DEFAULT_PORTS[self.scheme]

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.has_default_port else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse(url: str, base: WebAddress | None = None) -> WebAddress:
    """The parts of ``url``, which may be relative to ``base``.

    Raises UnsafeUrl for each host and port that two parsers could read differently.
    """
    parts = split_url(url, UrlParts(base.scheme, base.authority, base.target) if base else None)
    host, port = _host_and_port(parts.authority, _DEFAULT_PORTS[parts.scheme])
    return WebAddress(parts.scheme, host, port, parts.target)


def is_global(address: str) -> bool:
    """Whether this IP address is public on the internet."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and not any(ip in network for network in _REFUSED_IPV4)
    return ip.scope_id is None and ip in _GLOBAL_IPV6 and not any(ip in network for network in _REFUSED_IPV6)


def system_resolver(host: str, port: int) -> list[str]:
    """Asks the operating system; the name is passed as bytes to bypass Python's IDNA codec."""
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class AddressGuard:
    """Allows global addresses, and the ``host`` or ``host:port`` entries of ``allow``."""

    def __init__(self, allow: frozenset[str], resolver: Resolver = system_resolver) -> None:
        self._allow = allow
        self._resolver = resolver

    def vet(self, url: str, base: WebAddress | None = None) -> WebAddress:
        """The parts of ``url``, relative to ``base``, if its form, name and port may be fetched; raises UnsafeUrl."""
        address = parse(url, base)
        if self.allows(address.host, address.port):
            return address
        if address.port in FORBIDDEN_PORTS:
            raise UnsafeUrl("The address uses a port that belongs to another service than the web.")
        if _is_local_name(address.host) or (_is_ip(address.host) and not is_global(address.host)):
            raise _private()
        return address

    def allows(self, host: str, port: int) -> bool:
        names = (host, f"[{host}]") if ":" in host else (host,)
        return any(name in self._allow or f"{name}:{port}" in self._allow for name in names)

    def resolve(self, host: str, port: int, seconds: float, stop: StopCheck) -> list[str]:
        """The addresses to connect to: resolved once, all of them checked.

        Raises UnsafeUrl if one of them is not global, SourceError if the name cannot be found, and what
        ``stop`` raises.
        """
        found = [host] if _is_ip(host) else self._look_up(host, port, seconds, stop)
        if not self.allows(host, port) and not all(map(is_global, found)):
            raise _private()
        return list(dict.fromkeys(found))

    def _look_up(self, host: str, port: int, seconds: float, stop: StopCheck) -> Sequence[str]:
        try:
            found = _in_thread(lambda: self._resolver(host, port), seconds, stop)
        except OSError as error:
            permanent = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
            raise _not_found(retryable=error.errno not in permanent) from error
        if not found:
            raise _not_found(retryable=False)
        return found


def _in_thread(look_up: Callable[[], Sequence[str]], seconds: float, stop: StopCheck) -> Sequence[str]:
    """The result of ``look_up``, which cannot be interrupted: its thread is abandoned if it takes too long."""
    answer: Future[Sequence[str]] = Future()

    def run() -> None:
        try:
            answer.set_result(look_up())
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            answer.set_exception(error)

    Thread(target=run, name="look-up", daemon=True).start()
    deadline = time.monotonic() + seconds
    while not answer.done() and time.monotonic() < deadline:
        stop()
        wait([answer], POLL_SECONDS)
    return answer.result(timeout=0)


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


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise UnsafeUrl("The address contains a user name or a password.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _no_host()
    port = int(parts[2]) if parts[2] else default_port
    if port > 65535:
        raise UnsafeUrl("The address has a port that does not exist.")
    return _host(parts[1]), port


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    host = text.lower() if text.isascii() else _to_ascii(text)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _no_host()
    if _NUMBER.fullmatch(labels[-1]) and not _is_ip(host):
        raise UnsafeUrl("The address writes its host as an unusual number.")
    for label in labels:
        _check_punycode(label)
    return host


def _to_ascii(text: str) -> str:
    # Lookalike characters (full-width or circled letters and digits) change under NFKC.
    if unicodedata.normalize("NFKC", text) != text:
        raise _no_host()
    try:
        return idna.encode(text.lower()).decode("ascii")
    except UnicodeError as error:
        raise _no_host() from error


def _check_punycode(label: str) -> None:
    try:
        if label.startswith("xn--"):
            idna.decode(label)
    except UnicodeError as error:
        raise _no_host() from error


def _ipv6(text: str) -> str:
    try:
        ip = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise _no_host() from error
    if ip.scope_id is not None:
        raise _private()
    return str(ip)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local_name(host: str) -> bool:
    if _is_ip(host):
        return False
    return "." not in host or any(f".{host}".endswith(f".{suffix}") for suffix in _LOCAL_SUFFIXES)


def _private() -> UnsafeUrl:
    return UnsafeUrl(
        "The address leads into a private network. VideoVault fetches from there only if SOURCE_ALLOW_HOSTS names the host."
    )


def _no_host() -> UnsafeUrl:
    return UnsafeUrl("The address names no host that can be reached on the internet.")


def _not_found(*, retryable: bool) -> SourceError:
    return SourceError("The host of this address cannot be found.", retryable=retryable)

"""Fetches videos from untrusted servers: which addresses are allowed, within which limits, and whether it is a video."""

import re
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from threading import Event
from urllib.parse import urlsplit

import httpx

from videovault.config import settings
from videovault.config.validation import HostHeaders, headers_for_host
from videovault.errors import SourceError, UnsafeUrl
from videovault.gateways import http_headers, source_errors, studio
from videovault.gateways.container import SNIFF_BYTES, Container, WebPage
from videovault.gateways.proxy import Proxy
from videovault.gateways.source_errors import (
    LinkExpired,
    RangesUnreliable,
    SourceCancelled,
    SourceChanged,
    SourceUnavailable,
    error_for_status,
    may_appear,
    too_long,
    translating_errors,
)
from videovault.gateways.source_response import (
    RangeRequest,
    SourceInfo,
    header_text,
    may_be_video,
    parse_response,
    title_from_name,
    title_from_url,
)
from videovault.gateways.source_stream import (
    SendNext,
    SourcePolicy,
    SourceStream,
)
from videovault.gateways.ssrf import AddressGuard, Resolver, StopCheck, WebAddress, system_resolver
from videovault.gateways.transport import GuardedTransport, PipelinedRequest

__all__ = [
    "Container",
    "LinkExpired",
    "PipelinedRequest",
    "RangesUnreliable",
    "Source",
    "SourceCancelled",
    "SourceChanged",
    "SourceInfo",
    "SourcePolicy",
    "SourceStream",
    "SourceUnavailable",
    "connected",
    "for_video",
    "may_appear",
    "title_from_name",
    "title_from_url",
]

MAX_REDIRECTS = 5
PAGE_BYTES, PAGE_SECONDS = 16 * 1024, 5.0  # of an error page, to detect bot protection
PAGE_STATUSES = (202, 403, 405, 429, 503)  # those of challenge pages
MAX_COOKIES = 50  # RFC 6265, 6.1: what browsers store for one host
MAX_COOKIE_BYTES = 8 * 1024  # of one Cookie header; many servers refuse longer ones

_COOKIE_PAIR = re.compile(r"([!-:<>-~]{1,256})=([ -:<-~]{0,4096})")
_SECURE_COOKIES = ("__secure-", "__host-")


@dataclass(frozen=True)
class _Cookie:
    value: str
    secure: bool


# Host, port (0 for the scheme's default, so that http may redirect to https), path and name.
_CookieKey = tuple[str, int, str, str]


class CookieJar:
    """The cookies of one fetch: a source that sets one on a redirect receives it again, and no other host does.

    The ``Domain`` attribute is ignored: each cookie belongs to the host and port that set it.
    """

    def __init__(self) -> None:
        self._cookies: dict[_CookieKey, _Cookie] = {}

    def store(self, address: WebAddress, headers: list[str]) -> None:
        """Store the cookies of these Set-Cookie headers of a response from ``address``; malformed ones are ignored."""
        for header in headers:
            self._store(address, header)

    def header_for(self, address: WebAddress) -> str:
        """The Cookie header for a request to ``address``; empty without cookies."""
        path, pairs, size = _cookie_path(address), [], 0
        for (*origin, cookie_path, name), cookie in sorted(
            self._cookies.items(), key=lambda each: -len(each[0][2])
        ):
            if origin != _origin(address) or not _cookie_path_matches(path, cookie_path):
                continue
            if cookie.secure and address.scheme != "https":
                continue
            size += len(name) + len(cookie.value) + 3
            if size <= MAX_COOKIE_BYTES:
                pairs.append(f"{name}={cookie.value}")
        return "; ".join(pairs)

    def _store(self, address: WebAddress, header: str) -> None:
        pair, *rest = header.split(";")
        pair_match = _COOKIE_PAIR.fullmatch(pair.strip())
        if pair_match is None:
            return
        attributes = {
            name.strip().lower(): value.strip() for name, _, value in (one.partition("=") for one in rest)
        }
        secure = "secure" in attributes
        if (secure and address.scheme != "https") or (
            not secure and pair_match[1].lower().startswith(_SECURE_COOKIES)
        ):
            return
        path = attributes.get("path", "")
        host, port = _origin(address)
        path = path if path.startswith("/") else _default_cookie_path(address)
        key = (str(host), int(port), path, pair_match[1])
        if _is_expired(attributes):
            self._cookies.pop(key, None)
        elif key in self._cookies or len(self._cookies) < MAX_COOKIES:
            self._cookies[key] = _Cookie(pair_match[2].strip(), secure)


def _origin(address: WebAddress) -> list[str | int]:
    return [address.host, 0 if address.has_default_port else address.port]


def _cookie_path(address: WebAddress) -> str:
    return address.target.partition("?")[0]


def _default_cookie_path(address: WebAddress) -> str:
    return _cookie_path(address).rpartition("/")[0] or "/"


def _cookie_path_matches(path: str, cookie_path: str) -> bool:
    return path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")
    )


def _is_expired(attributes: dict[str, str]) -> bool:
    if "max-age" in attributes:
        return attributes["max-age"].startswith("-") or attributes["max-age"].strip("0") == ""
    date = http_headers.parse_date(attributes.get("expires", ""))
    return date is not None and date < datetime.now(UTC)


@dataclass
class _RedirectChain:
    """The redirects of one fetch so far, and the cookies that it received."""

    address: WebAddress
    hosts: list[str] = field(default_factory=list)
    cookies: CookieJar = field(default_factory=CookieJar)


class Source:
    """Opens videos by URL; thread-safe. Connections are kept for the next request.

    ``resolver``, ``ssl_context`` and ``transport`` replace the system's resolver, the trusted certificates and the
    network; a transport's responses need the extension ``pull`` (ResponseBody.pull). Proxies of the environment are
    ignored. The only cookies sent are those that this fetch received from the same host; the only credentials are those in ``headers``, sent to their own host, which is compared at each redirect.
    """

    def __init__(
        self,
        policy: SourcePolicy,
        *,
        resolver: Resolver = system_resolver,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
        proxy: Proxy | None = None,
        headers: HostHeaders | None = None,
    ) -> None:
        self._policy = policy
        self._headers = headers or {}
        self._guard = AddressGuard(policy.allow, resolver)
        self._transport = transport or GuardedTransport(self._guard, ssl_context, proxy=proxy)
        self._closed = Event()

    def check(self, url: str) -> None:
        """The checks of ``open`` that need no request to the source.

        Raises UnsafeUrl, or SourceError if the host cannot be found (``retryable`` if that may be temporary).
        """
        address = self._guard.vet(url)
        self._guard.resolve(address.host, address.port, self._policy.connect_seconds, lambda: None)

    @contextmanager
    def open(
        self,
        url: str,
        *,
        start: int = 0,
        end: int | None = None,
        validator: str | None = None,
        heartbeat: Callable[[], object] = lambda: None,
        pipelined: PipelinedRequest | None = None,
    ) -> Iterator[SourceStream]:
        """The bytes from ``start`` up to, not including, ``end`` (None: to the end).

        A request for a part may still return the whole; then ``info.partial`` is False and ``info.start`` 0: the
        source does not support ranges, or ``info.validator`` differs from the strong ETag given as ``validator``.
        ``heartbeat`` is called at least four times a second, and before each read, in the waiting thread;
        what it raises ends the stream and is raised by ``open`` or ``readinto``. ``pipelined`` is the result of an
        earlier stream's ``send_next``; it is closed if it was for other bytes than these.

        Raises UnsafeUrl, SourceUnavailable, SourceChanged, RangesUnreliable, SourceError, SourceCancelled.
        """
        closed = Event()
        stop = self._stop_check(closed, heartbeat)
        requested = RangeRequest(start, end, validator)
        try:
            chain, response = self._follow_redirects(url, requested, stop, pipelined)
        finally:
            if pipelined:
                pipelined.close()
        try:
            stream = self._open_stream(chain, response, requested, stop, closed.set)
            if chain.cookies.header_for(
                chain.address
            ):  # the final URL works only with cookies from the redirects
                stream.info = replace(stream.info, final_url=url)
            yield stream
        finally:
            response.close()

    def close(self) -> None:
        """End all streams (each raises SourceCancelled at its next poll) and close all connections."""
        self._closed.set()
        self._transport.close()

    def _stop_check(self, closed: Event, heartbeat: Callable[[], object]) -> StopCheck:
        end = time.monotonic() + self._policy.total_seconds

        def stop() -> None:
            if closed.is_set() or self._closed.is_set():
                raise SourceCancelled
            if time.monotonic() > end:
                raise too_long(self._policy.total_seconds)
            heartbeat()

        return stop

    def _open_stream(
        self,
        chain: _RedirectChain,
        response: httpx.Response,
        requested: RangeRequest,
        stop: StopCheck,
        close: Callable[[], None],
    ) -> SourceStream:
        """The response's body, if it is the video."""
        if not may_be_video(response.status_code, requested):
            raise _error_for(response, chain.hosts)
        try:
            info = parse_response(response, requested, chain.address.url, self._policy.max_bytes)
            send_next = self._next_sender(response, chain, info.validator, stop)
            times = (response.extensions.get(name) for name in ("latency", "round_trip"))
            stream = SourceStream(
                info, response.extensions["pull"], self._policy, stop, close, send_next, *times
            )
            if info.start == 0 and (
                not info.partial or requested.end is None or requested.end >= SNIFF_BYTES
            ):
                stream.identify()
        except WebPage as page:
            if response.status_code == 202:
                raise _error_for(response, chain.hosts) from page
            raise source_errors.error_for_page(page.head, response.headers, chain.hosts) or page from page
        except SourceError as error:
            if response.status_code == 202 and not error.retryable:  # still being made
                raise _error_for(response, chain.hosts) from error
            raise
        return stream

    def _follow_redirects(
        self, url: str, requested: RangeRequest, stop: StopCheck, pipelined: PipelinedRequest | None
    ) -> tuple[_RedirectChain, httpx.Response]:
        """The first response that is not a redirect, and the redirects to it."""
        chain = _RedirectChain(self._guard.vet(url))
        for _ in range(1 + MAX_REDIRECTS):
            response, pipelined = self._send(chain, requested, stop, pipelined), None
            chain.hosts.append(chain.address.host)
            if not response.has_redirect_location:
                return chain, response
            response.close()
            chain.cookies.store(chain.address, response.headers.get_list("set-cookie"))
            chain.address = self._next_address(chain.address, header_text(response, "location"))
        raise SourceError("The address redirects too many times.")

    def _send(
        self,
        chain: _RedirectChain,
        requested: RangeRequest,
        stop: StopCheck,
        pipelined: PipelinedRequest | None,
    ) -> httpx.Response:
        request = self._request(chain, requested, stop)
        request.extensions["pipelined"] = pipelined
        stop()
        with translating_errors():
            return self._transport.handle_request(request)

    def _request(self, chain: _RedirectChain, requested: RangeRequest, stop: StopCheck) -> httpx.Request:
        timeout = httpx.Timeout(self._policy.idle_seconds, connect=self._policy.connect_seconds)
        extensions = {"timeout": timeout.as_dict(), "stop": stop}
        headers = httpx.Headers(requested.headers)
        headers.update(self._headers_for(chain))
        return httpx.Request("GET", chain.address.url, headers=headers, extensions=extensions)

    def _headers_for(self, chain: _RedirectChain) -> dict[str, str]:
        """The headers for the host of ``chain.address`` only, determined for each request."""
        cookies = chain.cookies.header_for(chain.address)
        own = headers_for_host(self._headers, chain.address.host, chain.address.port)
        return {**({"Cookie": cookies} if cookies else {}), **own}

    def _next_sender(
        self, response: httpx.Response, chain: _RedirectChain, validator: str | None, stop: StopCheck
    ) -> SendNext:
        send = response.extensions.get("send_next", lambda _request: None)

        def send_next(start: int, end: int) -> PipelinedRequest | None:
            if chain.cookies.header_for(chain.address):  # the next request starts without cookies
                return None
            sent: PipelinedRequest | None = send(
                self._request(chain, RangeRequest(start, end, validator), stop)
            )
            return sent

        return send_next

    def _next_address(self, address: WebAddress, location: str) -> WebAddress:
        target = self._guard.vet(location, address)
        # Over plain HTTP an attacker on the network could read the link's secret, or send another video.
        if (
            address.scheme == "https"
            and target.scheme == "http"
            and not self._guard.allows(target.host, target.port)
        ):
            raise UnsafeUrl("The address redirects from HTTPS to unencrypted HTTP.")
        return target


def _error_for(response: httpx.Response, hosts: Collection[str]) -> SourceError:
    status, headers = response.status_code, response.headers
    page = _read_page(response) if status in PAGE_STATUSES else b""
    is_challenge = source_errors.is_challenge(page, headers) if status in PAGE_STATUSES else False
    return error_for_status(status, headers.get("retry-after", ""), is_challenge=is_challenge, hosts=hosts)


def _read_page(response: httpx.Response) -> bytes:
    """The beginning of an error page; empty if it does not arrive: the status is enough."""
    pull, buffer, filled = response.extensions["pull"], memoryview(bytearray(PAGE_BYTES)), 0
    deadline = time.monotonic() + PAGE_SECONDS
    with suppress(httpx.HTTPError, httpx.StreamError):
        while filled < PAGE_BYTES and time.monotonic() < deadline:
            count = pull(buffer[filled:])
            if count == 0:
                break
            filled += count or 0
    return bytes(buffer[:filled])


def for_video(video_id: str, attempt: int, url: str) -> Source:
    """The Source for a video's URL: the one for the embedded studio only if the studio rendered that file for this video."""
    return from_studio() if studio.is_file_of(video_id, attempt, url) else connected()


@lru_cache(maxsize=1)
def connected() -> Source:
    """This process's Source, with the limits of the settings."""
    proxy = settings().source_proxy.get_secret_value()
    return Source(
        _policy(settings().allowed_sources),
        proxy=Proxy(proxy) if proxy else None,
        headers=settings().source_extra_headers,
    )


@lru_cache(maxsize=1)
def from_studio() -> Source:
    """The Source for files of the embedded studio on loopback, without the proxy."""
    return Source(_policy(frozenset({urlsplit(settings().studio_url).netloc})))


def _policy(allow: frozenset[str]) -> SourcePolicy:
    chosen = settings()
    return SourcePolicy(chosen.max_video_bytes, allow, idle_seconds=chosen.source_idle_seconds)

"""A stranger's video, fetched safely: where it may be, how long it may take, and that it is a video at all."""

import ssl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Event
from urllib.parse import urlsplit

import httpx

from videovault.config import settings
from videovault.config.headers import HostHeaders, headers_for_host
from videovault.errors import SourceError, UnsafeUrl
from videovault.gateways import source_errors, studio
from videovault.gateways.container import SNIFF_BYTES, Container, WebPage
from videovault.gateways.cookies import CookieJar
from videovault.gateways.filenames import title_from_name, title_from_url
from videovault.gateways.pipelining import PipelinedRequest
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
)
from videovault.gateways.source_stream import (
    CHUNK_BYTES,
    AskAhead,
    ChunkReader,
    Pull,
    SourcePolicy,
    SourceStream,
)
from videovault.gateways.ssrf import AddressGuard, Resolver, StopCheck, WebAddress, system_resolver
from videovault.gateways.transport import GuardedTransport

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
PAGE_BYTES, PAGE_SECONDS = 16 * 1024, 5.0  # of a refusal's body, to tell what kind of page it is
PAGE_STATUSES = (202, 403, 405, 429, 503)  # with which challenge pages come


@dataclass
class _Way:
    """Of one fetch: where it has led so far, and the cookies that it was given."""

    address: WebAddress
    hosts: list[str] = field(default_factory=list)
    cookies: CookieJar = field(default_factory=CookieJar)


class Source:
    """Opens videos by URL, from several threads at once; connections are kept for the next request.

    ``proxy`` is one to go through. ``resolver``, ``ssl_context`` and ``transport`` replace the system's names, the usual certificates and the
    network. No cookies but those that this fetch was given by the same host and no proxies from the environment are ever
    sent, and of credentials only those in ``headers`` to their own host, which is compared at each redirect.
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
        """Refuse now what ``open`` would refuse without asking the source.

        Raises UnsafeUrl, or SourceError if the host cannot be found (``retryable`` if that may pass).
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
        ahead: PipelinedRequest | None = None,
    ) -> Iterator[SourceStream]:
        """The bytes from ``start`` up to, not including, ``end`` (None: to the end).

        Asking for a part may still bring the whole, then ``info.partial`` is False and ``info.start`` 0: the
        source has no ranges, or ``info.validator`` differs from the strong ETag given as ``validator``.
        ``heartbeat`` is called at least four times a second, and before every read, in the thread that waits;
        whatever it raises ends the stream and comes out of ``open`` or ``readinto``. ``ahead`` is what an
        earlier stream's ``ask_ahead`` gave; it is closed if it was for other bytes than these.

        Raises UnsafeUrl, SourceUnavailable, SourceChanged, RangesUnreliable, SourceError, SourceCancelled.
        """
        closed = Event()
        stop = self._stop(closed, heartbeat)
        wanted = RangeRequest(start, end, validator)
        try:
            way, response = self._ask(url, wanted, stop, ahead)
        finally:
            if ahead:
                ahead.close()
        try:
            stream = self._stream(way, response, wanted, stop, closed.set)
            if way.cookies.header_for(
                way.address
            ):  # without them, only the way from the beginning leads there
                stream.info = replace(stream.info, final_url=url)
            yield stream
        finally:
            response.close()

    def close(self) -> None:
        """End every stream (each raises SourceCancelled within moments) and close all connections."""
        self._closed.set()
        self._transport.close()

    def _stop(self, closed: Event, heartbeat: Callable[[], object]) -> StopCheck:
        end = time.monotonic() + self._policy.total_seconds

        def stop() -> None:
            if closed.is_set() or self._closed.is_set():
                raise SourceCancelled
            if time.monotonic() > end:
                raise too_long(self._policy.total_seconds)
            heartbeat()

        return stop

    def _stream(
        self,
        way: _Way,
        response: httpx.Response,
        wanted: RangeRequest,
        stop: StopCheck,
        close: Callable[[], None],
    ) -> SourceStream:
        """The answer's body, if it is the video."""
        if not may_be_video(response.status_code, wanted):
            raise _refusal(response, way.hosts)
        try:
            info = parse_response(response, wanted, way.address.url, self._policy.max_bytes)
            send_next = self._ahead_asker(response, way, info.validator, stop)
            times = (response.extensions.get(name) for name in ("latency", "round_trip"))
            stream = SourceStream(info, _pull(response), self._policy, stop, close, send_next, *times)
            if info.start == 0 and (not info.partial or wanted.end is None or wanted.end >= SNIFF_BYTES):
                stream.identify()
        except WebPage as page:
            if response.status_code == 202:
                raise _refusal(response, way.hosts) from page
            raise source_errors.error_for_page(page.head, response.headers, way.hosts) or page from page
        except SourceError as error:
            if response.status_code == 202 and not error.retryable:  # still being made
                raise _refusal(response, way.hosts) from error
            raise
        return stream

    def _ask(
        self, url: str, wanted: RangeRequest, stop: StopCheck, ahead: PipelinedRequest | None
    ) -> tuple[_Way, httpx.Response]:
        """The first answer that does not lead on, and the way to it."""
        way = _Way(self._guard.vet(url))
        for _ in range(1 + MAX_REDIRECTS):
            response, ahead = self._send(way, wanted, stop, ahead), None
            way.hosts.append(way.address.host)
            if not response.has_redirect_location:
                return way, response
            response.close()
            way.cookies.take(way.address, response.headers.get_list("set-cookie"))
            way.address = self._next(way.address, header_text(response, "location"))
        raise SourceError("The address leads from one to the next without end.")

    def _send(
        self, way: _Way, wanted: RangeRequest, stop: StopCheck, ahead: PipelinedRequest | None
    ) -> httpx.Response:
        request = self._request(way, wanted, stop)
        request.extensions["ahead"] = ahead
        stop()
        with translating_errors():
            return self._transport.handle_request(request)

    def _request(self, way: _Way, wanted: RangeRequest, stop: StopCheck) -> httpx.Request:
        timeout = httpx.Timeout(self._policy.idle_seconds, connect=self._policy.connect_seconds)
        extensions = {"timeout": timeout.as_dict(), "stop": stop}
        headers = httpx.Headers(wanted.headers)
        headers.update(self._headers_for(way))
        return httpx.Request("GET", way.address.url, headers=headers, extensions=extensions)

    def _headers_for(self, way: _Way) -> dict[str, str]:
        """What only the host of ``way.address`` is sent: asked for at each hop, for each request."""
        cookies = way.cookies.header_for(way.address)
        own = headers_for_host(self._headers, way.address.host, way.address.port)
        return {**({"Cookie": cookies} if cookies else {}), **own}

    def _ahead_asker(
        self, response: httpx.Response, way: _Way, validator: str | None, stop: StopCheck
    ) -> AskAhead:
        send = response.extensions.get("send_next", lambda _request: None)

        def send_next(start: int, end: int) -> PipelinedRequest | None:
            if way.cookies.header_for(way.address):  # the next request begins its way without them
                return None
            sent: PipelinedRequest | None = send(
                self._request(way, RangeRequest(start, end, validator), stop)
            )
            return sent

        return send_next

    def _next(self, address: WebAddress, location: str) -> WebAddress:
        found = self._guard.vet(location, address)
        # Whoever listens on the way could read the link's secret, or send another video.
        if (
            address.scheme == "https"
            and found.scheme == "http"
            and not self._guard.allows(found.host, found.port)
        ):
            raise UnsafeUrl("The address leads from an encrypted connection to an open one.")
        return found


def _pull(response: httpx.Response) -> Pull:
    pull: Pull | None = response.extensions.get("pull")
    return pull or ChunkReader(response.iter_bytes(CHUNK_BYTES))


def _refusal(response: httpx.Response, hosts: Collection[str]) -> SourceError:
    status, headers = response.status_code, response.headers
    page = _beginning(response) if status in PAGE_STATUSES else b""
    is_challenge = source_errors.is_challenge(page, headers) if status in PAGE_STATUSES else False
    return error_for_status(status, headers.get("retry-after", ""), is_challenge=is_challenge, hosts=hosts)


def _beginning(response: httpx.Response) -> bytes:
    """What a refusal says first; the status is told without it, too, where it does not come."""
    pull, buffer, filled = _pull(response), memoryview(bytearray(PAGE_BYTES)), 0
    until = time.monotonic() + PAGE_SECONDS
    with suppress(httpx.HTTPError, httpx.StreamError):
        while filled < PAGE_BYTES and time.monotonic() < until:
            count = pull(buffer[filled:])
            if count == 0:
                break
            filled += count or 0
    return bytes(buffer[:filled])


def for_video(video_id: str, attempt: int, url: str) -> Source:
    """The Source for a video's own address: only a file that the embedded studio rendered for it comes from loopback."""
    return from_studio() if studio.is_file_of(video_id, attempt, url) else connected()


@lru_cache(maxsize=1)
def connected() -> Source:
    """The Source of this process, with the limits that the settings name."""
    proxy = settings().source_proxy.get_secret_value()
    return Source(
        _policy(settings().allowed_sources),
        proxy=Proxy(proxy) if proxy else None,
        headers=settings().source_extra_headers,
    )


@lru_cache(maxsize=1)
def from_studio() -> Source:
    """The Source for files of the embedded studio, which no proxy can reach."""
    return Source(_policy(frozenset({urlsplit(settings().studio_url).netloc})))


def _policy(allow: frozenset[str]) -> SourcePolicy:
    chosen = settings()
    return SourcePolicy(chosen.max_video_bytes, allow, idle_seconds=chosen.source_idle_seconds)

"""A stranger's video, fetched safely: where it may be, how long it may take, and that it is a video at all."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Event
from urllib.parse import urljoin, urlsplit

import httpx

from videovault.config import settings
from videovault.config.headers import HostHeaders, for_host
from videovault.errors import SourceError, UnsafeUrl
from videovault.gateways import studio
from videovault.gateways.addresses import AddressGuard, Resolver, Stop, WebAddress, system_resolver
from videovault.gateways.ahead import Ahead
from videovault.gateways.answers import SourceInfo, Wanted, info_of
from videovault.gateways.container import SNIFF_BYTES, Container
from videovault.gateways.faults import (
    LinkExpired,
    RangesUnreliable,
    SourceCancelled,
    SourceChanged,
    SourceUnavailable,
    too_long,
    translated,
)
from videovault.gateways.filenames import title_from_url
from videovault.gateways.proxy import Proxy
from videovault.gateways.stream import CHUNK_BYTES, AskAhead, ChunkPull, SourcePolicy, SourceStream
from videovault.gateways.transport import GuardedTransport

__all__ = [
    "Ahead",
    "Container",
    "LinkExpired",
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
    "title_from_url",
]

MOST_REDIRECTS = 5


class Source:
    """Opens videos by URL, from several threads at once; connections are kept for the next request.

    ``proxy`` is one to go through. ``resolver``, ``ssl_context`` and ``transport`` replace the system's names, the usual certificates and the
    network. No cookies, no proxies from the environment are ever sent, and of credentials only those in
    ``headers`` to their own host, which is compared at each redirect.
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
        ahead: Ahead | None = None,
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
        wanted = Wanted(start, end, validator)
        try:
            address, response = self._ask(url, wanted, stop, ahead)
        finally:
            if ahead:
                ahead.close()
        try:
            info = info_of(response, wanted, address.url, self._policy.max_bytes)
            pull = response.extensions.get("pull") or ChunkPull(response.iter_bytes(CHUNK_BYTES))
            ask_ahead = self._ahead_asker(response, address, info.validator, stop)
            times = (response.extensions.get(name) for name in ("latency", "round_trip"))
            stream = SourceStream(info, pull, self._policy, stop, closed.set, ask_ahead, *times)
            if info.start == 0 and (not info.partial or end is None or end >= SNIFF_BYTES):
                stream.identify()
            yield stream
        finally:
            response.close()

    def close(self) -> None:
        """End every stream (each raises SourceCancelled within moments) and close all connections."""
        self._closed.set()
        self._transport.close()

    def _stop(self, closed: Event, heartbeat: Callable[[], object]) -> Stop:
        end = time.monotonic() + self._policy.total_seconds

        def stop() -> None:
            if closed.is_set() or self._closed.is_set():
                raise SourceCancelled
            if time.monotonic() > end:
                raise too_long(self._policy.total_seconds)
            heartbeat()

        return stop

    def _ask(
        self, url: str, wanted: Wanted, stop: Stop, ahead: Ahead | None
    ) -> tuple[WebAddress, httpx.Response]:
        """The first answer that does not lead on, and the address that gave it."""
        address = self._guard.vet(url)
        for _ in range(1 + MOST_REDIRECTS):
            response, ahead = self._send(address, wanted, stop, ahead), None
            if not response.has_redirect_location:
                return address, response
            response.close()
            address = self._next(address, response.headers["location"])
        raise SourceError("The address leads from one to the next without end.")

    def _send(self, address: WebAddress, wanted: Wanted, stop: Stop, ahead: Ahead | None) -> httpx.Response:
        request = self._request(address, wanted, stop)
        request.extensions["ahead"] = ahead
        stop()
        with translated():
            return self._transport.handle_request(request)

    def _request(self, address: WebAddress, wanted: Wanted, stop: Stop) -> httpx.Request:
        timeout = httpx.Timeout(self._policy.idle_seconds, connect=self._policy.connect_seconds)
        extensions = {"timeout": timeout.as_dict(), "stop": stop}
        headers = httpx.Headers(wanted.headers)
        headers.update(for_host(self._headers, address.host, address.port))
        return httpx.Request("GET", address.url, headers=headers, extensions=extensions)

    def _ahead_asker(
        self, response: httpx.Response, address: WebAddress, validator: str | None, stop: Stop
    ) -> AskAhead:
        send = response.extensions.get("ask_ahead", lambda _request: None)

        def ask_ahead(start: int, end: int) -> Ahead | None:
            sent: Ahead | None = send(self._request(address, Wanted(start, end, validator), stop))
            return sent

        return ask_ahead

    def _next(self, address: WebAddress, location: str) -> WebAddress:
        try:
            url = urljoin(address.url, location.strip().replace(" ", "%20"))
        except ValueError as error:
            raise UnsafeUrl("The address leads to one that cannot be understood.") from error
        found = self._guard.vet(url)
        # Whoever listens on the way could read the link's secret, or send another video.
        if (
            address.scheme == "https"
            and found.scheme == "http"
            and not self._guard.allows(found.host, found.port)
        ):
            raise UnsafeUrl("The address leads from an encrypted connection to an open one.")
        return found


def for_video(video_id: str, attempt: int, url: str) -> Source:
    """The Source for a video's own address: only a file that the embedded studio rendered for it comes from loopback."""
    return from_studio() if studio.rendered(video_id, attempt, url) else connected()


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

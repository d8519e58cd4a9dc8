"""An httpx transport that connects to checked addresses only, pipelines requests, and reads bodies without copying.

httpx's own transport copies each byte five times on its chain through h11; here h11 reads heads and chunked
bodies only. Pipelining sends a request before the previous response has ended, which saves a round trip.
"""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import h11
import httpx

from videovault.gateways import socket_stream
from videovault.gateways.http_exchange import Exchange, NoResponse
from videovault.gateways.proxy import Proxy
from videovault.gateways.socket_stream import SocketStream, Timeout
from videovault.gateways.ssrf import AddressGuard, StopCheck

UNPIPELINED_SECONDS = 3600.0
MAX_UNPIPELINED = 1000
Origin = tuple[str, str, int]
"""Scheme, host and port."""
KEEP_ALIVE_SECONDS = 15
MAX_IDLE = 32
PIPELINED_RESPONSE_SECONDS = 5.0  # until it must start; not every server supports pipelining


@dataclass(frozen=True)
class _Idle:
    origin: Origin
    until: float
    connection: SocketStream


class GuardedTransport(httpx.BaseTransport):
    """HTTP/1.1 over persistent connections; thread-safe.

    Extensions of a request: ``timeout`` (httpx.Timeout.as_dict), ``stop`` (a StopCheck, optional) and ``pipelined``.
    Extensions of a response: ``pull`` (ResponseBody.pull), ``latency`` (seconds until it started), ``round_trip``
    (SocketStream.round_trip) and ``send_next``: it sends the next request to the same origin at once and returns a
    PipelinedRequest, which becomes that request's extension ``pipelined`` and is closed afterwards, or None where
    this is not possible.

    Raises UnsafeUrl, SourceError for a name that cannot be resolved, httpx's transport errors, and what ``stop`` raises.
    """

    def __init__(
        self,
        guard: AddressGuard,
        ssl_context: ssl.SSLContext | None = None,
        round_trip: Callable[[SocketStream], float | None] = SocketStream.round_trip,
        proxy: Proxy | None = None,
    ) -> None:
        self._guard = guard
        self._given_ssl_context = ssl_context
        self._round_trip = round_trip
        self._proxy = proxy
        self._lock = Lock()
        self._idle: list[_Idle] = []
        self._unpipelined = UnpipelinedOrigins()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        origin = _origin(request.url)
        pipelined: PipelinedRequest | None = request.extensions.get("pipelined")
        if (
            pipelined
            and (connection := pipelined.take_connection(request))
            and (response := self._follow(connection, request, origin))
        ):
            return response
        while connection := self._take_idle(origin):
            try:
                return self._exchange(connection, request, origin)
            except (httpx.WriteError, httpx.ReadError, NoResponse):
                continue  # the server has just closed it; browsers retry on a new connection, too
        return self._exchange(self._connect(origin, request), request, origin)

    def close(self) -> None:
        """Close idle connections now, and those in use when they are returned."""
        with self._lock:
            self._closed = True
            self._drop_idle(lambda _idle: True)

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        return self._given_ssl_context or socket_stream.ssl_context()

    def _connect(self, origin: Origin, request: httpx.Request) -> SocketStream:
        scheme, host, port = origin
        timeout = _timeout(request, "connect")
        addresses = self._guard.resolve(host, port, timeout.seconds, timeout.stop)
        connection = (self._proxy or SocketStream).connect(addresses, port, timeout)
        try:
            if scheme == "https":
                connection.secure(self._ssl_context, host, timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    def _follow(
        self, connection: SocketStream, request: httpx.Request, origin: Origin
    ) -> httpx.Response | None:
        """The response to a pipelined request; None without a usable one, and then this origin gets no more of them."""
        try:
            response = self._exchange(connection, request, origin, sent=True)
        except (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError):
            self._unpipelined.add(origin)
            return None
        if response.is_success:
            return response
        response.close()
        self._unpipelined.add(origin)
        return None

    def _exchange(
        self, connection: SocketStream, request: httpx.Request, origin: Origin, *, sent: bool = False
    ) -> httpx.Response:
        try:
            exchange, started = _exchange_on(connection, request), time.monotonic()
            head = exchange.head(PIPELINED_RESPONSE_SECONDS) if sent else exchange.request()
            use = _ConnectionUse(connection, lambda: self._keep_idle(origin, connection))
            body = exchange.body(head, use.release)
            latency = time.monotonic() - started
        except BaseException:
            connection.close()
            raise

        def send_next(next_request: httpx.Request) -> PipelinedRequest | None:
            fits = _origin(next_request.url) == origin and origin not in self._unpipelined
            return use.send_next(next_request) if fits and body.can_pipeline() else None

        def pull(buffer: memoryview) -> int | None:
            try:
                return body.pull(buffer)
            except (httpx.ReadError, httpx.RemoteProtocolError):
                # A server that closes the connection with a request unread also loses the previous response.
                if use.has_pipelined:
                    self._unpipelined.add(origin)
                raise

        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=body,
            extensions={
                "pull": pull,
                "send_next": send_next,
                "latency": None if sent else latency,
                "round_trip": self._round_trip(connection),
            },
            request=request,
        )

    def _take_idle(self, origin: Origin) -> SocketStream | None:
        with self._lock:
            now = time.monotonic()
            self._drop_idle(lambda idle: idle.until < now or not idle.connection.is_quiet())
            for idle in reversed(self._idle):
                if idle.origin == origin:
                    self._idle.remove(idle)
                    return idle.connection
        return None

    def _keep_idle(self, origin: Origin, connection: SocketStream) -> None:
        with self._lock:
            if self._closed or len(self._idle) >= MAX_IDLE:
                connection.close()
            else:
                self._idle.append(_Idle(origin, time.monotonic() + KEEP_ALIVE_SECONDS, connection))

    def _drop_idle(self, is_useless: Callable[[_Idle], bool]) -> None:
        for idle in [idle for idle in self._idle if is_useless(idle)]:
            self._idle.remove(idle)
            idle.connection.close()


class PipelinedRequest:
    """A request sent early; it has its connection once the previous response has been read to its end."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._connection: SocketStream | None = None

    def attach(self, connection: SocketStream) -> None:
        """The previous response has ended: the next bytes on the connection belong to this request."""
        self._connection = connection

    def take_connection(self, request: httpx.Request) -> SocketStream | None:
        """The connection with the response, once; None for another request, or if the previous response broke off."""
        if request.url != self._request.url or request.headers != self._request.headers:
            return None
        connection, self._connection = self._connection, None
        return connection

    def close(self) -> None:
        """Drop the response, unless it was taken."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()


class UnpipelinedOrigins:
    """Origins that failed to answer a pipelined request; used again after an hour. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: dict[Origin, float] = {}

    def add(self, origin: Origin) -> None:
        now = time.monotonic()
        with self._lock:
            self._until = {each: until for each, until in self._until.items() if until > now}
            if len(self._until) < MAX_UNPIPELINED:
                self._until[origin] = now + UNPIPELINED_SECONDS

    def __contains__(self, origin: Origin) -> bool:
        return self._until.get(origin, 0.0) > time.monotonic()


class _ConnectionUse:
    """A connection during one response; afterwards it is kept for the next one, or closed."""

    def __init__(self, connection: SocketStream, keep: Callable[[], None]) -> None:
        self._connection = connection
        self._keep = keep
        self._pipelined: PipelinedRequest | None = None
        self._half_sent = False

    @property
    def has_pipelined(self) -> bool:
        return self._pipelined is not None

    def release(self, reusable: bool) -> None:
        if not reusable or self._half_sent:
            self._connection.close()
        elif self._pipelined:
            self._pipelined.attach(self._connection)
        else:
            self._keep()

    def send_next(self, request: httpx.Request) -> PipelinedRequest | None:
        if self._pipelined or self._half_sent:
            return None
        self._half_sent = True
        with suppress(httpx.TransportError):  # reading the previous response fails as well
            _exchange_on(self._connection, request).send()
            self._half_sent, self._pipelined = False, PipelinedRequest(request)
        return self._pipelined


def _exchange_on(connection: SocketStream, request: httpx.Request) -> Exchange:
    head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
    return Exchange(connection, head, _timeout(request, "read"))


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _timeout(request: httpx.Request, kind: str) -> Timeout:
    seconds: float = request.extensions["timeout"][kind]
    stop: StopCheck = request.extensions.get("stop", lambda: None)
    return Timeout(seconds, stop)

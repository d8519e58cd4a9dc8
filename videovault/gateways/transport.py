"""An httpx transport that connects to checked addresses only, and reads bodies without copying them.

httpx's own transport copies each byte five times on its way through h11; here h11 reads heads and chunked
bodies only.
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

from videovault.gateways import tls
from videovault.gateways.pipelining import Origin, PipelinedRequest, UnpipelinedOrigins
from videovault.gateways.proxy import Proxy
from videovault.gateways.response_body import FixedLengthBody, H11Body, Release, ResponseBody, next_event
from videovault.gateways.socket_stream import SocketStream, Timeout
from videovault.gateways.ssrf import AddressGuard, StopCheck

HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 15
MAX_IDLE = 32
PIPELINED_RESPONSE_SECONDS = (
    5.0  # for an answer to begin that was asked for ahead; not every server understands that
)


@dataclass(frozen=True)
class _Idle:
    origin: Origin
    until: float
    wire: SocketStream


class GuardedTransport(httpx.BaseTransport):
    """HTTP/1.1 over connections that are kept alive and may be used by any thread.

    A request brings the extensions ``timeout`` (httpx.Timeout.as_dict) and, if it is to be stopped, ``stop``
    (a Stop); a response brings ``pull`` (Body.pull), ``latency``, how many seconds it took to begin, ``round_trip`` (Wire.round_trip) and
    ``ask_ahead``: given the next request to the same origin it sends that at once and returns an Ahead, to be
    that request's extension ``ahead`` when it is handled and to be closed afterwards, or None where this
    cannot be done. Raises UnsafeUrl, SourceError for a name that cannot be found, httpx's transport errors,
    and what ``stop`` raises.
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
        self._one_by_one = UnpipelinedOrigins()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        origin = _origin(request.url)
        ahead: PipelinedRequest | None = request.extensions.get("ahead")
        if ahead and (wire := ahead.take_stream(request)) and (answer := self._follow(wire, request, origin)):
            return answer
        while wire := self._take_idle(origin):
            try:
                return self._exchange(wire, request, origin)
            except (httpx.WriteError, httpx.ReadError, _NoAnswer):
                continue  # the other side closed it just now; asking again on a new one is what browsers do
        return self._exchange(self._connect(origin, request), request, origin)

    def close(self) -> None:
        """Close what is idle now, and what is in use as soon as it is given back."""
        with self._lock:
            self._closed = True
            self._drop_idle(lambda _idle: True)

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        return self._given_ssl_context or tls.ssl_context()

    def _connect(self, origin: Origin, request: httpx.Request) -> SocketStream:
        scheme, host, port = origin
        patience = _patience(request, "connect")
        addresses = self._guard.resolve(host, port, patience.seconds, patience.stop)
        wire = (self._proxy or SocketStream).connect(addresses, port, patience)
        try:
            if scheme == "https":
                wire.secure(self._ssl_context, host, patience)
        except BaseException:
            wire.close()
            raise
        return wire

    def _follow(self, wire: SocketStream, request: httpx.Request, origin: Origin) -> httpx.Response | None:
        """The answer to what was asked ahead; None where no good one comes, and none is asked for so again."""
        try:
            answer = self._exchange(wire, request, origin, sent=True)
        except (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError):
            self._one_by_one.add(origin)
            return None
        if answer.is_success:
            return answer
        answer.close()
        self._one_by_one.add(origin)
        return None

    def _exchange(
        self, wire: SocketStream, request: httpx.Request, origin: Origin, *, sent: bool = False
    ) -> httpx.Response:
        try:
            exchange, started = _Exchange(wire, request), time.monotonic()
            head = exchange.head(PIPELINED_RESPONSE_SECONDS) if sent else exchange.asked()
            use = _Use(wire, lambda: self._give_back(origin, wire))
            body = exchange.body(head, use.release)
            latency = time.monotonic() - started
        except BaseException:
            wire.close()
            raise

        def send_next(following: httpx.Request) -> PipelinedRequest | None:
            fits = _origin(following.url) == origin and origin not in self._one_by_one
            return use.send_next(following) if fits and body.can_pipeline() else None

        def pull(buffer: memoryview) -> int | None:
            try:
                return body.pull(buffer)
            except (httpx.ReadError, httpx.RemoteProtocolError):
                # Closing a connection with a request unread takes the answer before along.
                if use.asked_ahead:
                    self._one_by_one.add(origin)
                raise

        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=body,
            extensions={
                "pull": pull,
                "send_next": send_next,
                "latency": None if sent else latency,
                "round_trip": self._round_trip(wire),
            },
            request=request,
        )

    def _take_idle(self, origin: Origin) -> SocketStream | None:
        with self._lock:
            now = time.monotonic()
            self._drop_idle(lambda idle: idle.until < now or not idle.wire.is_quiet())
            for idle in reversed(self._idle):
                if idle.origin == origin:
                    self._idle.remove(idle)
                    return idle.wire
        return None

    def _give_back(self, origin: Origin, wire: SocketStream) -> None:
        with self._lock:
            if self._closed or len(self._idle) >= MAX_IDLE:
                wire.close()
            else:
                self._idle.append(_Idle(origin, time.monotonic() + KEEP_ALIVE_SECONDS, wire))

    def _drop_idle(self, useless: Callable[[_Idle], bool]) -> None:
        for idle in [idle for idle in self._idle if useless(idle)]:
            self._idle.remove(idle)
            idle.wire.close()


class _NoAnswer(httpx.RemoteProtocolError):
    """The connection ended before the first byte of an answer."""


class _Use:
    """What becomes of a wire when the answer on it has been read: kept for the next one, or closed."""

    def __init__(self, wire: SocketStream, keep: Callable[[], None]) -> None:
        self._wire = wire
        self._keep = keep
        self._ahead: PipelinedRequest | None = None
        self._half_sent = False

    @property
    def asked_ahead(self) -> bool:
        return self._ahead is not None

    def release(self, reusable: bool) -> None:
        if not reusable or self._half_sent:
            self._wire.close()
        elif self._ahead:
            self._ahead.attach(self._wire)
        else:
            self._keep()

    def send_next(self, request: httpx.Request) -> PipelinedRequest | None:
        if self._ahead or self._half_sent:
            return None
        self._half_sent = True
        with suppress(httpx.TransportError):  # whoever reads the answer before this one will notice
            _Exchange(self._wire, request).send()
            self._half_sent, self._ahead = False, PipelinedRequest(request)
        return self._ahead


class _Exchange:
    """One request, the head of its answer and the body that follows."""

    def __init__(self, wire: SocketStream, request: httpx.Request) -> None:
        self._wire = wire
        self._patience = _patience(request, "read")
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)

        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        self._data = (self._parser.send(head) or b"") + (self._parser.send(h11.EndOfMessage()) or b"")

    def send(self) -> None:
        self._wire.send(self._data, self._patience)

    def asked(self) -> h11.Response:
        self.send()
        return self.head(self._patience.seconds)

    def head(self, seconds: float) -> h11.Response:
        """Raises httpx.ReadTimeout unless the whole head arrives in time."""
        end, received = time.monotonic() + min(seconds, self._patience.seconds), 0
        while not isinstance(event := next_event(self._parser), h11.Response):
            if event is h11.NEED_DATA:
                received += self._feed(is_first=not received)
            if received > 2 * HEAD_BYTES:
                raise httpx.RemoteProtocolError("the head of the answer is too long")
            if time.monotonic() > end:
                raise httpx.ReadTimeout("the head of the answer did not come in time")
        return event

    def _feed(self, *, is_first: bool) -> int:
        buffer = memoryview(bytearray(HEAD_BYTES))
        count = self._wire.receive(buffer, self._patience.stop)
        if count == 0 and is_first:
            raise _NoAnswer("the connection ended without an answer")
        if count is not None:
            self._parser.receive_data(bytes(buffer[:count]))
        return count or 0

    def body(self, head: h11.Response, release: Release) -> ResponseBody:
        headers = dict(iter(head.headers))
        if b"content-length" not in headers or b"transfer-encoding" in headers:
            return H11Body(self._wire, self._patience, release, self._parser)
        ends = any(name == b"connection" and b"close" in value.lower() for name, value in head.headers)
        return FixedLengthBody(
            self._wire,
            self._patience,
            release,
            length=int(headers[b"content-length"]),
            received=self._parser.trailing_data[0],
            keep_alive=head.http_version == b"1.1" and not ends,
        )


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _patience(request: httpx.Request, kind: str) -> Timeout:
    seconds: float = request.extensions["timeout"][kind]
    stop: StopCheck = request.extensions.get("stop", lambda: None)
    return Timeout(seconds, stop)

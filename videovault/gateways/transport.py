"""An httpx transport that connects to checked addresses only, and reads bodies without copying them.

httpx's own transport copies each byte five times on its way through h11; here h11 reads heads and chunked
bodies only.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import h11
import httpcore
import httpx

from videovault.gateways.addresses import AddressGuard, Stop
from videovault.gateways.bodies import Body, CountedBody, ParsedBody, Release, next_event
from videovault.gateways.wire import Patience, Wire

HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 15
MOST_IDLE = 32

Origin = tuple[str, str, int]


@dataclass(frozen=True)
class _Idle:
    origin: Origin
    until: float
    wire: Wire


class GuardedTransport(httpx.BaseTransport):
    """HTTP/1.1 over connections that are kept alive and may be used by any thread.

    A request brings the extensions ``timeout`` (httpx.Timeout.as_dict) and, if it is to be stopped, ``stop``
    (a Stop); a response brings ``pull`` (Body.pull). Raises UnsafeUrl, SourceError for a name that cannot be
    found, httpx's transport errors, and what ``stop`` raises.
    """

    def __init__(self, guard: AddressGuard, ssl_context: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._given_ssl_context = ssl_context
        self._lock = Lock()
        self._idle: list[_Idle] = []
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        origin = _origin(request.url)
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
        return self._given_ssl_context or _trusting_the_usual()

    def _connect(self, origin: Origin, request: httpx.Request) -> Wire:
        scheme, host, port = origin
        patience = _patience(request, "connect")
        addresses = self._guard.resolve(host, port, patience.seconds, patience.stop)
        wire = Wire.connect(addresses, port, patience)
        try:
            if scheme == "https":
                wire.secure(self._ssl_context, host, patience)
        except BaseException:
            wire.close()
            raise
        return wire

    def _exchange(self, wire: Wire, request: httpx.Request, origin: Origin) -> httpx.Response:
        def release(reusable: bool) -> None:
            if reusable:
                self._give_back(origin, wire)
            else:
                wire.close()

        try:
            return _Exchange(wire, request).answer(release)
        except BaseException:
            wire.close()
            raise

    def _take_idle(self, origin: Origin) -> Wire | None:
        with self._lock:
            now = time.monotonic()
            self._drop_idle(lambda idle: idle.until < now or not idle.wire.is_quiet())
            for idle in reversed(self._idle):
                if idle.origin == origin:
                    self._idle.remove(idle)
                    return idle.wire
        return None

    def _give_back(self, origin: Origin, wire: Wire) -> None:
        with self._lock:
            if self._closed or len(self._idle) >= MOST_IDLE:
                wire.close()
            else:
                self._idle.append(_Idle(origin, time.monotonic() + KEEP_ALIVE_SECONDS, wire))

    def _drop_idle(self, useless: Callable[[_Idle], bool]) -> None:
        for idle in [idle for idle in self._idle if useless(idle)]:
            self._idle.remove(idle)
            idle.wire.close()


class _NoAnswer(httpx.RemoteProtocolError):
    """The connection ended before the first byte of an answer."""


class _Exchange:
    """One request and the head of its answer."""

    def __init__(self, wire: Wire, request: httpx.Request) -> None:
        self._wire = wire
        self._request = request
        self._patience = _patience(request, "read")
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)

    def answer(self, release: Release) -> httpx.Response:
        self._send()
        head = self._read_head()
        body = self._body(head, release)
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=body,
            extensions={"pull": body.pull},
            request=self._request,
        )

    def _send(self) -> None:
        request = self._request
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        data = (self._parser.send(head) or b"") + (self._parser.send(h11.EndOfMessage()) or b"")
        self._wire.send(data, self._patience)

    def _read_head(self) -> h11.Response:
        """Raises httpx.ReadTimeout unless the whole head arrives within the idle time."""
        end, received = time.monotonic() + self._patience.seconds, 0
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

    def _body(self, head: h11.Response, release: Release) -> Body:
        headers = dict(iter(head.headers))
        if b"content-length" not in headers or b"transfer-encoding" in headers:
            return ParsedBody(self._wire, self._patience, release, self._parser)
        ends = any(name == b"connection" and b"close" in value.lower() for name, value in head.headers)
        return CountedBody(
            self._wire,
            self._patience,
            release,
            length=int(headers[b"content-length"]),
            received=self._parser.trailing_data[0],
            keep_alive=head.http_version == b"1.1" and not ends,
        )


def _trusting_the_usual() -> ssl.SSLContext:
    """The system's certificates (SSL_CERT_FILE counts) and certifi's. Reading them takes tens of milliseconds."""
    context = httpcore.default_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _patience(request: httpx.Request, kind: str) -> Patience:
    seconds: float = request.extensions["timeout"][kind]
    stop: Stop = request.extensions.get("stop", lambda: None)
    return Patience(seconds, stop)

"""One HTTP request on a connection: the head of its response, parsed by h11, and the body that follows.

A body of known length is read directly into the caller's buffer.
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator

import h11
import httpx

from videovault.gateways.socket_stream import SocketStream, Timeout

HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024
STATUSES_WITHOUT_BODY = (204, 304)  # whatever their Content-Length (RFC 9112, 6.3)

Release = Callable[[bool], None]
"""Called once, when the body no longer needs its connection: True if that can carry another request."""


class NoResponse(httpx.RemoteProtocolError):
    """The connection ended before the first byte of a response."""


class Exchange:
    """One request, the head of its response and the body that follows."""

    def __init__(self, connection: SocketStream, request: h11.Request, timeout: Timeout) -> None:
        self._connection = connection
        self._timeout = timeout
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._data = (self._parser.send(request) or b"") + (self._parser.send(h11.EndOfMessage()) or b"")

    def send(self) -> None:
        self._connection.send(self._data, self._timeout)

    def request(self) -> h11.Response:
        self.send()
        return self.head(self._timeout.seconds)

    def head(self, seconds: float) -> h11.Response:
        """Raises httpx.ReadTimeout unless the whole head arrives in time."""
        end, received = time.monotonic() + min(seconds, self._timeout.seconds), 0
        while not isinstance(event := _next_event(self._parser), h11.Response):
            if event is h11.NEED_DATA:
                received += self._feed(is_first=not received)
            if received > 2 * HEAD_BYTES:
                raise httpx.RemoteProtocolError("the head of the response is too long")
            if time.monotonic() > end:
                raise httpx.ReadTimeout("the head of the response did not arrive in time")
        return event

    def body(self, head: h11.Response, release: Release) -> "ResponseBody":
        headers = dict(iter(head.headers))
        has_fixed_length = b"content-length" in headers and b"transfer-encoding" not in headers
        if not has_fixed_length or head.status_code in STATUSES_WITHOUT_BODY:
            return H11Body(self._connection, self._timeout, release, self._parser)
        ends = any(name == b"connection" and b"close" in value.lower() for name, value in head.headers)
        return FixedLengthBody(
            self._connection,
            self._timeout,
            release,
            length=int(headers[b"content-length"]),
            received=self._parser.trailing_data[0],
            keep_alive=head.http_version == b"1.1" and not ends,
        )

    def _feed(self, *, is_first: bool) -> int:
        buffer = memoryview(bytearray(HEAD_BYTES))
        count = self._connection.receive(buffer, self._timeout.stop)
        if count == 0 and is_first:
            raise NoResponse("the connection ended without a response")
        if count is not None:
            self._parser.receive_data(bytes(buffer[:count]))
        return count or 0


class ResponseBody(httpx.SyncByteStream):
    """``pull`` is for callers with a buffer, iteration for all others."""

    def __init__(self, connection: SocketStream, timeout: Timeout, release: Release) -> None:
        self._connection = connection
        self._timeout = timeout
        self._release: Release | None = release
        self._silent_seconds = 0.0

    def pull(self, buffer: memoryview) -> int | None:
        """The number of bytes read into ``buffer``; 0 at the end of the body, None if nothing arrived for a moment.

        Raises httpx.ReadTimeout after the idle time without a byte, httpx.ReadError or
        httpx.RemoteProtocolError when the body is incomplete, and what the request's ``stop`` raises.
        """
        started = time.monotonic()
        count = self._read(buffer)
        # Only time spent waiting here counts, not the time between two calls.
        self._silent_seconds = self._silent_seconds + time.monotonic() - started if count is None else 0.0
        if self._silent_seconds >= self._timeout.seconds:
            raise httpx.ReadTimeout("nothing arrived for too long")
        return count

    def __iter__(self) -> Iterator[bytes]:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        while (count := self.pull(buffer)) != 0:
            if count:
                yield bytes(buffer[:count])

    def can_pipeline(self) -> bool:
        """Whether a request may be pipelined now: this response leaves the connection open and has not ended yet."""
        return False

    def close(self) -> None:
        release, self._release = self._release, None
        if release:
            release(self._is_complete())

    @abstractmethod
    def _read(self, buffer: memoryview) -> int | None: ...

    @abstractmethod
    def _is_complete(self) -> bool: ...


class FixedLengthBody(ResponseBody):
    """``length`` bytes, of which ``received`` arrived together with the head."""

    def __init__(
        self,
        connection: SocketStream,
        timeout: Timeout,
        release: Release,
        *,
        length: int,
        received: bytes,
        keep_alive: bool,
    ) -> None:
        super().__init__(connection, timeout, release)
        self._left = length
        self._received = memoryview(received)
        self._keep_alive = keep_alive

    def _read(self, buffer: memoryview) -> int | None:
        space = buffer[: self._left]
        if not space:
            return 0
        if self._received:
            count: int | None = _copy(self._received, space)
            self._received = self._received[count:]
        else:
            count = self._connection.receive(space, self._timeout.stop, expected=self._left)
        if count == 0:
            raise httpx.RemoteProtocolError("the body ended before its length")
        self._left -= count or 0
        return count

    def can_pipeline(self) -> bool:
        return self._keep_alive and self._left > len(self._received)

    def _is_complete(self) -> bool:
        return self._keep_alive and self._left == len(self._received)


class H11Body(ResponseBody):
    """A chunked body, or one that ends with its connection, parsed by h11."""

    def __init__(
        self, connection: SocketStream, timeout: Timeout, release: Release, parser: h11.Connection
    ) -> None:
        super().__init__(connection, timeout, release)
        self._parser = parser
        self._buffer = memoryview(bytearray(CHUNK_BYTES))
        self._data = memoryview(b"")
        self._ended = False

    def _read(self, buffer: memoryview) -> int | None:
        if not self._data and not self._next_data():
            return 0 if self._ended else None
        count = _copy(self._data, buffer)
        self._data = self._data[count:]
        return count

    def _next_data(self) -> bool:
        """Whether more of the body has arrived; receives at most once, so that a trickle of empty chunks is noticed."""
        fed = False
        while not self._ended:
            event = _next_event(self._parser)
            if isinstance(event, h11.Data):
                self._data = memoryview(event.data)
                return True
            if event is not h11.NEED_DATA:
                self._ended = True
            elif fed or not self._feed():
                return False
            else:
                fed = True
        return False

    def _feed(self) -> bool:
        count = self._connection.receive(self._buffer, self._timeout.stop)
        if count is not None:
            self._parser.receive_data(bytes(self._buffer[:count]))
        return count is not None

    def _is_complete(self) -> bool:
        return False


def _next_event(parser: h11.Connection) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    """h11's next event; raises httpx.RemoteProtocolError."""
    try:
        return parser.next_event()
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error


def _copy(source: memoryview, target: memoryview) -> int:
    count = min(len(source), len(target))
    target[:count] = source[:count]
    return count

"""The body of an HTTP answer, put straight into the caller's buffer where its length is known."""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator

import h11
import httpx

from videovault.gateways.socket_stream import SocketStream, Timeout

CHUNK_BYTES = 256 * 1024

Release = Callable[[bool], None]
"""Called once with the body's connection no longer needed: True if it can carry another request."""


class ResponseBody(httpx.SyncByteStream):
    """The bytes of one answer. ``pull`` is for callers with a buffer, iterating for everyone else."""

    def __init__(self, wire: SocketStream, patience: Timeout, release: Release) -> None:
        self._wire = wire
        self._patience = patience
        self._release: Release | None = release
        self._silence = 0.0

    def pull(self, buffer: memoryview) -> int | None:
        """Bytes put into ``buffer``; 0 at the end of the body, None if nothing came for a moment.

        Raises httpx.ReadTimeout after the idle time without a byte, httpx.ReadError or
        httpx.RemoteProtocolError when the body is broken off, and what the request's ``stop`` raises.
        """
        started = time.monotonic()
        count = self._read(buffer)
        # Only time spent waiting here counts: a caller that is busy elsewhere is not the source's fault.
        self._silence = self._silence + time.monotonic() - started if count is None else 0.0
        if self._silence >= self._patience.seconds:
            raise httpx.ReadTimeout("nothing came for too long")
        return count

    def __iter__(self) -> Iterator[bytes]:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        while (count := self.pull(buffer)) != 0:
            if count:
                yield bytes(buffer[:count])

    def can_pipeline(self) -> bool:
        """Whether another answer may follow on the wire, of which nothing has been received yet."""
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
    """``length`` bytes, of which ``received`` came together with the head."""

    def __init__(
        self,
        wire: SocketStream,
        patience: Timeout,
        release: Release,
        *,
        length: int,
        received: bytes,
        keep_alive: bool,
    ) -> None:
        super().__init__(wire, patience, release)
        self._left = length
        self._received = memoryview(received)
        self._keep_alive = keep_alive

    def _read(self, buffer: memoryview) -> int | None:
        room = buffer[: self._left]
        if not room:
            return 0
        if self._received:
            count: int | None = _move(self._received, room)
            self._received = self._received[count:]
        else:
            count = self._wire.receive(room, self._patience.stop, expected=self._left)
        if count == 0:
            raise httpx.RemoteProtocolError("the body ended before its length")
        self._left -= count or 0
        return count

    def can_pipeline(self) -> bool:
        return self._keep_alive and self._left > len(self._received)

    def _is_complete(self) -> bool:
        return self._keep_alive and self._left == len(self._received)


class H11Body(ResponseBody):
    """A chunked body, or one that ends with its connection, as h11 understands it."""

    def __init__(
        self, wire: SocketStream, patience: Timeout, release: Release, parser: h11.Connection
    ) -> None:
        super().__init__(wire, patience, release)
        self._parser = parser
        self._buffer = memoryview(bytearray(CHUNK_BYTES))
        self._data = memoryview(b"")
        self._ended = False

    def _read(self, buffer: memoryview) -> int | None:
        if not self._data and not self._next_data():
            return 0 if self._ended else None
        count = _move(self._data, buffer)
        self._data = self._data[count:]
        return count

    def _next_data(self) -> bool:
        """Whether more of the body is here; receives once at most, so that a drip of empty chunks is noticed."""
        fed = False
        while not self._ended:
            event = next_event(self._parser)
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
        count = self._wire.receive(self._buffer, self._patience.stop)
        if count is not None:
            self._parser.receive_data(bytes(self._buffer[:count]))
        return count is not None

    def _is_complete(self) -> bool:
        return False


def next_event(parser: h11.Connection) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    """What h11 makes of the bytes so far; raises httpx.RemoteProtocolError."""
    try:
        return parser.next_event()
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error


def _move(source: memoryview, target: memoryview) -> int:
    count = min(len(source), len(target))
    target[:count] = source[:count]
    return count

"""The bytes of one video on their way in, held to the limits of the policy while they come."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx

from videovault.errors import SourceError
from videovault.gateways.container import SNIFF_BYTES, detect_container
from videovault.gateways.pipelining import PipelinedRequest
from videovault.gateways.source_errors import cut_short, empty, too_large, too_slow, translating_errors
from videovault.gateways.source_response import SourceInfo
from videovault.gateways.ssrf import StopCheck

PROGRESS_SECONDS = 0.5
CHUNK_BYTES = 256 * 1024

Pull = Callable[[memoryview], int | None]
"""See Body.pull."""
AskAhead = Callable[[int, int], PipelinedRequest | None]
"""See SourceStream."""


@dataclass(frozen=True)
class SourcePolicy:
    """What a source may be and take. Sizes in bytes.

    ``allow`` has ``host`` or ``host:port`` entries in lower case that may be fetched although not global.
    ``idle_seconds`` bounds a wait without a byte, ``total_seconds`` one stream from its request to its last
    byte; ``min_bytes_per_second`` holds for every ``rate_window_seconds`` spent waiting for the source.
    """

    max_bytes: int
    allow: frozenset[str] = frozenset()
    connect_seconds: float = 10.0
    idle_seconds: float = 30.0
    total_seconds: float = 12 * 3600.0
    min_bytes_per_second: int = 16 * 1024
    rate_window_seconds: float = 60.0


class SourceStream:
    """The body of one answer. ``close`` may be called from any thread, the rest from one at a time.

    ``ask_ahead(start, end)`` asks for more of the same video while this is still coming, and gives what
    Source.open then takes as its ``ahead``; None where the connection does not allow it. ``latency``: how many
    seconds the source took to begin its answer on an open connection, ``round_trip`` how many of them the network
    takes; None if that is not known.
    """

    def __init__(
        self,
        info: SourceInfo,
        pull: Pull,
        policy: SourcePolicy,
        stop: StopCheck,
        close: Callable[[], None],
        send_next: AskAhead,
        latency: float | None,
        round_trip: float | None,
    ) -> None:
        self.info = info
        self.close = close
        self.send_next = send_next
        self.latency = latency
        self.round_trip = round_trip
        self._pull = pull
        self._stop = stop
        self._most = policy.max_bytes
        self._pace = _Pace(policy.min_bytes_per_second, policy.rate_window_seconds)
        self._received = 0
        self._head = memoryview(b"")
        self._failure: SourceError | None = None

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Put the next bytes into ``buffer``: how many, and 0 only at the proven end.

        Comes back when the buffer is full, or after half a second with what there is, so that progress can be
        told. Raises SourceError and its kinds (bytes that came before the failure are given first),
        SourceCancelled after ``close``, and whatever the ``heartbeat`` of Source.open raises.
        """
        view = memoryview(buffer)
        filled = self._replay(view)
        until = time.monotonic() + PROGRESS_SECONDS
        while filled < len(view) and not (filled and time.monotonic() > until):
            try:
                count = self._next(view[filled:])
            except SourceError as failure:
                self._failure = failure
                if filled:
                    break
                raise
            if count == 0:
                break
            filled += count or 0
        return filled

    def identify(self) -> None:
        """Find out the container from the first bytes, which ``readinto`` still gives. Raises SourceError."""
        head, filled = memoryview(bytearray(SNIFF_BYTES)), 0
        while filled < SNIFF_BYTES and (count := self.readinto(head[filled:])):
            filled += count
        if not filled:
            raise empty()
        self._head = head[:filled]
        self.info = replace(self.info, container=detect_container(bytes(self._head)))

    def _replay(self, view: memoryview) -> int:
        count = min(len(self._head), len(view))
        view[:count] = self._head[:count]
        self._head = self._head[count:]
        return count

    def _next(self, view: memoryview) -> int | None:
        """What the source has: bytes put into ``view``, 0 at the end, None if nothing came for a moment."""
        self._stop()
        if self._failure:
            raise self._failure
        length = self.info.length
        room = view if length is None else view[: length - self._received]
        if not room:
            return 0
        started = time.monotonic()
        count = self._pulled(room)
        self._pace.note(count or 0, time.monotonic() - started)
        if count == 0 and length is not None:
            raise cut_short()
        self._received += count or 0
        if self.info.start + self._received > self._most:
            raise too_large(self._most)
        return count

    def _pulled(self, room: memoryview) -> int | None:
        with translating_errors():
            try:
                return self._pull(room)
            except (httpx.RemoteProtocolError, httpx.ReadError) as error:
                raise cut_short() from error


class ChunkReader:
    """Pulls from an answer that comes in chunks: that of any other httpx transport than ours."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def __call__(self, buffer: memoryview) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(self._rest), len(buffer))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Pace:
    """Notices a source that trickles: too few bytes for the time spent waiting for it."""

    def __init__(self, bytes_per_second: int, window_seconds: float) -> None:
        self._bytes_per_second = bytes_per_second
        self._window_seconds = window_seconds
        self._bytes = 0
        self._seconds = 0.0

    def note(self, count: int, seconds: float) -> None:
        """Raises SourceError when a window is over and was too slow."""
        self._bytes += count
        self._seconds += seconds
        if self._seconds < self._window_seconds:
            return
        if self._bytes < self._bytes_per_second * self._seconds:
            raise too_slow()
        self._bytes, self._seconds = 0, 0.0

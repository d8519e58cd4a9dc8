"""The bytes of one response as they arrive, within the limits of the policy."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx

from videovault.errors import SourceError
from videovault.gateways.container import SNIFF_BYTES, detect_container
from videovault.gateways.source_errors import cut_short, empty, too_large, too_slow, translating_errors
from videovault.gateways.source_response import SourceInfo
from videovault.gateways.ssrf import StopCheck
from videovault.gateways.transport import PipelinedRequest

PROGRESS_SECONDS = 0.05

Pull = Callable[[memoryview], int | None]
"""See ResponseBody.pull."""
SendNext = Callable[[int, int], PipelinedRequest | None]
"""See SourceStream."""


@dataclass(frozen=True)
class SourcePolicy:
    """The limits for a source. Sizes in bytes.

    ``allow`` has ``host`` or ``host:port`` entries in lower case that may be fetched although they are not global.
    ``idle_seconds`` limits a wait without a byte, ``total_seconds`` one stream from its request to its last
    byte; ``min_bytes_per_second`` applies to each ``rate_window_seconds`` spent waiting for the source.
    """

    max_bytes: int
    allow: frozenset[str] = frozenset()
    connect_seconds: float = 10.0
    idle_seconds: float = 30.0
    total_seconds: float = 12 * 3600.0
    min_bytes_per_second: int = 16 * 1024
    rate_window_seconds: float = 60.0


class SourceStream:
    """The body of one response. ``close`` may be called from any thread, the rest from one at a time.

    ``send_next(start, end)`` requests more of the same video before this response has ended, and returns the
    argument ``pipelined`` for Source.open; None where the connection does not allow it. ``latency``: seconds from the
    request to the response on an open connection, ``round_trip``: the network's share of it; None if unknown.
    """

    def __init__(
        self,
        info: SourceInfo,
        pull: Pull,
        policy: SourcePolicy,
        stop: StopCheck,
        close: Callable[[], None],
        send_next: SendNext,
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
        self._max_bytes = policy.max_bytes
        self._minimum_rate = _MinimumRate(policy.min_bytes_per_second, policy.rate_window_seconds)
        self._received = 0
        self._head = memoryview(b"")
        self._failure: SourceError | None = None

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read the next bytes into ``buffer``: how many, and 0 only at the proven end.

        Returns when the buffer is full, or after 50 ms with what has arrived, so that its rate is known early.
        Raises SourceError and its kinds (after the bytes that arrived before the failure), SourceCancelled
        after ``close``, and what the ``heartbeat`` of Source.open raises.
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
        """Detect the container from the first bytes, which ``readinto`` returns again. Raises SourceError."""
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
        """Bytes read into ``view``, 0 at the end, None if nothing arrived for a moment."""
        self._stop()
        if self._failure:
            raise self._failure
        length = self.info.length
        space = view if length is None else view[: length - self._received]
        if not space:
            return 0
        started = time.monotonic()
        count = self._pull_bytes(space)
        self._minimum_rate.note(count or 0, time.monotonic() - started)
        if count == 0 and length is not None:
            raise cut_short()
        self._received += count or 0
        if self.info.start + self._received > self._max_bytes:
            raise too_large(self._max_bytes)
        return count

    def _pull_bytes(self, space: memoryview) -> int | None:
        with translating_errors():
            try:
                return self._pull(space)
            except (httpx.RemoteProtocolError, httpx.ReadError) as error:
                raise cut_short() from error


class _MinimumRate:
    """Detects a source that is too slow: too few bytes for the time spent waiting for it."""

    def __init__(self, bytes_per_second: int, window_seconds: float) -> None:
        self._bytes_per_second = bytes_per_second
        self._window_seconds = window_seconds
        self._bytes = 0
        self._seconds = 0.0

    def note(self, count: int, seconds: float) -> None:
        """Raises SourceError at the end of a window that was too slow."""
        self._bytes += count
        self._seconds += seconds
        if self._seconds < self._window_seconds:
            return
        if self._bytes < self._bytes_per_second * self._seconds:
            raise too_slow()
        self._bytes, self._seconds = 0, 0.0

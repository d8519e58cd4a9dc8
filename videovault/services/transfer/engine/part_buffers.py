"""The work queue between readers and uploaders: parts in memory, and the subranges of them that readers fetch.

Readers claim subranges of parts, and may take over the rest of a slow one; uploaders take full parts. At most ``window``
parts are in memory, counted from the oldest one that S3 does not have yet. When S3 is slow, readers wait for space: this
is the backpressure.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Condition, RLock

from videovault.services.transfer.engine.types import PartLayout, combine_crc32, crc32

SLOW_SECONDS = 0.2  # before this, no subrange is split
SILENT_SECONDS = 1.0  # the same for a subrange of which nothing has arrived
SPLIT_GRACE_SECONDS = 0.5  # for a reader to finish its current read after a split
MIN_SPLIT_BYTES = 256 * 1024
# A reader that has nothing else to do takes half of what takes longer than this, at the end of the transfer.
MIN_SPLIT_SECONDS = 0.03
LATENCIES_TO_SPLIT = 4
SUBRANGES_PER_PART = 4  # several readers fill one part, so eight of them need no more memory than two parts
WAIT_SECONDS = 0.25
_M_MMAP_THRESHOLD = -3  # malloc.h
_MAPPED_BYTES = 4 * 1024 * 1024


@dataclass(eq=False)
class PartBuffer:
    """A part in memory. ``sequence`` counts the parts of this run, ``start`` is the offset of its first byte."""

    number: int
    sequence: int
    start: int
    buffer: bytearray
    subranges: list["Subrange"] = field(default_factory=list)
    length: int = 0

    @property
    def body(self) -> bytearray:
        return self.buffer if self.length == len(self.buffer) else self.buffer[: self.length]

    def release_buffer(self) -> bytearray:
        """Its memory, for another part; subranges and tracebacks may still refer to this object."""
        buffer, self.buffer = self.buffer, bytearray()
        return buffer

    @property
    def crc32(self) -> int:
        return combine_crc32((each.crc32, each.filled) for each in self.subranges)


@dataclass(eq=False)
class Subrange:
    """Bytes ``start`` to ``start + length`` of the source, to be read into ``part.buffer``.

    A subrange that is split before anything was read has length 0 and the same start as the rest.
    """

    start: int
    length: int
    part: PartBuffer
    filled: int = 0
    crc32: int = 0
    done: bool = False
    started_at: float = 0.0
    filled_at_start: int = 0  # by earlier readers
    view_end: int = field(init=False)
    split_at: float | None = None

    def __post_init__(self) -> None:
        self.view_end = self.position

    @property
    def position(self) -> int:
        return self.start + self.filled

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def left(self) -> int:
        return self.length - self.filled

    def start_reading(self) -> None:
        """A reader has claimed it, or starts to read what it claimed earlier."""
        self.started_at, self.filled_at_start = time.monotonic(), self.filled
        self.view_end, self.split_at = self.position, None

    def next_view(self, max_bytes: int) -> memoryview:
        """Memory for the next bytes, at most ``max_bytes``; empty when nothing is left to read."""
        at = self.position - self.part.start
        view = memoryview(self.part.buffer)[at : at + min(max_bytes, self.left)]
        self.view_end = self.position + len(view)
        return view

    def advance(self, view: memoryview) -> None:
        """``view``, the beginning of the last ``next_view``, has been filled."""
        self.crc32 = crc32(view, self.crc32)
        self.filled += len(view)

    def split(self, *, kept: int = 0) -> "Subrange":
        """Its end, for another reader; the view being filled and ``kept`` bytes more stay with the current one."""
        at = self.view_end + kept
        rest = Subrange(at, self.end - at, self.part)
        self.length, self.split_at = at - self.start, time.monotonic()
        self.part.subranges.insert(self.part.subranges.index(self) + 1, rest)
        return rest

    def is_slow(self, now: float, rate: float) -> bool:
        """Whether a reader of ``rate`` bytes a second would finish the rest in half the time."""
        elapsed, got = now - self.started_at, self.filled - self.filled_at_start
        if self.end - self.view_end < MIN_SPLIT_BYTES or elapsed < (SLOW_SECONDS if got else SILENT_SECONDS):
            return False
        return got / elapsed < rate / 2

    def seconds_left(self, now: float) -> float:
        """How long its reader needs for what another could take over; 0 if that is little, or unknown."""
        left, got = self.end - self.view_end, self.filled - self.filled_at_start
        return left * (now - self.started_at) / got if got and left >= 2 * MIN_SPLIT_BYTES else 0.0

    def should_stop(self, now: float) -> bool:
        """Whether its reader must stop: the rest was split off, and the time to finish the current read is over."""
        return self.split_at is not None and (not self.left or now - self.split_at > SPLIT_GRACE_SECONDS)


def slowest_subrange(subranges: Iterable[Subrange], rate: float) -> Subrange | None:
    """The first subrange, in the source's order, that a reader of this rate should take over."""
    now = time.monotonic()
    slow = (each for each in subranges if each.is_slow(now, rate))
    return min(slow, key=lambda each: each.start, default=None)


@dataclass(frozen=True)
class Reader:
    """The reader that claims. ``position`` is the next byte of its open stream, ``rate`` its latest bytes per second.

    ``is_cold``: it has to open a connection first; ``latency``: seconds until the source answers its request.
    """

    is_first: bool
    position: int | None = None
    is_cold: bool = False
    rate: float = 0.0
    latency: float = float("inf")


class PartBuffers:
    """Shared by all threads of one transfer; the first failure ends it for all of them."""

    def __init__(self, layout: PartLayout, missing: Iterator[int], window: int, max_window: int) -> None:
        """``missing``: numbers of the parts to fetch; ``max_window``: how far S3 lets a part precede an earlier one."""
        self.window = min(window, max_window)
        self._max_window = max_window
        self.reader_waited = False  # for space, since this was last reset
        self._layout = layout
        self._missing = missing
        self._lock = RLock()
        # Two conditions, since each wake-up costs several system calls: uploaders do not wait for subranges.
        self._claimable = Condition(self._lock)
        self._uploadable = Condition(self._lock)
        self._started = 0
        self._open: dict[int, PartBuffer] = {}
        self._free: list[bytearray] = []
        self._unclaimed: list[Subrange] = []
        self._claimed: list[Subrange] = []
        self._full: list[PartBuffer] = []
        self._next_number = next(missing, None)
        self._failure: BaseException | None = None
        self._reserved = 0

    @property
    def max_reserved(self) -> int:
        """Bytes; low enough to leave work for the other readers within the window."""
        return 2 * self._layout.part_bytes

    def reserve(self, until: int) -> None:
        """Leave what starts before ``until`` to the first reader, whose stream continues there."""
        with self._lock:
            self._reserved = until
            self._claimable.notify_all()

    def claim(self, check: Callable[[], object], reader: Reader) -> Subrange | None:
        """The next subrange to read; waits for space, or for another reader to fail. None when all has been read.

        Raises the transfer's failure, and what ``check`` raises.
        """
        with self._lock:
            while self._is_unread():
                self._raise_failure()
                if subrange := self._take(reader) or self._split_slow(reader) or self._split_last(reader):
                    return self._assign(subrange)
                self.reader_waited |= self._next_number is not None
                self._claimable.wait(WAIT_SECONDS)
                check()
            return None

    def try_claim(self, reader: Reader) -> Subrange | None:
        """Another subrange for a reader that is still busy, if there is one without waiting.

        None near the end, where nothing should wait for a busy reader.
        """
        with self._lock:
            subrange = None if self._next_number is None else self._take(reader)
            return subrange and self._assign(subrange)

    def is_unclaimed(self, position: int) -> bool:
        """Whether what starts at ``position`` can still be claimed."""
        with self._lock:
            starts_part = self._next_number is not None and self._layout.start(self._next_number) == position
            return starts_part or any(each.position == position for each in self._unclaimed)

    def wait_for_others(self, check: Callable[[], object], is_needed: Callable[[], bool]) -> bool:
        """Wait until the other readers have read everything (False), or the first ``is_needed`` again (True).

        Raises as ``claim`` does.
        """
        with self._lock:
            while self._is_unread():
                self._raise_failure()
                if is_needed():
                    return True
                self._claimable.wait(WAIT_SECONDS)
                check()
            return False

    def start_reading(self, subrange: Subrange) -> None:
        """See Subrange.start_reading."""
        with self._lock:
            subrange.start_reading()

    def next_view(self, subrange: Subrange, max_bytes: int) -> memoryview:
        """See Subrange.next_view; it cannot be split meanwhile."""
        with self._lock:
            return subrange.next_view(max_bytes)

    def give_back(self, subrange: Subrange) -> None:
        """Its reader has stopped; what is left of it can be claimed again."""
        with self._lock:
            self._claimed.remove(subrange)
            if subrange.left:
                self._unclaimed.append(subrange)
            else:
                self._finish(subrange)
            self._claimable.notify_all()

    def end_source(self, subrange: Subrange) -> None:
        """The source, of unknown length, ended in this subrange."""
        with self._lock:
            self._claimed.remove(subrange)
            self._unclaimed.clear()
            self._next_number = None
            part = subrange.part
            if subrange.position > part.start:
                self._pass_on(part)
            else:
                del self._open[part.sequence]
            self._notify_all()

    def take_full(self) -> PartBuffer | None:
        """The next part to upload; waits for one. None when no more will come."""
        with self._lock:
            while not self._failure:
                if self._full:
                    oldest = min(self._full, key=lambda part: part.sequence)  # the one that blocks the window
                    self._full.remove(oldest)
                    return oldest
                if self._is_uploaded():
                    return None
                self._uploadable.wait()
            return None

    def is_only_part(self, part: PartBuffer) -> bool:
        """Whether this part is the whole object."""
        with self._lock:
            return part.number == 1 and self._next_number is None and len(self._open) == 1

    def mark_stored(self, part: PartBuffer) -> None:
        """S3 has it: its memory is free."""
        with self._lock:
            del self._open[part.sequence]
            buffer = part.release_buffer()
            if len(self._free) + len(self._open) < self.window:
                self._free.append(buffer)
            self._claimable.notify_all()
            if self._is_uploaded():
                self._uploadable.notify_all()

    def fail(self, error: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or error
            self._notify_all()

    def close(self) -> None:
        """Release all memory; no thread may use the buffers any more."""
        self._free.clear()
        for part in self._open.values():
            part.release_buffer()

    def set_window(self, window: int) -> None:
        with self._lock:
            self.window = min(window, self._max_window)
            del self._free[max(0, self.window - len(self._open)) :]
            self._claimable.notify_all()

    def raise_failure(self) -> None:
        with self._lock:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def _notify_all(self) -> None:
        self._claimable.notify_all()
        self._uploadable.notify_all()

    def _is_uploaded(self) -> bool:
        """Whether S3 has everything."""
        return self._next_number is None and not self._open

    def _is_unread(self) -> bool:
        """Whether anything is still to be read, or being read."""
        return self._next_number is not None or bool(self._claimed or self._unclaimed)

    def _assign(self, subrange: Subrange) -> Subrange:
        subrange.start_reading()
        self._claimed.append(subrange)
        return subrange

    def _finish(self, subrange: Subrange) -> None:
        subrange.done = (
            True  # not by its length: two readers may finish the last two subranges at the same moment
        )
        if all(each.done for each in subrange.part.subranges):
            self._pass_on(subrange.part)

    def _split_slow(self, reader: Reader) -> Subrange | None:
        """The rest of a slow subrange, for a reader that would have to wait for it otherwise."""
        slow = slowest_subrange(self._claimed, reader.rate)
        return slow and slow.split()

    def _split_last(self, reader: Reader) -> Subrange | None:
        """Half of what takes longest, once all is claimed: so all readers end at about the same time."""
        if self._next_number is not None or self._unclaimed or reader.is_cold or not self._claimed:
            return None
        now = time.monotonic()
        last = max(self._claimed, key=lambda each: each.seconds_left(now))
        if last.seconds_left(now) < max(MIN_SPLIT_SECONDS, LATENCIES_TO_SPLIT * reader.latency):
            return None
        return last.split(kept=(last.end - last.view_end) // 2)

    def _take(self, reader: Reader) -> Subrange | None:
        while True:
            if found := self._choose(reader):
                self._unclaimed.remove(found)
                return found
            if not self._has_space():
                return None
            self._open_part()

    def _choose(self, reader: Reader) -> Subrange | None:
        lowest = 0 if reader.is_first else self._reserved
        available = [each for each in self._unclaimed if each.start >= lowest]
        adjacent = next((each for each in available if each.position == reader.position), None)
        if adjacent or not available:
            return adjacent
        # A new connection is slow at first, so it gets what is needed last.
        return (max if reader.is_cold else min)(available, key=lambda each: each.start)

    def _has_space(self) -> bool:
        oldest = min(self._open, default=self._started)
        return self._next_number is not None and self._started - oldest < self.window

    def _open_part(self) -> None:
        number, self._next_number = self._next_number or 0, next(self._missing, None)
        start, length = self._layout.start(number), self._layout.length(number)
        part = PartBuffer(number, self._started, start, self._allocate(length))
        self._started += 1
        self._open[part.sequence] = part
        step = -(-self._layout.part_bytes // SUBRANGES_PER_PART)
        for offset in range(0, length, step):
            part.subranges.append(Subrange(start + offset, min(step, length - offset), part))
        self._unclaimed += part.subranges

    def _allocate(self, length: int) -> bytearray:
        while self._free:
            buffer = self._free.pop()
            if len(buffer) == length:
                return buffer
        return bytearray(length)

    def _pass_on(self, part: PartBuffer) -> None:
        part.length = sum(each.filled for each in part.subranges)
        self._full.append(part)
        self._uploadable.notify()


def set_malloc_threshold() -> None:
    """Make glibc map each part's buffer separately, so that freeing it returns the memory to the system.

    By default glibc raises its threshold after the first one and keeps the rest in heaps, one for each thread: a worker
    grew from 110 to 220 MB in two transfers.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none and needs none
        if mallopt:
            mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)

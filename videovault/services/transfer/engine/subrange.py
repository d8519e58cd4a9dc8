"""A part in memory and its subranges: the bytes that one reader fetches, until another one takes over the rest."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from videovault.services.transfer.engine.types import combine_crc32, crc32

SLOW_SECONDS = 0.2  # before this, no subrange is split
SILENT_SECONDS = 1.0  # the same for a subrange of which nothing has arrived
SPLIT_GRACE_SECONDS = 0.5  # for a reader to finish its current read after a split
MIN_SPLIT_BYTES = 256 * 1024


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

    def split(self) -> "Subrange":
        """Its end, for another reader; the view being filled stays with the current one."""
        at = self.view_end
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

    def should_stop(self, now: float) -> bool:
        """Whether its reader must stop: the rest was split off, and the time to finish the current read is over."""
        return self.split_at is not None and (not self.left or now - self.split_at > SPLIT_GRACE_SECONDS)


def slowest_subrange(subranges: Iterable[Subrange], rate: float) -> Subrange | None:
    """The first subrange, in the source's order, that a reader of this rate should take over."""
    now = time.monotonic()
    slow = (each for each in subranges if each.is_slow(now, rate))
    return min(slow, key=lambda each: each.start, default=None)

"""Who reads what: slices of parts are handed out in order, each with its place in memory, and full parts go on.

Lanes claim slices, uploaders take full parts; at most ``window`` parts, counted from the oldest one that S3
does not have yet, are in memory. S3 may be slow to take them, so that is also what slows the reading down.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Condition

from videovault.services.transfer.engine.types import PartLayout, combine_crc32, crc32

# Parts on their way through memory, and the slices of them that lanes fill.

SLOW_SECONDS = 0.2  # no slice is taken from its lane before
SILENT_SECONDS = 1.0  # nor one of which nothing has come
SPLIT_GRACE_SECONDS = 0.5  # for a lane to finish what it was reading when the rest was taken from it
MIN_SPLIT_BYTES = 256 * 1024


@dataclass(eq=False)
class PartBuffer:
    """A part on its way through memory. ``turn`` counts the parts of this run, ``start`` is its first byte."""

    number: int
    turn: int
    start: int
    buffer: bytearray
    slices: list["Subrange"] = field(default_factory=list)
    length: int = 0

    @property
    def body(self) -> bytearray:
        return self.buffer if self.length == len(self.buffer) else self.buffer[: self.length]

    def give_up(self) -> bytearray:
        """Its memory, which others may use now; slices and tracebacks may still hold the part itself."""
        buffer, self.buffer = self.buffer, bytearray()
        return buffer

    @property
    def crc32(self) -> int:
        return combine_crc32((each.crc32, each.filled) for each in self.slices)


@dataclass(eq=False)
class Subrange:
    """Bytes ``start`` to ``start + length`` of the source, to be put into their place of a part.

    Cut before anything of it was read, it has no length, and shares its start with the rest.
    """

    start: int
    length: int
    part: PartBuffer
    filled: int = 0
    crc32: int = 0
    done: bool = False
    begun_at: float = 0.0
    begun_with: int = 0  # what earlier lanes had filled
    lent_until: int = field(init=False)
    cut_at: float | None = None

    def __post_init__(self) -> None:
        self.lent_until = self.position

    @property
    def position(self) -> int:
        return self.start + self.filled

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def left(self) -> int:
        return self.length - self.filled

    def begin(self) -> None:
        """A lane has claimed it, or begins to read what it claimed some time ago."""
        self.begun_at, self.begun_with = time.monotonic(), self.filled
        self.lent_until, self.cut_at = self.position, None

    def room(self, most: int) -> memoryview:
        """The place of the next bytes, at most ``most``; empty when there are no more to come."""
        at = self.position - self.part.start
        room = memoryview(self.part.buffer)[at : at + min(most, self.left)]
        self.lent_until = self.position + len(room)
        return room

    def took(self, view: memoryview) -> None:
        """``view``, the beginning of the room, has been filled."""
        self.crc32 = crc32(view, self.crc32)
        self.filled += len(view)

    def cut(self) -> "Subrange":
        """Its end, for another lane; what is being filled just now stays."""
        at = self.lent_until
        rest = Subrange(at, self.end - at, self.part)
        self.length, self.cut_at = at - self.start, time.monotonic()
        self.part.slices.insert(self.part.slices.index(self) + 1, rest)
        return rest

    def is_slow(self, now: float, rate: float) -> bool:
        """Whether a lane that reads ``rate`` bytes a second would be done with the rest in half the time."""
        since, got = now - self.begun_at, self.filled - self.begun_with
        if self.end - self.lent_until < MIN_SPLIT_BYTES or since < (SLOW_SECONDS if got else SILENT_SECONDS):
            return False
        return got / since < rate / 2

    def is_over(self, now: float) -> bool:
        """Whether its lane is to leave it: the rest was taken over, and it had time to finish what it was reading."""
        return self.cut_at is not None and (not self.left or now - self.cut_at > SPLIT_GRACE_SECONDS)


def slowest_subrange(slices: Iterable[Subrange], rate: float) -> Subrange | None:
    """The first slice in the source's order that a lane of this rate had better take over."""
    now = time.monotonic()
    return min(
        (each for each in slices if each.is_slow(now, rate)), key=lambda each: each.start, default=None
    )


SUBRANGES_PER_PART = (
    4  # of a part: several lanes fill one, so that eight of them need no more memory than two parts
)
WAIT_SECONDS = 0.25


@dataclass(frozen=True)
class Reader:
    """The lane that claims: ``position`` is where its stream goes on, ``is_cold`` that it will need a new connection.

    ``rate`` is what it read of late, in bytes per second.
    """

    is_first: bool
    position: int | None = None
    is_cold: bool = False
    rate: float = 0.0


class PartBuffers:
    """Shared by all threads of one transfer; the first failure ends it for all of them."""

    def __init__(self, plan: PartLayout, missing: Iterator[int], window: int, widest: int) -> None:
        """``widest`` is as far as S3 lets later parts come before an earlier one."""
        self.window = min(window, widest)
        self._widest = widest
        self.waited = False  # for room, since somebody last looked
        self._plan = plan
        self._missing = missing
        self._changed = Condition()
        self._turns = 0
        self._open: dict[int, PartBuffer] = {}
        self._free: list[bytearray] = []
        self._to_read: list[Subrange] = []
        self._reading: list[Subrange] = []
        self._full: list[PartBuffer] = []
        self._next = next(missing, None)
        self._failure: BaseException | None = None
        self._reserved = 0

    @property
    def max_reserved(self) -> int:
        """Bytes; so few that the others find enough beside them in the window."""
        return 2 * self._plan.part_bytes

    def reserve(self, until: int) -> None:
        """Leave what begins before ``until`` to the first lane, whose stream goes on there."""
        with self._changed:
            self._reserved = until
            self._changed.notify_all()

    def claim(self, check: Callable[[], object], lane: Reader) -> Subrange | None:
        """The next slice to read, waiting for room, or for another lane to fail; None when all has been read.

        Raises what the transfer failed with, and what ``check`` raises.
        """
        with self._changed:
            while self._is_unread():
                self._raise_failure()
                if piece := self._take(lane) or self._taken_over(lane):
                    return self._given(piece)
                self.waited |= self._next is not None
                self._changed.wait(WAIT_SECONDS)
                check()
            return None

    def claim_ahead(self, lane: Reader) -> Subrange | None:
        """Another slice for a lane that is still busy, if there is room for one now.

        None near the end, where nothing should wait for one that is busy.
        """
        with self._changed:
            piece = None if self._next is None else self._take(lane)
            return piece and self._given(piece)

    def goes_on(self, position: int) -> bool:
        """Whether what begins there is still to be claimed."""
        with self._changed:
            begins = self._next is not None and self._plan.start(self._next) == position
            return begins or any(each.position == position for each in self._to_read)

    def wait_for_others(self, check: Callable[[], object], needed: Callable[[], bool]) -> bool:
        """Until the other lanes have read everything (False), or the first is ``needed`` again (True).

        Raises as ``claim`` does.
        """
        with self._changed:
            while self._is_unread():
                self._raise_failure()
                if needed():
                    return True
                self._changed.wait(WAIT_SECONDS)
                check()
            return False

    def begin(self, piece: Subrange) -> None:
        """Its lane, which may have claimed it long ago, begins to read it."""
        with self._changed:
            piece.begin()

    def room(self, piece: Subrange, most: int) -> memoryview:
        """See Slice.room; nobody takes it over meanwhile."""
        with self._changed:
            return piece.room(most)

    def give_back(self, piece: Subrange) -> None:
        """Its lane reads no more of it; what is left of it is for somebody else."""
        with self._changed:
            self._reading.remove(piece)
            if piece.left:
                self._to_read.append(piece)
            else:
                self._filled(piece)
            self._changed.notify_all()

    def end_at(self, piece: Subrange) -> None:
        """The source, of unknown length, ended in this slice."""
        with self._changed:
            self._reading.remove(piece)
            self._to_read.clear()
            self._next = None
            part = piece.part
            if piece.position > part.start:
                self._pass_on(part)
            else:
                del self._open[part.turn]
            self._changed.notify_all()

    def take_full(self) -> PartBuffer | None:
        """The next part to send to S3, waiting for one; None when no more will come."""
        with self._changed:
            while not self._failure:
                if self._full:
                    oldest = min(self._full, key=lambda part: part.turn)  # it is what keeps room from others
                    self._full.remove(oldest)
                    return oldest
                if self._next is None and not self._open:
                    return None
                self._changed.wait()
            return None

    def is_alone(self, part: PartBuffer) -> bool:
        """Whether this part is all there is to send."""
        with self._changed:
            return part.number == 1 and self._next is None and len(self._open) == 1

    def stored(self, part: PartBuffer) -> None:
        """S3 has it: its place in memory is free."""
        with self._changed:
            del self._open[part.turn]
            buffer = part.give_up()
            if len(self._free) + len(self._open) < self.window:
                self._free.append(buffer)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of all memory, now that no thread uses the board."""
        self._free.clear()
        for part in self._open.values():
            part.give_up()

    def set_window(self, window: int) -> None:
        with self._changed:
            self.window = min(window, self._widest)
            del self._free[max(0, self.window - len(self._open)) :]
            self._changed.notify_all()

    def raise_failure(self) -> None:
        with self._changed:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def _is_unread(self) -> bool:
        """Whether anything is still to be read, or being read."""
        return self._next is not None or bool(self._reading or self._to_read)

    def _given(self, piece: Subrange) -> Subrange:
        piece.begin()
        self._reading.append(piece)
        return piece

    def _filled(self, piece: Subrange) -> None:
        piece.done = True  # not by its length: two lanes may fill the last two slices at the same moment
        if all(each.done for each in piece.part.slices):
            self._pass_on(piece.part)

    def _taken_over(self, lane: Reader) -> Subrange | None:
        """What a lane that has nothing to do had better read itself than wait for."""
        slow = slowest_subrange(self._reading, lane.rate)
        return slow and slow.cut()

    def _take(self, lane: Reader) -> Subrange | None:
        while True:
            if found := self._chosen(lane):
                self._to_read.remove(found)
                return found
            if not self._may_begin():
                return None
            self._begin()

    def _chosen(self, lane: Reader) -> Subrange | None:
        least = 0 if lane.is_first else self._reserved
        there = [each for each in self._to_read if each.start >= least]
        goes_on = next((each for each in there if each.position == lane.position), None)
        if goes_on or not there:
            return goes_on
        # A new connection is slow at first: what it reads should not be what all others wait for.
        return (max if lane.is_cold else min)(there, key=lambda each: each.start)

    def _may_begin(self) -> bool:
        oldest = min(self._open, default=self._turns)
        return self._next is not None and self._turns - oldest < self.window

    def _begin(self) -> None:
        number, self._next = self._next or 0, next(self._missing, None)
        start, length = self._plan.start(number), self._plan.length(number)
        part = PartBuffer(number, self._turns, start, self._buffer(length))
        self._turns += 1
        self._open[part.turn] = part
        step = -(-self._plan.part_bytes // SUBRANGES_PER_PART)
        for offset in range(0, length, step):
            part.slices.append(Subrange(start + offset, min(step, length - offset), part))
        self._to_read += part.slices

    def _buffer(self, length: int) -> bytearray:
        while self._free:
            buffer = self._free.pop()
            if len(buffer) == length:
                return buffer
        return bytearray(length)

    def _pass_on(self, part: PartBuffer) -> None:
        part.length = sum(each.filled for each in part.slices)
        self._full.append(part)


# Memory for parts, given back to the system when a transfer ends.

_M_MMAP_THRESHOLD = -3  # malloc.h
_MAPPED_BYTES = 4 * 1024 * 1024


def set_malloc_threshold() -> None:
    """Have glibc map every part's buffer by itself, so that freeing it gives the memory back.

    Left alone, it raises its limit after the first one and keeps the rest in heaps, one for each thread: a worker
    then grew from 110 to 220 MB in two transfers.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and needs none
        if mallopt:
            mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)

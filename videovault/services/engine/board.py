"""Who reads what: slices of parts are handed out in order, each with its place in memory, and full parts go on.

Lanes claim slices, uploaders take full parts; at most ``window`` parts, counted from the oldest one that S3
does not have yet, are in memory. S3 may be slow to take them, so that is also what slows the reading down.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Condition

from videovault.services.engine.checksum import combined, crc32
from videovault.services.engine.plan import Plan

SLICES = 4  # of a part: several lanes fill one, so that eight of them need no more memory than two parts
WAIT_SECONDS = 0.25


@dataclass(eq=False)
class Filling:
    """A part on its way through memory. ``turn`` counts the parts of this run, ``start`` is its first byte."""

    number: int
    turn: int
    start: int
    buffer: bytearray
    slices: list["Slice"] = field(default_factory=list)
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
        return combined((each.crc32, each.filled) for each in self.slices)


@dataclass(order=True)
class Slice:
    """Bytes ``start`` to ``start + length`` of the source, to be put into their place of a part."""

    start: int
    length: int = field(compare=False)
    part: Filling = field(compare=False)
    filled: int = field(default=0, compare=False)
    crc32: int = field(default=0, compare=False)
    done: bool = field(default=False, compare=False)

    @property
    def position(self) -> int:
        return self.start + self.filled

    @property
    def end(self) -> int:
        return self.start + self.length

    def room(self, most: int) -> memoryview:
        """The place of the next bytes, at most ``most``."""
        at = self.position - self.part.start
        return memoryview(self.part.buffer)[at : at + min(most, self.length - self.filled)]

    def took(self, view: memoryview) -> None:
        """``view``, the beginning of the room, has been filled."""
        self.crc32 = crc32(view, self.crc32)
        self.filled += len(view)


class Board:
    """Shared by all threads of one transfer; the first failure ends it for all of them."""

    def __init__(self, plan: Plan, missing: Iterator[int], window: int) -> None:
        self.window = window
        self.waited = False  # for room, since somebody last looked
        self._plan = plan
        self._missing = missing
        self._changed = Condition()
        self._turns = 0
        self._open: dict[int, Filling] = {}
        self._free: list[bytearray] = []
        self._to_read: list[Slice] = []
        self._reading = 0
        self._full: deque[Filling] = deque()
        self._next = next(missing, None)
        self._failure: BaseException | None = None
        self._reserved = 0

    @property
    def most_reserved(self) -> int:
        """Bytes; so few that the others find enough beside them in the window."""
        return 2 * self._plan.part_bytes

    def reserve(self, until: int) -> None:
        """Leave what begins before ``until`` to the first lane, whose stream goes on there."""
        with self._changed:
            self._reserved = until

    def claim(self, check: Callable[[], object], *, first: bool) -> Slice | None:
        """The next slice to read, waiting for room; None when there is none, but the first lane waits for the rest.

        Raises what the transfer failed with, and what ``check`` raises.
        """
        with self._changed:
            while True:
                self._raise_failure()
                if piece := self._take(first=first):
                    self._reading += 1
                    return piece
                if self._next is None and not (first and (self._reading or self._to_read)):
                    return None
                self.waited = True
                self._changed.wait(WAIT_SECONDS)
                check()

    def filled(self, piece: Slice) -> None:
        with self._changed:
            self._reading -= 1
            piece.done = True  # not by its length: two lanes may fill the last two slices at the same moment
            if all(each.done for each in piece.part.slices):
                self._pass_on(piece.part)
            self._changed.notify_all()

    def give_back(self, piece: Slice) -> None:
        """It was not finished; somebody else may go on where it ends."""
        with self._changed:
            self._reading -= 1
            self._to_read.append(piece)
            self._changed.notify_all()

    def end_at(self, piece: Slice) -> None:
        """The source, of unknown length, ended in this slice."""
        with self._changed:
            self._reading -= 1
            self._to_read.clear()
            self._next = None
            part = piece.part
            if piece.position > part.start:
                self._pass_on(part)
            else:
                del self._open[part.turn]
            self._changed.notify_all()

    def take_full(self) -> Filling | None:
        """The next part to send to S3, waiting for one; None when no more will come."""
        with self._changed:
            while not self._failure:
                if self._full:
                    return self._full.popleft()
                if self._next is None and not self._open:
                    return None
                self._changed.wait()
            return None

    def is_alone(self, part: Filling) -> bool:
        """Whether this part is all there is to send."""
        with self._changed:
            return part.number == 1 and self._next is None and len(self._open) == 1

    def stored(self, part: Filling) -> None:
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
            self.window = window
            self._changed.notify_all()

    def raise_failure(self) -> None:
        with self._changed:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def _take(self, *, first: bool) -> Slice | None:
        least = 0 if first else self._reserved
        while True:
            found = min((each for each in self._to_read if each.start >= least), default=None)
            if found:
                self._to_read.remove(found)
                return found
            if not self._may_begin():
                return None
            self._begin()

    def _may_begin(self) -> bool:
        oldest = min(self._open, default=self._turns)
        return self._next is not None and self._turns - oldest < self.window

    def _begin(self) -> None:
        number, self._next = self._next or 0, next(self._missing, None)
        start, length = self._plan.start(number), self._plan.length(number)
        part = Filling(number, self._turns, start, self._buffer(length))
        self._turns += 1
        self._open[part.turn] = part
        step = -(-self._plan.part_bytes // SLICES)
        for offset in range(0, length, step):
            part.slices.append(Slice(start + offset, min(step, length - offset), part))
        self._to_read += part.slices

    def _buffer(self, length: int) -> bytearray:
        while self._free:
            buffer = self._free.pop()
            if len(buffer) == length:
                return buffer
        return bytearray(length)

    def _pass_on(self, part: Filling) -> None:
        part.length = sum(each.filled for each in part.slices)
        self._full.append(part)

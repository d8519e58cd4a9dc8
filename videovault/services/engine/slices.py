"""Parts on their way through memory, and the slices of them that lanes fill."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from videovault.services.engine.checksum import combined, crc32

SLOW_SECONDS = 0.2  # no slice is taken from its lane before
SILENT_SECONDS = 1.0  # nor one of which nothing has come
LEAST_TAKEN = 256 * 1024


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
    claimed_at: float = field(default=0.0, compare=False)
    lent_until: int = field(default=0, compare=False)
    was_cut: bool = field(default=False, compare=False)

    @property
    def position(self) -> int:
        return self.start + self.filled

    @property
    def end(self) -> int:
        return self.start + self.length

    def room(self, most: int) -> memoryview:
        """The place of the next bytes, at most ``most``; empty when there are no more to come."""
        at = self.position - self.part.start
        room = memoryview(self.part.buffer)[at : at + min(most, self.length - self.filled)]
        self.lent_until = self.position + len(room)
        return room

    def took(self, view: memoryview) -> None:
        """``view``, the beginning of the room, has been filled."""
        self.crc32 = crc32(view, self.crc32)
        self.filled += len(view)

    def cut(self) -> "Slice":
        """Its end, for another lane; what is being filled just now stays."""
        at = max(self.lent_until, self.position)
        rest = Slice(at, self.end - at, self.part)
        self.length, self.was_cut = at - self.start, True
        self.part.slices.insert(self.part.slices.index(self) + 1, rest)
        return rest

    def is_slow(self, now: float, rate: float) -> bool:
        """Whether a lane that reads ``rate`` bytes a second would be done with the rest in half the time."""
        since, left = now - self.claimed_at, self.end - max(self.lent_until, self.position)
        if left < LEAST_TAKEN or since < (SLOW_SECONDS if self.filled else SILENT_SECONDS):
            return False
        return self.filled / since < rate / 2


def slowest(slices: Iterable[Slice], rate: float) -> Slice | None:
    """The first slice in the source's order that a lane of this rate had better take over."""
    now = time.monotonic()
    return min((each for each in slices if each.is_slow(now, rate)), default=None)

"""Parts on their way through memory, and the slices of them that lanes fill."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from videovault.services.engine.checksum import combined, crc32

SLOW_SECONDS = 0.2  # no slice is taken from its lane before
SILENT_SECONDS = 1.0  # nor one of which nothing has come
LAST_SECONDS = 0.5  # for a lane to finish what it was reading when the rest was taken from it
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


@dataclass(eq=False)
class Slice:
    """Bytes ``start`` to ``start + length`` of the source, to be put into their place of a part.

    Cut before anything of it was read, it has no length, and shares its start with the rest.
    """

    start: int
    length: int
    part: Filling
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

    def cut(self) -> "Slice":
        """Its end, for another lane; what is being filled just now stays."""
        at = self.lent_until
        rest = Slice(at, self.end - at, self.part)
        self.length, self.cut_at = at - self.start, time.monotonic()
        self.part.slices.insert(self.part.slices.index(self) + 1, rest)
        return rest

    def is_slow(self, now: float, rate: float) -> bool:
        """Whether a lane that reads ``rate`` bytes a second would be done with the rest in half the time."""
        since, got = now - self.begun_at, self.filled - self.begun_with
        if self.end - self.lent_until < LEAST_TAKEN or since < (SLOW_SECONDS if got else SILENT_SECONDS):
            return False
        return got / since < rate / 2

    def is_over(self, now: float) -> bool:
        """Whether its lane is to leave it: the rest was taken over, and it had time to finish what it was reading."""
        return self.cut_at is not None and (not self.left or now - self.cut_at > LAST_SECONDS)


def slowest(slices: Iterable[Slice], rate: float) -> Slice | None:
    """The first slice in the source's order that a lane of this rate had better take over."""
    now = time.monotonic()
    return min(
        (each for each in slices if each.is_slow(now, rate)), key=lambda each: each.start, default=None
    )

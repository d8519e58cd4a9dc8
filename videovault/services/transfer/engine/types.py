"""CRC-32 of bytes as they come, and of a whole from its parts. ISA-L takes a seventh of zlib's time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, Self

from isal import isal_zlib

from videovault.errors import UpstreamError
from videovault.gateways.s3_retry import VISIBLE_SECONDS
from videovault.gateways.source import Container, SourceInfo
from videovault.gateways.storage import Part

Buffer = bytes | bytearray | memoryview


def crc32(data: Buffer, before: int = 0) -> int:
    """The sum of ``data`` after bytes whose sum is ``before``."""
    return isal_zlib.crc32(data, before)


def combine_crc32(sums: Iterable[tuple[int, int]]) -> int:
    """The sum of a whole from the (sum, length in bytes) of its parts in order."""
    whole = 0
    for each, length in sums:
        whole = isal_zlib.crc32_combine(whole, each, length)
    return whole


# What the engine is given and gives back; it knows nothing of videos or of the database.


@dataclass(frozen=True)
class StoredPart:
    """A part that S3 has taken; ``size`` in bytes."""

    number: int
    size: int
    etag: str
    crc32: int


@dataclass(frozen=True)
class SourceFingerprint:
    """What a source must still be for its bytes to fit to those fetched before; ``total`` in bytes."""

    total: int | None
    validator: str | None
    last_modified: str | None

    @classmethod
    def of(cls, info: SourceInfo) -> Self:
        return cls(info.total, info.validator, info.last_modified)

    @property
    def resumable(self) -> bool:
        return self.total is not None and bool(self.validator or self.last_modified)

    def fits(self, info: SourceInfo) -> bool:
        """Whether the answer gives further bytes of the same source."""
        now = SourceFingerprint.of(info)
        same = now.validator == self.validator if self.validator else now.last_modified == self.last_modified
        return info.partial and now.total == self.total and same


@dataclass(frozen=True)
class MultipartUpload:
    """An unfinished multipart upload, as the ledger remembers it."""

    upload_id: str
    source: SourceFingerprint
    part_bytes: int
    container: Container
    parts: tuple[StoredPart, ...] = ()

    @classmethod
    def from_dict(cls, upload_id: str, facts: Mapping[str, Any], parts: tuple[StoredPart, ...]) -> Self:
        """As ``facts`` told; raises KeyError when they are incomplete."""
        source = SourceFingerprint(facts["total"], facts["validator"], facts["last_modified"])
        return cls(upload_id, source, facts["part_bytes"], facts["container"], parts)

    def facts(self) -> dict[str, Any]:
        """All but the upload's id and its parts, for JSON."""
        return {**asdict(self.source), "part_bytes": self.part_bytes, "container": self.container}

    def keeping(self, listed: list[Part]) -> "MultipartUpload":
        """With only those parts that S3 lists as well."""
        there = {(part.number, part.size, part.etag) for part in listed}
        kept = tuple(part for part in self.parts if (part.number, part.size, part.etag) in there)
        return replace(self, parts=kept)


@dataclass(frozen=True)
class StoredObject:
    """What lies in S3 now, proven; ``size`` in bytes, ``fetched`` how many of them this run read.

    ``name`` is what the source calls the file; empty where it does not say.
    """

    size: int
    crc32: int
    etag: str
    container: Container
    fetched: int
    name: str = ""


class UploadJournal(Protocol):
    """Remembers an upload so that it can be resumed; ``add`` is called from several threads."""

    def load(self) -> MultipartUpload | None: ...

    def begin(self, begun: MultipartUpload) -> None:
        """A new upload, whose parts are to follow; what was known before is forgotten."""

    def add(self, part: StoredPart) -> None: ...

    def clear(self) -> None:
        """There is no upload any more."""


class TransferControl(Protocol):
    """Hears how far the transfer is and says when it is to stop, from any thread and several times a second."""

    def check(self) -> None:
        """Raises whatever is to end the transfer; its upload is then kept for resuming."""

    def begin(self, bytes_total: int | None) -> None:
        """The source's length is known, or known to be unknown, and nothing has been sent yet. Raises to refuse it."""

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """May raise as ``begin`` does, once there is no room for what follows."""


@dataclass(frozen=True)
class Target:
    """Where to, and what S3 is told about it; ``disposition`` is made from the container's name."""

    key: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    disposition: Callable[[Container], str] = lambda _container: ""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try again. Seconds.

    ``tries`` counts failures of the source within 256 KiB that it gave; ``afresh`` is how often a
    transfer may begin; ``storage_seconds`` is how long S3 may be away, ``visible_seconds`` how long it may take to
    show what it has stored.
    """

    tries: int = 6
    afresh: int = 4
    first_pause: float = 0.5
    max_pause: float = 10.0
    max_retry_after: float = 300.0
    storage_seconds: float = 90.0
    visible_seconds: float = VISIBLE_SECONDS


class RestartTransfer(Exception):
    """What was fetched so far is of no use: begin again. ``cause`` is the error if there is no more trying."""

    def __init__(self, cause: UpstreamError, *, ranges: bool = True) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.ranges = ranges


def crc32_of_parts(parts: list[StoredPart]) -> int:
    return combine_crc32((part.crc32, part.size) for part in sorted(parts, key=lambda part: part.number))


# How an object is cut into the parts of a multipart upload: never more than S3 allows, and small in memory.

MIB = 1024**2
PART_BYTES = (
    9 * MIB
)  # 8 costs a fifth more CPU time (buffers of a power of two share cache lines), 16 saves 4 % and costs 22 MB
FAR_PART_BYTES = 10 * MIB  # where every part costs a long round trip
MAX_PARTS = 10_000  # S3's limit
PARTS_PER_DOUBLING = 1_000


@dataclass(frozen=True)
class PartLayout:
    """Parts count from 1; sizes in bytes. Without a ``total`` they double every 1,000 parts: room for 9 TiB."""

    total: int | None
    part_bytes: int = PART_BYTES

    @classmethod
    def for_total(cls, total: int | None, *, far: bool = False) -> "PartLayout":
        """Parts of 9 MiB (10 from ``far`` away), or of as many whole MiB as it takes to stay within 10,000 parts."""
        needed = -(-(total or 0) // MAX_PARTS)
        return cls(total, max(FAR_PART_BYTES if far else PART_BYTES, -(-needed // MIB) * MIB))

    def start(self, number: int) -> int:
        """The offset of the part's first byte."""
        if self.total is not None:
            return (number - 1) * self.part_bytes
        doublings, rest = divmod(number - 1, PARTS_PER_DOUBLING)
        factor = 1 << doublings
        return self.part_bytes * (PARTS_PER_DOUBLING * (factor - 1) + rest * factor)

    def length(self, number: int) -> int:
        """The part's size; of an unknown total the last one may turn out shorter."""
        full = self.start(number + 1) - self.start(number)
        return full if self.total is None else min(full, self.total - self.start(number))

    def numbers(self) -> Iterator[int]:
        """All parts in order; without a total, as many as S3 takes."""
        count = MAX_PARTS if self.total is None else -(-self.total // self.part_bytes)
        return iter(range(1, count + 1))

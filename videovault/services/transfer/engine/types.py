"""The engine's types: what a transfer is given and returns, the layout of its parts, and CRC-32 sums."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, Self

from isal import isal_zlib  # takes a seventh of zlib's time

from videovault.errors import UpstreamError
from videovault.gateways.s3_client import VISIBLE_SECONDS
from videovault.gateways.source import Container, SourceInfo
from videovault.gateways.storage import Part

Buffer = bytes | bytearray | memoryview
MIB = 1024**2
# 8 costs a fifth more CPU time (buffers of a power of two share cache lines), 16 saves 4 % and costs 22 MB.
PART_BYTES = 9 * MIB
FAR_PART_BYTES = 10 * MIB  # where each part costs a long round trip
MAX_PARTS = 10_000  # S3's limit
PARTS_PER_DOUBLING = 1_000


@dataclass(frozen=True)
class Target:
    """The object's key and what S3 stores with it; ``disposition`` takes the container."""

    key: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    disposition: Callable[[Container], str] = lambda _container: ""


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to retry. Seconds.

    ``max_failures`` counts failures of the source without 256 KiB of progress; ``max_starts`` is how often a transfer
    may start; ``storage_seconds`` is how long S3 may be unavailable, ``visible_seconds`` how long it may take to
    show what it has stored.
    """

    max_failures: int = 6
    max_starts: int = 4
    first_pause: float = 0.5
    max_pause: float = 10.0
    max_retry_after: float = 300.0
    storage_seconds: float = 90.0
    visible_seconds: float = VISIBLE_SECONDS


@dataclass(frozen=True)
class StoredPart:
    """A part that S3 has accepted; ``size`` in bytes."""

    number: int
    size: int
    etag: str
    crc32: int


@dataclass(frozen=True)
class SourceFingerprint:
    """What a source must still have for its bytes to belong to those fetched before; ``total`` in bytes."""

    total: int | None
    validator: str | None
    last_modified: str | None

    @classmethod
    def of(cls, info: SourceInfo) -> Self:
        return cls(info.total, info.validator, info.last_modified)

    @property
    def resumable(self) -> bool:
        return self.total is not None and bool(self.validator or self.last_modified)

    def matches(self, info: SourceInfo) -> bool:
        """Whether the response brings further bytes of the same source."""
        now = SourceFingerprint.of(info)
        same = now.validator == self.validator if self.validator else now.last_modified == self.last_modified
        return info.partial and now.total == self.total and same


@dataclass(frozen=True)
class MultipartUpload:
    """An unfinished multipart upload, as the journal records it. ``upload_id`` is empty before its first part."""

    upload_id: str
    source: SourceFingerprint
    part_bytes: int
    container: Container
    parts: tuple[StoredPart, ...] = ()

    @classmethod
    def from_dict(cls, upload_id: str, fields: Mapping[str, Any], parts: tuple[StoredPart, ...]) -> Self:
        """From the result of ``to_dict``; raises KeyError when it is incomplete."""
        source = SourceFingerprint(fields["total"], fields["validator"], fields["last_modified"])
        return cls(upload_id, source, fields["part_bytes"], fields["container"], parts)

    def to_dict(self) -> dict[str, Any]:
        """All but the upload's id and its parts, for JSON."""
        return {**asdict(self.source), "part_bytes": self.part_bytes, "container": self.container}

    def with_confirmed_parts(self, listed: list[Part]) -> "MultipartUpload":
        """Without the parts that S3 does not list."""
        confirmed = {(part.number, part.size, part.etag) for part in listed}
        kept = tuple(part for part in self.parts if (part.number, part.size, part.etag) in confirmed)
        return replace(self, parts=kept)


@dataclass(frozen=True)
class StoredObject:
    """The proven object in S3; ``size`` in bytes, ``fetched`` how many of them this run read.

    ``name`` is the source's name of the file; empty where it does not give one.
    """

    size: int
    crc32: int
    etag: str
    container: Container
    fetched: int
    name: str = ""


class UploadJournal(Protocol):
    """Records an upload so that it can be resumed; ``add`` is called from several threads."""

    def load(self) -> MultipartUpload | None: ...

    def begin(self, upload: MultipartUpload) -> None:
        """Record a new upload in place of the former one."""

    def add(self, part: StoredPart) -> None: ...

    def clear(self) -> None:
        """There is no upload any more."""


class TransferControl(Protocol):
    """Receives the progress and can end the transfer; called from any thread, several times a second."""

    def check(self) -> None:
        """Raises to end the transfer; its upload is then kept for resuming."""

    def begin(self, bytes_total: int | None) -> None:
        """The source's length is known, or known to be unknown; nothing has been sent yet. Raises to refuse it."""

    def progress(self, bytes_done: int, bytes_total: int | None) -> None:
        """May raise as ``begin`` does when there is no space for more."""


class RestartTransfer(Exception):
    """What was fetched so far is useless: start again. ``cause`` is the error if there are no attempts left."""

    def __init__(self, cause: UpstreamError, *, ranges: bool = True) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.ranges = ranges


@dataclass(frozen=True)
class PartLayout:
    """How an object is divided into parts, numbered from 1; sizes in bytes.

    Without a ``total`` the part size doubles every 1,000 parts: enough for 9 TiB within S3's limit.
    """

    total: int | None
    part_bytes: int = PART_BYTES

    @classmethod
    def for_total(cls, total: int | None, *, far: bool = False) -> "PartLayout":
        """Parts of 9 MiB (10 for a ``far`` source), or of as many whole MiB as 10,000 parts need."""
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
        """The part's size; of an unknown total the last part may be shorter."""
        full = self.start(number + 1) - self.start(number)
        return full if self.total is None else min(full, self.total - self.start(number))

    def numbers(self) -> Iterator[int]:
        """All parts in order; without a total, as many as S3 accepts."""
        count = MAX_PARTS if self.total is None else -(-self.total // self.part_bytes)
        return iter(range(1, count + 1))


def crc32(data: Buffer, before: int = 0) -> int:
    """The CRC-32 of ``data`` after bytes whose CRC-32 is ``before``."""
    return isal_zlib.crc32(data, before)


def combine_crc32(sums: Iterable[tuple[int, int]]) -> int:
    """The CRC-32 of a whole from the (CRC-32, length in bytes) of its parts in order."""
    whole = 0
    for each, length in sums:
        whole = isal_zlib.crc32_combine(whole, each, length)
    return whole


def crc32_of_parts(parts: list[StoredPart]) -> int:
    return combine_crc32((part.crc32, part.size) for part in sorted(parts, key=lambda part: part.number))

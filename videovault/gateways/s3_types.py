"""Types for objects, uploads and versions in S3."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Description:
    """An object's headers and metadata; an empty ``disposition`` is not sent."""

    content_type: str
    disposition: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ObjectInfo:
    """An object in S3; names in ``metadata`` are lower case.

    ``crc32`` is that of the whole object, None if the store does not provide it.
    """

    size: int
    etag: str
    metadata: Mapping[str, str]
    crc32: int | None = None
    content_type: str = ""
    disposition: str = ""

    @property
    def described(self) -> Description:
        return Description(self.content_type, self.disposition, self.metadata)


@dataclass(frozen=True)
class Part:
    """A part that S3 has received."""

    number: int
    size: int
    etag: str


class SentPart(Protocol):
    """A part as its sender knows it."""

    @property
    def number(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def crc32(self) -> int: ...


@dataclass(frozen=True)
class Upload:
    """An unfinished multipart upload."""

    key: str
    upload_id: str
    begun_at: datetime


@dataclass(frozen=True)
class Listed:
    """An object as listed."""

    key: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True)
class Version:
    """A version of an object in a versioned bucket, or a delete marker, which has no bytes."""

    key: str
    version_id: str
    size: int
    modified_at: datetime
    is_current: bool
    is_marker: bool


@dataclass(frozen=True)
class KeptVersions:
    """Versions that could not be deleted; ``count`` is 0 if they could not be listed. ``why`` is for admins."""

    count: int
    why: str

    def __str__(self) -> str:
        what = f"{self.count:,} earlier versions" if self.count > 1 else "An earlier version"
        verb, them = ("stays", "it") if self.count == 1 else ("stay", "them")
        locked = any(word in self.why.lower() for word in ("object lock", "retention", "legal hold", "worm"))
        why = f"the bucket locks {them} for a time" if locked else f"S3 does not let VideoVault delete {them}"
        return (
            f"{what if self.count else 'Earlier versions'} of the deleted files {verb} in the bucket: {why}."
        )

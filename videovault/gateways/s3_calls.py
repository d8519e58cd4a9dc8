"""The S3 calls on one bucket with their types, and the permanent deletion of versions.

In a versioned bucket DeleteObject only adds a delete marker.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol, cast

from videovault.errors import StorageError
from videovault.gateways.s3_client import ObjectMissing
from videovault.gateways.store_capabilities import Checksum

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        GetObjectOutputTypeDef,
        HeadObjectOutputTypeDef,
        PutObjectOutputTypeDef,
    )

Body = bytes | bytearray
CallStore = Callable[[Callable[[], Any]], Any]


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


class S3Calls:
    """Raises boto3's errors. ``extra`` are arguments of each new object: encryption and storage class."""

    def __init__(self, client: "S3Client", bucket: str, extra: Mapping[str, str]) -> None:
        self._s3 = client
        self._bucket = bucket
        self._extra = extra

    def put(
        self, key: str, body: Body, described: Description, crc32: int, checksum: Checksum
    ) -> "PutObjectOutputTypeDef":
        arguments = self._object_arguments(described) | _checksum_arguments(body, crc32, checksum)
        return self._s3.put_object(Bucket=self._bucket, Key=key, Body=cast("bytes", body), **arguments)

    def create(self, key: str, described: Description, checksum: Checksum) -> str:
        """Start a multipart upload; returns its id."""
        arguments = self._object_arguments(described)
        if checksum is Checksum.CRC32:
            arguments |= {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
        return self._s3.create_multipart_upload(Bucket=self._bucket, Key=key, **arguments)["UploadId"]

    def part(self, key: str, upload_id: str, number: int, body: Body, crc32: int, checksum: Checksum) -> str:
        """Upload a part; returns its ETag."""
        arguments: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
        }
        sent = self._s3.upload_part(
            **arguments, Body=cast("bytes", body), **_checksum_arguments(body, crc32, checksum)
        )
        return sent["ETag"]

    def complete(
        self, key: str, upload_id: str, parts: Sequence[SentPart], crc32: int, checksum: Checksum
    ) -> None:
        listed: list[CompletedPartTypeDef] = []
        object_checksum: dict[str, Any] = {}
        for part in parts:
            listed.append({"PartNumber": part.number, "ETag": part.etag})
            if checksum is Checksum.CRC32:
                listed[-1]["ChecksumCRC32"] = as_base64(part.crc32)
        if checksum is Checksum.CRC32:
            object_checksum = {"ChecksumCRC32": as_base64(crc32), "ChecksumType": "FULL_OBJECT"}
        self._s3.complete_multipart_upload(
            Bucket=self._bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": listed},
            **object_checksum,
        )

    def abort(self, key: str, upload_id: str) -> None:
        self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def head(self, key: str, checksum: Checksum) -> "HeadObjectOutputTypeDef":
        return self._s3.head_object(Bucket=self._bucket, Key=key, **_checksum_mode(checksum))

    def get(self, key: str, checksum: Checksum) -> "GetObjectOutputTypeDef":
        return self._s3.get_object(Bucket=self._bucket, Key=key, **_checksum_mode(checksum))

    def copy(self, key: str, described: Description, checksum: Checksum) -> None:
        """Copy an object onto itself with a new description."""
        arguments = self._object_arguments(described) | {"MetadataDirective": "REPLACE"}
        if checksum is Checksum.CRC32:
            arguments["ChecksumAlgorithm"] = "CRC32"
        self._s3.copy_object(
            Bucket=self._bucket, Key=key, CopySource={"Bucket": self._bucket, "Key": key}, **arguments
        )

    def delete(self, key: str) -> bool:
        """Returns whether the bucket keeps a version or a delete marker."""
        answer = self._s3.delete_object(Bucket=self._bucket, Key=key)
        return bool(answer.get("DeleteMarker") or answer.get("VersionId"))

    def delete_version(self, key: str, version_id: str) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=key, VersionId=version_id)

    def versions(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of the versions and delete markers under ``Prefix``."""
        return self._s3.list_object_versions(Bucket=self._bucket, **arguments)

    def uploads(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of the unfinished uploads under ``Prefix``."""
        return self._s3.list_multipart_uploads(Bucket=self._bucket, **arguments)

    def objects(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of the objects under ``Prefix``."""
        return self._s3.list_objects_v2(Bucket=self._bucket, **arguments)

    def parts(self, **arguments: Any) -> Mapping[str, Any]:
        """A page of an upload's parts."""
        return self._s3.list_parts(Bucket=self._bucket, **arguments)

    def versioning(self) -> str:
        """``Enabled``, ``Suspended``, or nothing for a bucket that has never kept versions."""
        return self._s3.get_bucket_versioning(Bucket=self._bucket).get("Status", "")

    def _object_arguments(self, described: Description) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "ContentType": described.content_type,
            "Metadata": dict(described.metadata),
        }
        if described.disposition:
            arguments["ContentDisposition"] = described.disposition
        return arguments | dict(self._extra)


def list_versions(calls: S3Calls, call: CallStore, prefix: str) -> Iterator[Version]:
    """Versions and delete markers under ``prefix`` by key, one page in memory. Raises StorageError."""
    where: dict[str, Any] = {"Prefix": prefix}
    while True:
        page = call(partial(calls.versions, **where))
        found = [_version(each, is_marker=False) for each in page.get("Versions", [])]
        found += [_version(each, is_marker=True) for each in page.get("DeleteMarkers", [])]
        yield from sorted(found, key=lambda each: each.key.encode())
        if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
            return
        where = {"Prefix": prefix, "KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            where["VersionIdMarker"] = page["NextVersionIdMarker"]


def delete_versions(
    calls: S3Calls, call: CallStore, prefix: str, key: str | None = None
) -> KeptVersions | None:
    """Delete every version under ``prefix``, or of ``key`` only. Returns the versions that remain, or None.

    Delete markers come last, and only once no version of their key is left: without its marker an object would
    reappear. Raises StorageError when the store is unavailable.
    """
    kept, why = 0, ""
    try:
        versions = [each for each in list_versions(calls, call, prefix) if key in (None, each.key)]
    except StorageError as error:
        if error.retryable:
            raise
        return KeptVersions(0, reason_of(error))
    for _, of_key in groupby(sorted(versions, key=lambda each: (each.key, each.is_marker)), lambda v: v.key):
        remaining = 0
        for each in of_key:
            if each.is_marker and remaining:
                continue
            refused = _delete_one(calls, call, each)
            remaining += bool(refused) and not each.is_marker
            why = why or refused
        kept += remaining
    return KeptVersions(kept, why) if why else None


def reason_of(error: StorageError) -> str:
    """For admins: the store's own message, if any."""
    return str(error.answer or error.public_message)


def as_base64(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def _checksum_arguments(body: Body, crc32: int, checksum: Checksum) -> dict[str, Any]:
    """MD5 is slower than CRC-32, but every store supports it."""
    if checksum is Checksum.CRC32:
        return {"ChecksumCRC32": as_base64(crc32)}
    if checksum is Checksum.MD5:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        return {"ContentMD5": base64.b64encode(digest).decode()}
    return {}


def _checksum_mode(checksum: Checksum) -> dict[str, Any]:
    return {"ChecksumMode": "ENABLED"} if checksum is Checksum.CRC32 else {}


def _delete_one(calls: S3Calls, call: CallStore, version: Version) -> str:
    try:
        call(lambda: calls.delete_version(version.key, version.version_id))
    except ObjectMissing:
        return ""
    except StorageError as error:
        if error.retryable:
            raise
        return reason_of(error)
    return ""


def _version(listed: Any, *, is_marker: bool) -> Version:
    return Version(
        listed["Key"],
        listed.get("VersionId", "null"),
        listed.get("Size", 0),
        listed["LastModified"],
        is_current=bool(listed.get("IsLatest")),
        is_marker=is_marker,
    )

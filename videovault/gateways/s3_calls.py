"""The boto3 calls on one bucket, each with the requested kind of checksum."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from videovault.gateways.s3_types import Description, SentPart
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

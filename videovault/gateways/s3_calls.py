"""boto3's calls on one bucket, each with the kind of checksum that it is told to carry."""

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
    """Raises boto3's errors. ``extra`` are arguments for each new object: encryption and storage class."""

    def __init__(self, client: "S3Client", bucket: str, extra: Mapping[str, str]) -> None:
        self._s3 = client
        self._bucket = bucket
        self._extra = extra

    def put(
        self, key: str, body: Body, described: Description, crc32: int, sums: Checksum
    ) -> "PutObjectOutputTypeDef":
        told = self._as_told(described) | _body_sums(body, crc32, sums)
        return self._s3.put_object(Bucket=self._bucket, Key=key, Body=cast("bytes", body), **told)

    def create(self, key: str, described: Description, sums: Checksum) -> str:
        """Begin a multipart upload; its id."""
        told = self._as_told(described)
        if sums is Checksum.CRC32:
            told |= {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
        return self._s3.create_multipart_upload(Bucket=self._bucket, Key=key, **told)["UploadId"]

    def part(self, key: str, upload_id: str, number: int, body: Body, crc32: int, sums: Checksum) -> str:
        """Send a part; its ETag."""
        where: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
        }
        sent = self._s3.upload_part(**where, Body=cast("bytes", body), **_body_sums(body, crc32, sums))
        return sent["ETag"]

    def complete(
        self, key: str, upload_id: str, parts: Sequence[SentPart], crc32: int, sums: Checksum
    ) -> None:
        listed: list[CompletedPartTypeDef] = []
        whole: dict[str, Any] = {}
        for part in parts:
            listed.append({"PartNumber": part.number, "ETag": part.etag})
            if sums is Checksum.CRC32:
                listed[-1]["ChecksumCRC32"] = as_base64(part.crc32)
        if sums is Checksum.CRC32:
            whole = {"ChecksumCRC32": as_base64(crc32), "ChecksumType": "FULL_OBJECT"}
        self._s3.complete_multipart_upload(
            Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}, **whole
        )

    def abort(self, key: str, upload_id: str) -> None:
        self._s3.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def head(self, key: str, sums: Checksum) -> "HeadObjectOutputTypeDef":
        return self._s3.head_object(Bucket=self._bucket, Key=key, **_mode(sums))

    def get(self, key: str, sums: Checksum) -> "GetObjectOutputTypeDef":
        return self._s3.get_object(Bucket=self._bucket, Key=key, **_mode(sums))

    def copy(self, key: str, described: Description, sums: Checksum) -> None:
        """Copy an object onto itself with another description."""
        told = self._as_told(described) | {"MetadataDirective": "REPLACE"}
        if sums is Checksum.CRC32:
            told["ChecksumAlgorithm"] = "CRC32"
        self._s3.copy_object(
            Bucket=self._bucket, Key=key, CopySource={"Bucket": self._bucket, "Key": key}, **told
        )

    def delete(self, key: str) -> bool:
        """Whether the bucket keeps the object, or a mark of its deletion, as a version."""
        answer = self._s3.delete_object(Bucket=self._bucket, Key=key)
        return bool(answer.get("DeleteMarker") or answer.get("VersionId"))

    def delete_version(self, key: str, version_id: str) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=key, VersionId=version_id)

    def versions(self, **where: Any) -> Mapping[str, Any]:
        """A page of the versions and delete markers under ``Prefix``."""
        return self._s3.list_object_versions(Bucket=self._bucket, **where)

    def uploads(self, **where: Any) -> Mapping[str, Any]:
        """A page of the unfinished uploads under ``Prefix``."""
        return self._s3.list_multipart_uploads(Bucket=self._bucket, **where)

    def objects(self, **where: Any) -> Mapping[str, Any]:
        """A page of the objects under ``Prefix``."""
        return self._s3.list_objects_v2(Bucket=self._bucket, **where)

    def parts(self, **where: Any) -> Mapping[str, Any]:
        """A page of an upload's parts."""
        return self._s3.list_parts(Bucket=self._bucket, **where)

    def versioning(self) -> str:
        """``Enabled``, ``Suspended``, or nothing for a bucket that has never kept versions."""
        return self._s3.get_bucket_versioning(Bucket=self._bucket).get("Status", "")

    def _as_told(self, described: Description) -> dict[str, Any]:
        told: dict[str, Any] = {"ContentType": described.content_type, "Metadata": dict(described.metadata)}
        if described.disposition:
            told["ContentDisposition"] = described.disposition
        return told | dict(self._extra)


def as_base64(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def _body_sums(body: Body, crc32: int, sums: Checksum) -> dict[str, Any]:
    """MD5 costs more time than CRC-32, and every store knows it."""
    if sums is Checksum.CRC32:
        return {"ChecksumCRC32": as_base64(crc32)}
    if sums is Checksum.MD5:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        return {"ContentMD5": base64.b64encode(digest).decode()}
    return {}


def _mode(sums: Checksum) -> dict[str, Any]:
    return {"ChecksumMode": "ENABLED"} if sums is Checksum.CRC32 else {}

"""The S3 bucket: objects, multipart uploads and presigned URLs."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from videovault.config import EMBEDDED_BUCKET, settings
from videovault.errors import StorageError
from videovault.gateways import presigning
from videovault.gateways.objects import Description, Listed, ObjectInfo, Part, SentPart, Upload
from videovault.gateways.s3 import ObjectMissing, UploadLost, client, in_words

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, GetObjectOutputTypeDef, HeadObjectOutputTypeDef

__all__ = [
    "Description",
    "Listed",
    "ObjectInfo",
    "ObjectMissing",
    "Part",
    "Storage",
    "Upload",
    "UploadLost",
    "connected",
]

Body = bytes | bytearray
# rclone keeps parts that come before their turn in memory, up to 64 MiB, and then waits for the missing one.
EMBEDDED_AHEAD_BYTES = 60 * 1024**2
PIECE_BYTES = 1024**2
# How stores other than AWS refuse an argument that they do not know.
UNKNOWN = {"NotImplemented", "InvalidArgument", "InvalidRequest", "UnsupportedArgument"}


class Storage:
    """One bucket. ``public`` makes the client that signs links for the address that browsers use.

    ``embedded``: this is rclone, whose ways docs/decisions/0007 tells: it forgets metadata, and its ETag is the
    object's CRC-32. ``extra`` are arguments of boto3 for each new object: encryption and storage class.
    """

    def __init__(
        self,
        client: "S3Client",
        public: Callable[[], "S3Client"],
        bucket: str,
        *,
        embedded: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._s3 = client
        self._make_public = public
        self.bucket = bucket
        self.keeps_metadata = not embedded
        self.most_ahead_bytes = EMBEDDED_AHEAD_BYTES if embedded else None
        self._etag_is_crc32 = embedded
        self._extra = dict(extra or {})
        self._knows_sums = True

    @cached_property
    def _public(self) -> "S3Client":
        return self._make_public()

    def put(self, key: str, body: Body, described: Description, crc32: int | None = None) -> str:
        """Store an object; its ETag. S3 compares ``crc32`` with what it received."""

        def send(**sums: Any) -> str:
            told = self._as_told(described)
            return self._s3.put_object(Bucket=self.bucket, Key=key, Body=cast("bytes", body), **told, **sums)[
                "ETag"
            ]

        return self._summed(send) if crc32 is None else self._summed(send, ChecksumCRC32=_base64(crc32))

    def start_upload(self, key: str, described: Description) -> str:
        """Begin a multipart upload; its id."""

        def begin(**sums: Any) -> str:
            told = self._as_told(described)
            return self._s3.create_multipart_upload(Bucket=self.bucket, Key=key, **told, **sums)["UploadId"]

        return self._summed(begin, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")

    def upload_part(self, key: str, upload_id: str, number: int, body: Body, crc32: int) -> Part:
        """Send one part; ``number`` counts from 1. A bytearray is sent without being copied.

        Raises UploadLost when S3 does not know the upload any more.
        """
        where: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
        }
        sums: dict[str, Any] = {"ChecksumCRC32": _base64(crc32)} if self._knows_sums else {}
        with in_words():
            answer = self._s3.upload_part(**where, Body=cast("bytes", body), **sums)
        return Part(number, len(body), answer["ETag"])

    def parts(self, key: str, upload_id: str) -> list[Part] | None:
        """The parts that S3 has of an upload, None where it does not tell. Raises UploadLost."""
        found: list[Part] = []
        marker, more = 0, True
        try:
            while more:
                with in_words():
                    page = self._s3.list_parts(
                        Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumberMarker=marker
                    )
                listed = [Part(p["PartNumber"], p["Size"], p["ETag"]) for p in page.get("Parts", [])]
                found += listed
                more = bool(page.get("IsTruncated") and listed)
                marker = listed[-1].number if listed else 0
        except UploadLost:
            raise
        except StorageError as error:
            if error.retryable:
                raise
            return None  # the permission may be missing: Complete will tell
        return found

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[SentPart], crc32: int) -> None:
        """Make the object of ``parts``, in their order; ``crc32`` is that of the whole.

        Raises UploadLost when the upload, or a part of it, is not there.
        """
        listed: list[CompletedPartTypeDef] = []
        whole: dict[str, Any] = {}
        for part in parts:
            listed.append({"PartNumber": part.number, "ETag": part.etag})
            if self._knows_sums:
                listed[-1]["ChecksumCRC32"] = _base64(part.crc32)
        if self._knows_sums:
            whole = {"ChecksumCRC32": _base64(crc32), "ChecksumType": "FULL_OBJECT"}
        with in_words():
            self._s3.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}, **whole
            )

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Throw an unfinished upload away; one that is gone already is fine."""
        with suppress(ObjectMissing), in_words():
            self._s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def info(self, key: str) -> ObjectInfo | None:
        """What S3 says of the object, or None when there is none."""
        try:
            with in_words():
                head = self._s3.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        except ObjectMissing:
            return None
        return self._info(head)

    def uploads(self, prefix: str = "") -> Iterator[Upload]:
        """The unfinished uploads of keys that begin with ``prefix``."""
        with suppress(ObjectMissing), in_words():  # rclone's word for a bucket that never had one
            pages = self._s3.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
                for each in page.get("Uploads", []):
                    yield Upload(each["Key"], each["UploadId"], each["Initiated"])

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already are fine."""
        for key in keys:
            with suppress(ObjectMissing), in_words():
                self._s3.delete_object(Bucket=self.bucket, Key=key)

    def read(self, key: str, most: int) -> bytes | None:
        """The object's first ``most`` bytes, None when there is no such object."""
        try:
            with in_words(), self._s3.get_object(Bucket=self.bucket, Key=key)["Body"] as body:
                return body.read(most)
        except ObjectMissing:
            return None

    @contextmanager
    def download(self, key: str) -> Iterator[tuple[ObjectInfo, Iterator[bytes]]]:
        """The object and its bytes, in pieces of 1 MiB at most. Raises ObjectMissing; the pieces raise StorageError."""
        with in_words():
            answer = self._s3.get_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            with closing(answer["Body"]) as body:
                yield self._info(answer), body.iter_chunks(PIECE_BYTES)

    def describe(self, key: str, described: Description) -> None:
        """Describe an object anew by copying it onto itself, which S3 does for 5 GiB at most.

        Raises ObjectMissing.
        """

        def copy(**sums: Any) -> str:
            told = self._as_told(described) | {"MetadataDirective": "REPLACE"}
            done = self._s3.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource={"Bucket": self.bucket, "Key": key},
                **told,
                **sums,
            )
            return done["CopyObjectResult"]["ETag"]

        self._summed(copy, ChecksumAlgorithm="CRC32")

    def objects(self, prefix: str = "") -> Iterator[Listed]:
        """What lies under ``prefix``, in the order of the keys' bytes, one page in memory at a time."""
        with in_words():
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for each in page.get("Contents", []):
                    yield Listed(each["Key"], each["Size"], each["ETag"], each["LastModified"])

    def keys(self, prefix: str = "") -> Iterator[str]:
        return (each.key for each in self.objects(prefix))

    def presign(self, key: str, *, seconds: int, disposition: str = "", internal: bool = False) -> str:
        """A link to the object that lives ``seconds``, for browsers or (``internal``) for this server."""
        params = {"Bucket": self.bucket, "Key": key}
        if disposition:
            params["ResponseContentDisposition"] = disposition
        client = self._s3 if internal else self._public
        with in_words():
            return client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)

    def signer(self, *, seconds: int) -> Callable[[str, str], str]:
        """``presign`` of a key and a disposition, for browsers, for many of them now."""
        credentials = self._public._request_signer._credentials  # type: ignore[attr-defined] # noqa: SLF001 - its only place
        with in_words():
            return presigning.signer(
                lambda key, disposition: self.presign(key, seconds=seconds, disposition=disposition),
                credentials.get_frozen_credentials() if credentials else None,
            )

    def _summed(self, call: Callable[..., str], **sums: str) -> str:
        """The outcome of a call with checksums, or without where the store turns out not to know them."""
        with in_words():
            if not self._knows_sums:
                return call()
            try:
                return call(**sums)
            except ClientError as error:
                if not sums or error.response["Error"].get("Code") not in UNKNOWN:
                    raise
                answer = call()
                self._knows_sums = False
                return answer

    def _as_told(self, described: Description) -> dict[str, Any]:
        told: dict[str, Any] = {"ContentType": described.content_type, "Metadata": dict(described.metadata)}
        if described.disposition:
            told["ContentDisposition"] = described.disposition
        return told | self._extra

    def _info(self, head: "HeadObjectOutputTypeDef | GetObjectOutputTypeDef") -> ObjectInfo:
        metadata = {name.lower(): value for name, value in head["Metadata"].items()}
        told = head.get("ContentType", ""), head.get("ContentDisposition", "")
        return ObjectInfo(head["ContentLength"], head["ETag"], metadata, self._crc32(head), *told)

    def _crc32(self, head: "HeadObjectOutputTypeDef | GetObjectOutputTypeDef") -> int | None:
        """Of the whole object: one made of the sums of its parts (COMPOSITE) says nothing about it."""
        if self._etag_is_crc32:
            etag = head["ETag"].strip('"')
            return int(etag, 16) if re.fullmatch("[0-9a-f]{8}", etag) else None
        told = head.get("ChecksumCRC32", "")
        if not told or head.get("ChecksumType") == "COMPOSITE" or "-" in told:
            return None
        return int.from_bytes(base64.b64decode(told), "big")


@lru_cache(maxsize=1)
def connected() -> Storage:
    """The bucket that the settings name: AWS, another S3, or the embedded one."""
    chosen = settings()
    if chosen.uses_embedded_s3:
        keys = (chosen.installation.s3_access_key, chosen.installation.s3_secret_key)
        inside = client(f"http://127.0.0.1:{chosen.installation.s3_port}", *keys)
        seen = chosen.s3_public_endpoint_url or chosen.base_url
        return Storage(inside, lambda: client(seen, *keys), EMBEDDED_BUCKET, embedded=True)
    secrets = (
        chosen.aws_access_key_id,
        chosen.aws_secret_access_key.get_secret_value(),
        chosen.aws_session_token.get_secret_value(),
    )
    own = client(chosen.aws_endpoint_url_s3, *secrets)
    outside = chosen.s3_public_endpoint_url
    return Storage(
        own, lambda: client(outside, *secrets) if outside else own, chosen.aws_s3_bucket_name, extra=_extra()
    )


def _extra() -> dict[str, str]:
    chosen = settings()
    given = {
        "ServerSideEncryption": chosen.s3_sse,
        "SSEKMSKeyId": chosen.s3_sse_kms_key_id,
        "StorageClass": chosen.s3_storage_class,
    }
    return {name: value for name, value in given.items() if value}


def _base64(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()

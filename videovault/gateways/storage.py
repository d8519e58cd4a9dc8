"""The S3 bucket: objects, multipart uploads and presigned URLs, with S3's errors put into words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from videovault.config import EMBEDDED_BUCKET, settings
from videovault.errors import StorageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

ADVICE = {
    "AccessDenied": "S3 denied access: check the IAM permissions and the bucket policy.",
    "InvalidAccessKeyId": "S3 does not know the access key: check AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "S3 refused the signature: check AWS_SECRET_ACCESS_KEY.",
    "NoSuchBucket": "The bucket does not exist: check AWS_S3_BUCKET_NAME and AWS_REGION.",
    "PermanentRedirect": "The bucket is in another region: check AWS_REGION.",
    "RequestTimeTooSkewed": "S3 refused the time of this machine: check its clock.",
}
ABSENT = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
PASSING = {"500", "502", "503", "504", "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"}


class ObjectMissing(StorageError):
    """The object or the upload is not there."""


@dataclass(frozen=True)
class ObjectInfo:
    """What S3 says of an object; ``size`` in bytes, ``metadata`` as it was given."""

    size: int
    etag: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """A part that S3 has taken."""

    number: int
    size: int
    etag: str


class Storage:
    """One bucket. ``public`` signs links for the address that browsers use.

    ``keeps_metadata`` is False for the embedded S3, which forgets an object's metadata.
    """

    def __init__(
        self, client: "S3Client", public: "S3Client", bucket: str, *, keeps_metadata: bool = True
    ) -> None:
        self._s3 = client
        self._public = public
        self.bucket = bucket
        self.keeps_metadata = keeps_metadata

    def put(
        self,
        key: str,
        body: bytes | bytearray,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        with _in_words():
            self._s3.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=cast("bytes", body),
                ContentType=content_type,
                Metadata=dict(metadata or {}),
            )

    def start_upload(self, key: str, *, content_type: str, metadata: Mapping[str, str]) -> str:
        """Begin a multipart upload; its id."""
        with _in_words():
            answer = self._s3.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType=content_type, Metadata=dict(metadata)
            )
        return answer["UploadId"]

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes | bytearray) -> Part:
        """Send one part; ``number`` counts from 1. A bytearray is sent without being copied."""
        with _in_words():
            answer = self._s3.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=cast("bytes", body)
            )
        return Part(number, len(body), answer["ETag"])

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        listed: list[CompletedPartTypeDef] = [
            {"PartNumber": part.number, "ETag": part.etag} for part in sorted(parts, key=lambda p: p.number)
        ]
        with _in_words():
            self._s3.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
            )

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Throw an unfinished upload away; one that is gone already is fine."""
        with suppress(ObjectMissing), _in_words():
            self._s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def info(self, key: str) -> ObjectInfo | None:
        """What S3 says of the object, or None when there is none."""
        try:
            with _in_words():
                head = self._s3.head_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return None
        return ObjectInfo(head["ContentLength"], head["ETag"], head["Metadata"])

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already are fine."""
        for key in keys:
            with suppress(ObjectMissing), _in_words():
                self._s3.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        with _in_words():
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                yield from (entry["Key"] for entry in page.get("Contents", []))

    def presign(self, key: str, *, seconds: int, disposition: str = "", internal: bool = False) -> str:
        """A link to the object that lives ``seconds``, for browsers or (``internal``) for this server."""
        params = {"Bucket": self.bucket, "Key": key}
        if disposition:
            params["ResponseContentDisposition"] = disposition
        client = self._s3 if internal else self._public
        with _in_words():
            return client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)


@lru_cache(maxsize=1)
def connected() -> Storage:
    """The bucket that the settings name: AWS, another S3, or the embedded one."""
    chosen = settings()
    if chosen.uses_embedded_s3:
        inside = f"http://127.0.0.1:{chosen.installation.s3_port}"
        client = _client(inside, chosen.installation.s3_access_key, chosen.installation.s3_secret_key)
        public = _client(
            chosen.s3_public_endpoint_url or chosen.base_url,
            chosen.installation.s3_access_key,
            chosen.installation.s3_secret_key,
        )
        return Storage(client, public, EMBEDDED_BUCKET, keeps_metadata=False)
    keys = (
        chosen.aws_access_key_id,
        chosen.aws_secret_access_key.get_secret_value(),
        chosen.aws_session_token.get_secret_value(),
    )
    client = _client(chosen.aws_endpoint_url_s3, *keys)
    outside = chosen.s3_public_endpoint_url
    public = _client(outside, *keys) if outside else client
    return Storage(client, public, chosen.aws_s3_bucket_name)


def _client(endpoint: str, access_key: str, secret_key: str, token: str = "") -> "S3Client":
    """A client whose empty arguments leave the choice to boto3's own chain."""
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "retries": {"mode": "standard", "max_attempts": 4},
        "connect_timeout": 10,
        "read_timeout": 60,
        # Other stores than AWS do not all know the newer checksums; parts are proven by their ETags.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    if endpoint:
        options["s3"] = {"addressing_style": "path"}
    return boto3.client(
        "s3",
        region_name=settings().aws_region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        aws_session_token=token or None,
        config=Config(**options),
    )


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code in ABSENT:
            raise ObjectMissing("S3 does not have it any more.") from error
        sentence = ADVICE.get(code, f"S3 failed ({code or 'unknown reason'}).")
        raise StorageError(sentence, retryable=code in PASSING) from error
    except BotoCoreError as error:
        raise StorageError("S3 could not be reached.", retryable=True) from error

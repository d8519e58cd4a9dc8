"""The settings of the bucket itself: policy, CORS, public access block, encryption, versioning and lifecycle."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from videovault import untrusted_json
from videovault.config import settings
from videovault.errors import StorageError
from videovault.gateways import s3_client, storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Document = dict[str, Any]
LACKING = "The store does not have this call."
# Answers of stores that lack a call.
UNSUPPORTED_STATUSES = {405, 501}
UNSUPPORTED_CODES = {
    *("NotImplemented", "XNotImplemented", "MethodNotAllowed", "UnsupportedOperation", "NotSupported"),
    "Unsupported",
}
# The region that must not be named when a bucket is created.
DEFAULT_REGION = "us-east-1"


class Unsupported(StorageError):
    """The store does not have this call."""


@dataclass(frozen=True)
class Setting:
    """One setting of a bucket.

    ``read`` and ``write`` are the names of boto3's calls, and ``member`` the argument or member with the document;
    without a ``member`` the whole response is the document. ``unset`` are the codes for "none"; ``may_read`` and
    ``may_write`` the permissions.
    """

    read: str
    write: str
    member: str
    unset: str
    may_read: str
    may_write: str
    kept: tuple[str, ...] = field(default=())
    """Other members of the response that have to be written back."""


SETTINGS: dict[str, Setting] = {
    "policy": Setting(
        "get_bucket_policy",
        "put_bucket_policy",
        "Policy",
        "NoSuchBucketPolicy",
        "s3:GetBucketPolicy",
        "s3:PutBucketPolicy",
    ),
    "public-access": Setting(
        "get_public_access_block",
        "put_public_access_block",
        "PublicAccessBlockConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "s3:GetBucketPublicAccessBlock",
        "s3:PutBucketPublicAccessBlock",
    ),
    "encryption": Setting(
        "get_bucket_encryption",
        "put_bucket_encryption",
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
        "s3:GetEncryptionConfiguration",
        "s3:PutEncryptionConfiguration",
    ),
    "cors": Setting(
        "get_bucket_cors",
        "put_bucket_cors",
        "CORSConfiguration",
        "NoSuchCORSConfiguration",
        "s3:GetBucketCORS",
        "s3:PutBucketCORS",
    ),
    "lifecycle": Setting(
        "get_bucket_lifecycle_configuration",
        "put_bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        "NoSuchLifecycleConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:PutLifecycleConfiguration",
        kept=("TransitionDefaultMinimumObjectSize",),
    ),
    "versioning": Setting(
        "get_bucket_versioning",
        "put_bucket_versioning",
        "VersioningConfiguration",
        "",
        "s3:GetBucketVersioning",
        "s3:PutBucketVersioning",
    ),
}
# Of responses that hold the document's members at their top level.
MEMBERS = {"cors": "CORSRules", "lifecycle": "Rules"}


class BucketSettings:
    """Reads and writes the settings of one bucket. Every call may raise StorageError, and Unsupported."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._s3 = client
        self.bucket = bucket

    @property
    def endpoint(self) -> str:
        return str(self._s3.meta.endpoint_url)

    def exists(self) -> bool:
        """Raises StorageError if the bucket belongs to someone else."""
        try:
            self._call(lambda: self._s3.head_bucket(Bucket=self.bucket))
        except s3_client.ObjectMissing:
            return False
        except StorageError as error:
            if error.answer is not None and error.answer.code == "NoSuchBucket":
                return False
            raise
        return True

    def create(self) -> None:
        """Create the bucket in AWS_REGION."""
        region = settings().aws_region
        options: Document = {}
        if region != DEFAULT_REGION:
            options["CreateBucketConfiguration"] = {"LocationConstraint": region}
        self._call(lambda: self._s3.create_bucket(Bucket=self.bucket, **options))

    def read(self, name: str) -> Document | None:
        """The document of one of ``SETTINGS`` as boto3 writes it, None if there is none."""
        setting = SETTINGS[name]
        response = self._call(lambda: getattr(self._s3, setting.read)(Bucket=self.bucket), setting.unset)
        if response is None:
            return None
        if name == "policy":
            return _parsed_policy(response["Policy"])
        if name == "versioning":
            return {key: response[key] for key in ("Status", "MFADelete") if key in response}
        member = MEMBERS.get(name, setting.member)
        if not response.get(member):  # a store that ignores the sub-resource lists the objects instead
            raise Unsupported(LACKING)
        document: Document = {member: response[member]} if name in MEMBERS else dict(response[member])
        return document

    def write(self, name: str, document: Document) -> None:
        """Replace the whole document of one of ``SETTINGS``."""
        setting = SETTINGS[name]
        arguments: Document = {setting.member: json.dumps(document) if name == "policy" else document}
        if setting.kept:
            before = self._call(lambda: getattr(self._s3, setting.read)(Bucket=self.bucket), setting.unset)
            arguments |= {key: before[key] for key in setting.kept if before and key in before}
        self._call(lambda: getattr(self._s3, setting.write)(Bucket=self.bucket, **arguments))

    def _call(self, call: Callable[[], Any], unset: str = "") -> Any:
        """The response, or None for the error code ``unset``; retried while the store is unavailable."""

        def once() -> Any:
            try:
                with s3_client.translating_errors():
                    return _answer(call, unset)
            except StorageError as error:
                answer = error.answer
                if answer and (answer.status in UNSUPPORTED_STATUSES or answer.code in UNSUPPORTED_CODES):
                    raise Unsupported(LACKING, answer=answer) from error
                raise

        return s3_client.call_with_retry(once)


def connected() -> BucketSettings:
    """The configured bucket. Raises Unsupported for the embedded S3, which has no such settings."""
    if settings().uses_embedded_s3:
        raise Unsupported("The embedded S3 has no bucket settings: its folder is private already.")
    return BucketSettings(storage.own_client(), settings().aws_s3_bucket_name)


def _answer(call: Callable[[], Any], unset: str) -> Any:
    try:
        return call()
    except ClientError as error:
        if unset and error.response.get("Error", {}).get("Code") == unset:
            return None
        raise


def _parsed_policy(text: str) -> Document:
    """Raises Unsupported for anything else, such as the list of objects of a store that ignores the sub-resource."""
    try:
        policy = untrusted_json.loads(text)
        statements = policy.get("Statement", [])
    except (ValueError, AttributeError) as error:
        raise Unsupported(LACKING) from error
    return {**policy, "Statement": statements if isinstance(statements, list) else [statements]}

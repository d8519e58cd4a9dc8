"""The boto3 client: its configuration, its errors as StorageError, and retries while the store is unavailable."""

import gzip
import html
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.loaders import JSONFileLoader

from videovault import logs
from videovault.backoff import exponential
from videovault.config import settings
from videovault.errors import StorageError, StoreErrorResponse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS, READ_SECONDS = 5, 20
# Some stores join the parts of a large object, or copy it, before they send the first byte.
LONG_READ_SECONDS, LONG_OPERATIONS = 60, ("CompleteMultipartUpload", "CopyObject")
CHECK_SECONDS = 0.2
FIRST_POLL_SECONDS, MAX_POLL_SECONDS = 0.2, 2.0
# How long a store may take to show a new object.
VISIBLE_SECONDS = 15.0
T = TypeVar("T")
log = logs.get(__name__)
MESSAGES = {
    "403": "S3 denied access: check the IAM permissions and the bucket policy.",  # HEAD has no other code
    "AccessDenied": "S3 denied access: check the IAM permissions and the bucket policy.",
    "InvalidAccessKeyId": "The access key is unknown to S3: check AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "S3 rejected the signature: check AWS_SECRET_ACCESS_KEY.",
    "ExpiredToken": "The AWS keys have expired: set fresh ones.",
    "InvalidToken": "S3 rejected the session token: check AWS_SESSION_TOKEN.",
    "NoSuchBucket": "The bucket does not exist: check AWS_S3_BUCKET_NAME and AWS_REGION.",
    "RequestTimeTooSkewed": "S3 rejected the time of this machine: check its clock.",
    "KMS.NotFoundException": "S3 cannot find the encryption key: check S3_SSE_KMS_KEY_ID.",
    "KMS.DisabledException": "The encryption key is disabled: check S3_SSE_KMS_KEY_ID.",
}
MESSAGES |= dict.fromkeys(
    ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"),
    "The bucket is in another region: check AWS_REGION.",
)
KMS_DENIED = "S3 may not use the encryption key: allow kms:GenerateDataKey and kms:Decrypt on it, or check S3_SSE_KMS_KEY_ID."
NOT_FOUND_CODES = {"404", "NoSuchKey", "NotFound", "NoSuchVersion"}
LOST_UPLOAD_CODES = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder"}
UPLOAD_OPERATIONS = {"UploadPart", "CompleteMultipartUpload"}
TRANSIENT_CODES = {
    *("500", "502", "503", "504", "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"),
    *("BadDigest", "OperationAborted", "429", "TooManyRequests"),
}
# The two classes of the guide's Troubleshooting.
DENIED_CODES = {"403", "AccessDenied", "AllAccessDisabled", "AccountProblem"}
CREDENTIAL_CODES = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("InvalidClientTokenId", "AuthFailure"),
}
# Codes and statuses of responses for a bucket in another region.
OTHER_REGION_CODES = {
    *(
        "PermanentRedirect",
        "TemporaryRedirect",
        "Redirect",
        "AuthorizationHeaderMalformed",
        "301",
        "307",
        "400",
    ),
    *("AuthorizationQueryParametersError", "IllegalLocationConstraintException"),
}
REGION = re.compile(r"[a-z0-9][a-z0-9-]{1,40}")
EXPECTED = re.compile(r"expecting '([^']{1,64})'")
ELEMENT = re.compile(r"<(Code|Message|RequestId|Region)>([^<]{0,2000})<")
MAX_MESSAGE_CHARS = 500
MAX_BODY_BYTES = 64 * 1024
NOT_IMPLEMENTED = 501
MAX_CONNECTIONS = 64
USED_SERVICES = ("s3", "sts", "oidc", "portal.sso")  # by the names in their addresses
USED_MODELS = ["s3", "sts", "sso", "sso-oidc", "signin"]  # the others belong to botocore's credential chain


class AccessDenied(StorageError):
    """The credentials are valid, but lack a permission."""


class EncryptionKeyDenied(AccessDenied):
    """The store may not use the encryption key."""


class InvalidCredentials(StorageError):
    """The credentials are missing, wrong or expired."""


class ObjectMissing(StorageError):
    """The object does not exist."""


class UploadLost(ObjectMissing):
    """The multipart upload no longer exists, or cannot be completed.

    ``may_be_complete``: an earlier attempt to complete it got no response and may have succeeded.
    """

    may_be_complete = False


def create_client(endpoint: str, access_key: str, secret_key: str, token: str = "") -> "S3Client":
    """Create a client. Empty arguments fall back to boto3's credential chain."""
    chosen = settings()
    # With "auto", boto3 signs links for the global endpoint, which redirects to new buckets of most regions and so
    # breaks the signature. With "virtual" it signs for the regional one. Both put a name with dots into the path.
    style = chosen.s3_addressing_style or ("path" if endpoint else "auto")
    if not endpoint and style == "auto":
        style = "virtual"
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        # ``call_with_retry`` repeats calls for as long as the caller can wait.
        "retries": {"total_max_attempts": 1},
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "max_pool_connections": MAX_CONNECTIONS,
        "tcp_keepalive": True,
        # Not all other stores know the newer checksums; where they matter, they are passed explicitly.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        # SHA-256 of each body would take 0.8 CPU seconds per GiB, and the CRC-32 of each part already verifies it.
        "s3": {"addressing_style": style, "payload_signing_enabled": False},
    }
    client = _session().client(
        "s3",
        region_name=chosen.aws_region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        aws_session_token=token or None,
        config=Config(**options),
    )
    client.meta.events.register_last("before-parameter-build.s3", _forbid_redirect)
    for operation in LONG_OPERATIONS:
        client.meta.events.register(f"before-call.s3.{operation}", _wait_long)
    client.meta.events.register_last("needs-retry.s3", partial(_drop_half_open, client))
    return client


def _wait_long(params: dict[str, Any], **_event: Any) -> None:
    params["context"]["read_timeout"] = LONG_READ_SECONDS


def _drop_half_open(client: "S3Client", caught_exception: Exception | None, **_event: Any) -> None:
    """Close idle connections after a timeout: the others of the pool may be half-open, too, and each would cost one."""
    if isinstance(caught_exception, HTTPClientError):
        client.close()  # it opens new ones


@lru_cache(maxsize=1)
def _session() -> boto3.Session:
    """The process's only session, so that botocore's data is loaded once."""
    session = botocore.session.get_session()
    loader = session.get_component("data_loader")
    loader.file_loader = _SmallerFiles()
    # It would look for four hundred services on the disk, twice.
    loader.list_available_services = lambda _type_name: USED_MODELS
    return boto3.Session(botocore_session=session)


class _SmallerFiles(JSONFileLoader):
    """botocore's data in plain dicts, and without the addresses of services that are not called: 8 MB less per process."""

    def load_file(self, file_path: str) -> Any:
        data = _read_json(Path(f"{file_path}.json"), Path(f"{file_path}.json.gz"))
        if Path(file_path).name == "endpoints":
            for partition in data["partitions"]:
                services = partition["services"]
                partition["services"] = {name: services[name] for name in USED_SERVICES if name in services}
        return data


def _read_json(plain: Path, compressed: Path) -> Any:
    """None if neither exists, as the loader expects."""
    if plain.is_file():
        return json.loads(plain.read_bytes())
    return json.loads(gzip.decompress(compressed.read_bytes())) if compressed.is_file() else None


def _forbid_redirect(context: dict[str, Any], **_event: Any) -> None:
    """Stop boto3 from following a bucket into another region: presigned links cannot, so every call must fail."""
    context.setdefault("s3_redirect", {})["redirected"] = True


@contextmanager
def translating_errors() -> Iterator[None]:
    """Translate boto3's errors to StorageError, with ObjectMissing and UploadLost for missing objects and uploads."""
    try:
        yield
    except ClientError as error:
        raise error_for(_parse_client_error(error)) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InvalidCredentials(
            "AWS credentials are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role."
        ) from error
    except ParamValidationError as error:
        raise StorageError("The name is not valid for S3: check AWS_S3_BUCKET_NAME.") from error
    except BotoCoreError as error:
        raise StorageError("S3 could not be reached.", retryable=True) from error


def error_for(answer: StoreErrorResponse) -> StorageError:
    """The exception for an error response, which is also logged with the store's message."""
    code = answer.code
    # The embedded S3 answers NoSuchUpload if a bucket has never had an upload, as after every first start.
    if code in NOT_FOUND_CODES or (code == "NoSuchUpload" and answer.operation == "ListMultipartUploads"):
        return ObjectMissing("The object is no longer in S3.", answer=answer)
    log.warning(
        "S3 refused",
        operation=answer.operation,
        status=answer.status,
        store_code=code,
        store_message=answer.message,
        store_request_id=answer.request_id,
    )
    # The embedded S3 answers NotImplemented for a part that was started with other bytes.
    if code in LOST_UPLOAD_CODES or (code == "NotImplemented" and answer.operation in UPLOAD_OPERATIONS):
        return UploadLost("S3 has lost the uploaded parts.", answer=answer)
    if answer.region and code in OTHER_REGION_CODES:
        return StorageError(
            f"The bucket is in the region {answer.region}: set AWS_REGION={answer.region}.", answer=answer
        )
    return _denied_error(answer) or _other_error(answer)


def parse_error_response(
    status: int, headers: Mapping[str, str], body: bytes, operation: str
) -> StoreErrorResponse:
    """Parse the error response to a request that boto3 did not send; ``body`` may be XML or anything else."""
    text = body[:MAX_BODY_BYTES].decode(errors="replace")
    elements = {name: html.unescape(value) for name, value in reversed(ELEMENT.findall(text))}
    region = headers.get("x-amz-bucket-region", "") or elements.get("Region", "")
    request_id = headers.get("x-amz-request-id", "") or elements.get("RequestId", "")
    return _error_response(
        operation,
        status,
        elements.get("Code", "") or str(status),
        elements.get("Message", ""),
        request_id,
        region,
    )


@dataclass(frozen=True)
class StorageRetryPolicy:
    """All in seconds. ``check`` is called during pauses; its exception ends the call."""

    seconds: float
    first_pause: float = 0.2
    max_pause: float = 2.0
    check: Callable[[], object] = lambda: None


_policy: ContextVar[StorageRetryPolicy | None] = ContextVar("retry_policy", default=None)


@contextmanager
def use_policy(chosen: StorageRetryPolicy) -> Iterator[None]:
    """Use ``chosen`` for S3 calls of this thread inside the block, in place of S3_RETRY_SECONDS."""
    token = _policy.set(chosen)
    try:
        yield
    finally:
        _policy.reset(token)


@contextmanager
def short_policy() -> Iterator[None]:
    """Limit optional calls to S3_RETRY_SECONDS; ``check`` still interrupts them."""
    check = (_policy.get() or StorageRetryPolicy(0)).check
    with use_policy(StorageRetryPolicy(settings().s3_retry_seconds, check=check)):
        yield


def call_with_retry(call: Callable[[], T]) -> T:
    """Call ``call``, again while it raises a retryable StorageError and the policy's time lasts."""
    chosen = _policy.get() or StorageRetryPolicy(settings().s3_retry_seconds)
    until = time.monotonic() + chosen.seconds
    failures = 0
    while True:
        try:
            return call()
        except StorageError as error:
            failures += 1
            if not error.retryable or time.monotonic() >= until:
                raise
            log.info("S3 failed, retrying", failures=failures, reason=error.public_message)
        interruptible_sleep(exponential(chosen.first_pause, chosen.max_pause, failures), chosen.check)


def poll_until(read: Callable[[], T], is_visible: Callable[[T], bool], seconds: float) -> T:
    """Call ``read`` until ``is_visible`` accepts its result or the time is over: stores may show a write late."""
    check = (_policy.get() or StorageRetryPolicy(0)).check
    until = time.monotonic() + seconds
    polls = 0
    while not is_visible(found := read()) and time.monotonic() < until:
        polls += 1
        interruptible_sleep(exponential(FIRST_POLL_SECONDS, MAX_POLL_SECONDS, polls), check)
    return found


def interruptible_sleep(seconds: float, check: Callable[[], object]) -> None:
    """Sleep, calling ``check`` several times a second."""
    until = time.monotonic() + seconds
    while (remaining := until - time.monotonic()) > 0:
        check()
        time.sleep(min(remaining, CHECK_SECONDS))
    check()


def _denied_error(answer: StoreErrorResponse) -> StorageError | None:
    """The exception for rejected credentials or permissions."""
    message = MESSAGES.get(answer.code, f"S3 failed ({answer.code}).")
    if answer.code in CREDENTIAL_CODES:
        return InvalidCredentials(message, answer=answer)
    if answer.code in DENIED_CODES and "kms" in answer.message.lower():
        return EncryptionKeyDenied(KMS_DENIED, answer=answer)
    return AccessDenied(message, answer=answer) if answer.code in DENIED_CODES else None


def _other_error(answer: StoreErrorResponse) -> StorageError:
    message = MESSAGES.get(answer.code, f"S3 failed ({answer.code or 'unknown reason'}).")
    is_transient = answer.status >= 500 and answer.status != NOT_IMPLEMENTED
    return StorageError(message, retryable=answer.code in TRANSIENT_CODES or is_transient, answer=answer)


def _parse_client_error(error: ClientError) -> StoreErrorResponse:
    error_fields: dict[str, Any] = dict(error.response.get("Error", {}))
    metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    headers = metadata.get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region", "") or error_fields.get("Region", "")
    request_id = metadata.get("RequestId", "") or headers.get("x-amz-request-id", "")
    status = metadata.get("HTTPStatusCode", 0)
    return _error_response(
        error.operation_name,
        status,
        error_fields.get("Code", ""),
        error_fields.get("Message", ""),
        request_id,
        region,
    )


def _error_response(
    operation: str, status: int, code: str, message: str, request_id: str, region: str
) -> StoreErrorResponse:
    """Response text is untrusted, so it is truncated and made printable."""
    expected = EXPECTED.search(message)
    bucket_region = region or (expected[1] if expected else "")
    is_other = bool(REGION.fullmatch(bucket_region)) and bucket_region != settings().aws_region
    return StoreErrorResponse(
        operation,
        status,
        _printable(code),
        _printable(message),
        _printable(request_id),
        region=bucket_region if is_other else "",
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:MAX_MESSAGE_CHARS]).strip()

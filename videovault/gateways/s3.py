"""How S3 is spoken to: boto3's client, set up for large bodies, and S3's errors put into words."""

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from videovault import logs
from videovault.config import settings
from videovault.errors import StorageError, StoreErrorResponse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ADVICE = {
    "403": "S3 denied access: check the IAM permissions and the bucket policy.",  # all that HEAD says
    "AccessDenied": "S3 denied access: check the IAM permissions and the bucket policy.",
    "InvalidAccessKeyId": "S3 does not know the access key: check AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "S3 refused the signature: check AWS_SECRET_ACCESS_KEY.",
    "ExpiredToken": "The AWS keys have expired: set fresh ones.",
    "InvalidToken": "S3 does not take the session token: check AWS_SESSION_TOKEN.",
    "NoSuchBucket": "The bucket does not exist: check AWS_S3_BUCKET_NAME and AWS_REGION.",
    "RequestTimeTooSkewed": "S3 refused the time of this machine: check its clock.",
    "KMS.NotFoundException": "S3 does not find the encryption key: check S3_SSE_KMS_KEY_ID.",
    "KMS.DisabledException": "The encryption key is disabled: check S3_SSE_KMS_KEY_ID.",
}
ADVICE |= dict.fromkeys(
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
# What the guide's Troubleshooting calls by these two names.
DENIED_CODES = {"403", "AccessDenied", "AllAccessDisabled", "AccountProblem"}
CREDENTIAL_CODES = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("InvalidClientTokenId", "AuthFailure"),
}
# Codes and statuses with which S3 answers a request for a bucket in another region.
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
log = logs.get(__name__)


class AccessDenied(StorageError):
    """The keys are good, but not for this."""


class EncryptionKeyDenied(AccessDenied):
    """The store may not use the encryption key."""


class InvalidCredentials(StorageError):
    """The keys are missing, wrong or too old."""


class ObjectMissing(StorageError):
    """The object is not there."""


class UploadLost(ObjectMissing):
    """The multipart upload is not there any more, or cannot be finished.

    ``may_be_complete``: an earlier try to finish it got no answer, and may have succeeded.
    """

    may_be_complete = False


def client(endpoint: str, access_key: str, secret_key: str, token: str = "") -> "S3Client":
    """A client whose empty arguments leave the choice to boto3's own chain."""
    chosen = settings()
    # With "auto" boto3 signs links for the global endpoint, which serves new buckets of most regions by a redirect
    # that breaks the signature; with "virtual" for the region's own. A name with dots is put into the path by both.
    style = chosen.s3_addressing_style or ("path" if endpoint else "auto")
    if not endpoint and style == "auto":
        style = "virtual"
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "retries": {"total_max_attempts": 1},  # ``retry`` repeats calls, for as long as each caller can wait
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": MAX_CONNECTIONS,
        "tcp_keepalive": True,
        # Other stores than AWS do not all know the newer checksums; where they count, they are given by hand.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        # SHA-256 of each body would cost 0.8 CPU seconds per GiB; the CRC-32 of each part proves it.
        "s3": {"addressing_style": style, "payload_signing_enabled": False},
    }
    made = boto3.client(
        "s3",
        region_name=chosen.aws_region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        aws_session_token=token or None,
        config=Config(**options),
    )
    made.meta.events.register_last("before-parameter-build.s3", _not_redirected)
    return made


def _not_redirected(context: dict[str, Any], **_event: Any) -> None:
    """Keep boto3 from following the bucket into another region: presigned links cannot follow, so all must fail."""
    context.setdefault("s3_redirect", {})["redirected"] = True


@contextmanager
def translating_errors() -> Iterator[None]:
    """Turns boto3's errors into StorageError; raises ObjectMissing and UploadLost for what is not there."""
    try:
        yield
    except ClientError as error:
        raise error_for(_answer(error)) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InvalidCredentials(
            "There are no AWS keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role."
        ) from error
    except ParamValidationError as error:
        raise StorageError("S3 does not take this name: check AWS_S3_BUCKET_NAME.") from error
    except BotoCoreError as error:
        raise StorageError("S3 could not be reached.", retryable=True) from error


def error_for(answer: StoreErrorResponse) -> StorageError:
    """The error that a store's answer means, which is logged in the store's own words."""
    code = answer.code
    # The embedded S3 answers NoSuchUpload where a bucket has never had an upload, as after every first start.
    if code in NOT_FOUND_CODES or (code == "NoSuchUpload" and answer.operation == "ListMultipartUploads"):
        return ObjectMissing("S3 does not have it any more.", answer=answer)
    log.warning(
        "S3 refused",
        operation=answer.operation,
        status=answer.status,
        store_code=code,
        store_message=answer.message,
        store_request_id=answer.request_id,
    )
    # NotImplemented is the embedded S3's word for a part that was begun with other bytes.
    if code in LOST_UPLOAD_CODES or (code == "NotImplemented" and answer.operation in UPLOAD_OPERATIONS):
        return UploadLost("S3 has lost the parts that were uploaded.", answer=answer)
    if answer.region and code in OTHER_REGION_CODES:
        return StorageError(
            f"The bucket is in the region {answer.region}: set AWS_REGION={answer.region}.", answer=answer
        )
    return _denial(answer) or _failure(answer)


def _denial(answer: StoreErrorResponse) -> StorageError | None:
    """For refusals of the caller or of the key, which the guide's Troubleshooting has names for."""
    sentence = ADVICE.get(answer.code, f"S3 failed ({answer.code}).")
    if answer.code in CREDENTIAL_CODES:
        return InvalidCredentials(sentence, answer=answer)
    if answer.code in DENIED_CODES and "kms" in answer.message.lower():
        return EncryptionKeyDenied(KMS_DENIED, answer=answer)
    return AccessDenied(sentence, answer=answer) if answer.code in DENIED_CODES else None


def _failure(answer: StoreErrorResponse) -> StorageError:
    sentence = ADVICE.get(answer.code, f"S3 failed ({answer.code or 'unknown reason'}).")
    passing = answer.status >= 500 and answer.status != NOT_IMPLEMENTED
    return StorageError(sentence, retryable=answer.code in TRANSIENT_CODES or passing, answer=answer)


def parse_error_response(
    status: int, headers: Mapping[str, str], body: bytes, operation: str
) -> StoreErrorResponse:
    """What a store says to a request that boto3 did not send; ``body`` is its XML, or anything else."""
    text = body[:MAX_BODY_BYTES].decode(errors="replace")
    told = {name: html.unescape(value) for name, value in reversed(ELEMENT.findall(text))}
    region = headers.get("x-amz-bucket-region", "") or told.get("Region", "")
    request_id = headers.get("x-amz-request-id", "") or told.get("RequestId", "")
    return _told(
        operation, status, told.get("Code", "") or str(status), told.get("Message", ""), request_id, region
    )


def _answer(error: ClientError) -> StoreErrorResponse:
    said: dict[str, Any] = dict(error.response.get("Error", {}))
    about: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    headers = about.get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region", "") or said.get("Region", "")
    request_id = about.get("RequestId", "") or headers.get("x-amz-request-id", "")
    status = about.get("HTTPStatusCode", 0)
    return _told(
        error.operation_name, status, said.get("Code", ""), said.get("Message", ""), request_id, region
    )


def _told(
    operation: str, status: int, code: str, message: str, request_id: str, region: str
) -> StoreErrorResponse:
    """Anything may stand in a store's answer, so it is cut short and has to be printable."""
    expected = EXPECTED.search(message)
    found = region or (expected[1] if expected else "")
    is_other = bool(REGION.fullmatch(found)) and found != settings().aws_region
    return StoreErrorResponse(
        operation,
        status,
        _plain(code),
        _plain(message),
        _plain(request_id),
        region=found if is_other else "",
    )


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:MAX_MESSAGE_CHARS]).strip()

"""How S3 is spoken to: boto3's client, set up for large bodies, and S3's errors put into words."""

from collections.abc import Iterator
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

from videovault.config import settings
from videovault.errors import StorageError

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
    "PermanentRedirect": "The bucket is in another region: check AWS_REGION.",
    "RequestTimeTooSkewed": "S3 refused the time of this machine: check its clock.",
    "KMS.NotFoundException": "S3 does not find the encryption key: check S3_SSE_KMS_KEY_ID.",
    "KMS.DisabledException": "The encryption key is disabled: check S3_SSE_KMS_KEY_ID.",
}
ABSENT = {"404", "NoSuchKey", "NotFound"}
# NotImplemented is the embedded S3's word for a part that was begun with other bytes.
LOST = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder", "NotImplemented"}
PASSING = {
    *("500", "502", "503", "504", "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"),
    *("BadDigest", "OperationAborted", "429", "TooManyRequests"),
}
# What the guide's Troubleshooting calls by these two names.
DENIED = {"403", "AccessDenied", "AllAccessDisabled", "AccountProblem"}
UNKNOWN_KEYS = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("InvalidClientTokenId", "AuthFailure"),
}
CONNECTIONS = 64


class AccessDenied(StorageError):
    """The keys are good, but not for this."""


class InvalidCredentials(StorageError):
    """The keys are missing, wrong or too old."""


class ObjectMissing(StorageError):
    """The object is not there."""


class UploadLost(ObjectMissing):
    """The multipart upload is not there any more, or cannot be finished."""


def client(endpoint: str, access_key: str, secret_key: str, token: str = "") -> "S3Client":
    """A client whose empty arguments leave the choice to boto3's own chain."""
    chosen = settings()
    style = chosen.s3_addressing_style or ("path" if endpoint else "auto")
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "retries": {"mode": "standard", "max_attempts": 3},
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": CONNECTIONS,
        "tcp_keepalive": True,
        # Other stores than AWS do not all know the newer checksums; where they count, they are given by hand.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        # SHA-256 of each body would cost 0.8 CPU seconds per GiB; the CRC-32 of each part proves it.
        "s3": {"addressing_style": style, "payload_signing_enabled": False},
    }
    return boto3.client(
        "s3",
        region_name=chosen.aws_region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        aws_session_token=token or None,
        config=Config(**options),
    )


@contextmanager
def in_words() -> Iterator[None]:
    """Turns boto3's errors into StorageError; raises ObjectMissing and UploadLost for what is not there."""
    try:
        yield
    except ClientError as error:
        raise _translation(error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InvalidCredentials(
            "There are no AWS keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role."
        ) from error
    except ParamValidationError as error:
        raise StorageError("S3 does not take this name: check AWS_S3_BUCKET_NAME.") from error
    except BotoCoreError as error:
        raise StorageError("S3 could not be reached.", retryable=True) from error


def _translation(error: ClientError) -> StorageError:
    code = error.response.get("Error", {}).get("Code", "")
    if code in ABSENT:
        return ObjectMissing("S3 does not have it any more.")
    if code in LOST:
        return UploadLost("S3 has lost the parts that were uploaded.")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    sentence = ADVICE.get(code, f"S3 failed ({code or 'unknown reason'}).")
    if code in UNKNOWN_KEYS:
        return InvalidCredentials(sentence)
    if code in DENIED:
        return AccessDenied(sentence)
    return StorageError(sentence, retryable=code in PASSING or status >= 500)

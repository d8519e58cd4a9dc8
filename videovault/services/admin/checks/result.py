"""What a check found, in words; and what the guide's Troubleshooting says to errors."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from videovault.errors import SourceError, StorageError, VideoVaultError
from videovault.formatting import format_duration
from videovault.gateways.s3 import AccessDenied, EncryptionKeyDenied, InvalidCredentials
from videovault.services.core.views import View

State = Literal["ok", "warning", "broken"]


class StepView(View):
    """One thing that was tried on the way; ``is_done`` False for the one that failed and all after it."""

    name: str
    is_done: bool


class CheckView(View):
    """A part of the installation as it was found.

    ``found`` is a sentence, ``trouble`` the guide's name for what is wrong, ``mend`` what to do about it; ``details``
    are further sentences, such as the store's own words; ``seconds`` is how long it took.
    """

    name: str
    title: str
    state: State
    found: str
    trouble: str = ""
    mend: str = ""
    steps: list[StepView] = []
    details: list[str] = []
    seconds: float = 0


@dataclass(frozen=True)
class Outcome:
    state: State
    found: str
    mend: str = ""
    trouble: str = ""
    steps: tuple[StepView, ...] = ()
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """An entry of the guide's Troubleshooting: its name, and its advice in a little more detail."""

    name: str
    advice: str


ACCESS_DENIED = Trouble(
    "S3 Access Denied",
    "Check IAM permissions and bucket policy. VideoVault puts, gets, lists and deletes objects and aborts multipart "
    "uploads: s3:PutObject, s3:GetObject, s3:DeleteObject, s3:ListBucket, s3:AbortMultipartUpload. In a bucket with versions "
    "also s3:ListBucketVersions and s3:DeleteObjectVersion.",
)
KEY_DENIED = Trouble(
    "S3 Access Denied",
    "Allow kms:GenerateDataKey and kms:Decrypt on the encryption key to the same user, in the key's policy too, or "
    "check S3_SSE_KMS_KEY_ID.",
)
INVALID_CREDENTIALS = Trouble(
    "Invalid Credentials",
    "Verify AWS access keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN with temporary ones. "
    "Then start VideoVault again.",
)
CORS = Trouble(
    "CORS Errors",
    "Check bucket CORS configuration. Watching and downloading work without it; a page that reads videos by script "
    "needs a rule that allows GET and HEAD from this address.",
)
MISSING_VIDEOS = Trouble(
    "Missing Videos",
    "Verify user email and video status: find the video under Videos by its owner's address. If its file is gone, "
    "look for differences below.",
)
DOWNLOAD_FAILURES = Trouble(
    "Download Failures",
    "Check external video URL accessibility: open the address in a private browser window. Generators' "
    "links expire; give a stuck video a new one under Videos.",
)


def broken(error: VideoVaultError, mend: str = "", steps: tuple[StepView, ...] = ()) -> Outcome:
    """What an error means; ``mend`` for those that the guide does not know."""
    answer = error.answer if isinstance(error, StorageError) else None
    details = (f"The S3 said: {answer}",) if answer else ()
    trouble = _trouble(error)
    if trouble is None:
        return Outcome("broken", error.public_message, mend, steps=steps, details=details)
    return Outcome("broken", error.public_message, trouble.advice, trouble.name, steps, details)


def about(passed: timedelta) -> str:
    """``20 minutes``."""
    return format_duration(passed.total_seconds())


def _trouble(error: VideoVaultError) -> Trouble | None:
    match error:
        case EncryptionKeyDenied():
            return KEY_DENIED
        case AccessDenied():
            return ACCESS_DENIED
        case InvalidCredentials():
            return INVALID_CREDENTIALS
        case SourceError():
            return DOWNLOAD_FAILURES
        case _:
            return None


def mend_storage(error: StorageError) -> str:
    """For storage errors beyond the guide's two."""
    if error.retryable:
        return "Check that the S3 is up and that AWS_ENDPOINT_URL_S3 and AWS_REGION lead to it."
    if error.answer and error.answer.region:
        return f"Set AWS_REGION={error.answer.region}, then start VideoVault again."
    return "Check AWS_S3_BUCKET_NAME, AWS_REGION and AWS_ENDPOINT_URL_S3."

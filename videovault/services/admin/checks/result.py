"""The result of a check, and the advice that the guide's Troubleshooting gives for errors."""

from dataclasses import dataclass
from typing import Literal

from videovault.errors import SourceError, StorageError, VideoVaultError
from videovault.gateways.s3_client import AccessDenied, EncryptionKeyDenied, InvalidCredentials
from videovault.services.core.views import View

STORE_ADVICE = "Check that the S3 is up and that AWS_ENDPOINT_URL_S3 and AWS_REGION lead to it."
State = Literal["ok", "warning", "broken"]


class StepView(View):
    """One step of a check; ``is_done`` is False for the one that failed and all after it."""

    name: str
    is_done: bool


class CheckView(View):
    """The result of a check.

    ``found`` is a sentence, ``problem`` the guide's name for what is wrong, ``advice`` how to repair it; ``details``
    are further sentences, such as the store's error message; ``seconds`` is the duration of the check.
    """

    name: str
    title: str
    state: State
    found: str
    problem: str = ""
    advice: str = ""
    steps: list[StepView] = []
    details: list[str] = []
    seconds: float = 0


@dataclass(frozen=True)
class CheckResult:
    state: State
    found: str
    advice: str = ""
    problem: str = ""
    steps: tuple[StepView, ...] = ()
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class TroubleshootingEntry:
    """An entry of the guide's Troubleshooting, its advice in more detail."""

    name: str
    advice: str


ACCESS_DENIED = TroubleshootingEntry(
    "S3 Access Denied",
    "Check IAM permissions and bucket policy. VideoVault puts, gets, lists and deletes objects and aborts multipart "
    "uploads: s3:PutObject, s3:GetObject, s3:DeleteObject, s3:ListBucket, s3:AbortMultipartUpload. In a bucket with versions "
    "also s3:ListBucketVersions and s3:DeleteObjectVersion.",
)
KEY_DENIED = TroubleshootingEntry(
    "S3 Access Denied",
    "Allow kms:GenerateDataKey and kms:Decrypt on the encryption key to the same user, in the key's policy too, or "
    "check S3_SSE_KMS_KEY_ID.",
)
INVALID_CREDENTIALS = TroubleshootingEntry(
    "Invalid Credentials",
    "Verify AWS access keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN with temporary ones. "
    "Then start VideoVault again.",
)
CORS = TroubleshootingEntry(
    "CORS Errors",
    "Check bucket CORS configuration. Watching and downloading work without it; a page that reads videos by script "
    "needs a rule that allows GET and HEAD from this address, which `python -m videovault bucket setup` adds.",
)
MISSING_VIDEOS = TroubleshootingEntry(
    "Missing Videos",
    "Verify user email and video status: find the video under Videos by its owner's address. If its file is gone, "
    "look for differences below.",
)
DOWNLOAD_FAILURES = TroubleshootingEntry(
    "Download Failures",
    "Check external video URL accessibility: open the address in a private browser window. Generators' "
    "links expire; give a stuck video a new one under Videos.",
)


def failed_check(error: VideoVaultError, advice: str = "", steps: tuple[StepView, ...] = ()) -> CheckResult:
    """The result for an error; ``advice`` is for errors that the guide does not cover."""
    answer = error.answer if isinstance(error, StorageError) else None
    details = (f"The S3 said: {answer}",) if answer else ()
    problem = _entry_for(error)
    if problem is None:
        return CheckResult("broken", error.public_message, advice, steps=steps, details=details)
    return CheckResult("broken", error.public_message, problem.advice, problem.name, steps, details)


def _entry_for(error: VideoVaultError) -> TroubleshootingEntry | None:
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


def storage_advice(error: StorageError) -> str:
    """Advice for storage errors that the guide does not cover."""
    if error.retryable:
        return STORE_ADVICE
    if error.answer and error.answer.region:
        return f"Set AWS_REGION={error.answer.region}, then start VideoVault again."
    return "Check AWS_S3_BUCKET_NAME, AWS_REGION and AWS_ENDPOINT_URL_S3."

"""Every error that may reach a person: drawn once here, translated once at each edge.

VideoVaultError            safe to show: ``public_message``
├── ConfigurationError     the installation refuses to start
├── InvalidInput           the caller can mend it; ``fields`` says where
│   ├── UnsafeUrl          an address that must not be fetched
│   └── NotUnderstood      a generator's report that could not be read
├── NotSignedIn
├── Forbidden
│   └── WrongSecretKey
├── NotFound               absent, or not yours: the same answer
│   ├── UserNotFound
│   └── VideoNotFound
├── Conflict               the state of the thing does not allow it
│   ├── ObjectSwapped      S3 holds another file than the one that was stored
│   └── StillRunning       the same call is being answered; ``retry_after`` seconds
├── TooLarge
│   └── QuotaExceeded
├── RateLimited            ``retry_after`` seconds
│   └── Busy               too many at once, whoever they are
├── DiskFull               reading, signing in and deleting still work
└── UpstreamError          ``retryable`` tells the worker what to do
    ├── WebhookError       (WebhookUnanswered: sent, but the answer was lost; WebhookBusy: nothing was begun)
    ├── MailError
    ├── SourceError
    └── StorageError
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class VideoVaultError(Exception):
    """Base of all; ``code`` is the API's error code, ``public_message`` a sentence for a person.

    ``video_id`` is the video that the error is about, where the caller did not name it.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    video_id: str = ""

    def __init__(self, public_message: str) -> None:
        super().__init__(public_message)
        self.public_message = public_message


class ConfigurationError(VideoVaultError):
    code = "CONFIGURATION"


class InvalidInput(VideoVaultError):
    code = "INVALID_INPUT"

    def __init__(self, public_message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(public_message)
        self.fields = dict(fields or {})


class UnsafeUrl(InvalidInput):
    code = "UNSAFE_URL"


class UnreadableReport(InvalidInput):
    """The video it speaks of goes on waiting, and its owner is told."""


class NotSignedIn(VideoVaultError):
    code = "NOT_SIGNED_IN"

    def __init__(self, public_message: str = "Please sign in.") -> None:
        super().__init__(public_message)


class Forbidden(VideoVaultError):
    code = "FORBIDDEN"

    def __init__(self, public_message: str = "You may not do this.") -> None:
        super().__init__(public_message)


class WrongSecretKey(Forbidden):
    code = "WRONG_SECRET_KEY"

    def __init__(self, public_message: str = "This link does not work any more.") -> None:
        super().__init__(public_message)


class NotFound(VideoVaultError):
    code = "NOT_FOUND"


class UserNotFound(NotFound):
    code = "USER_NOT_FOUND"

    def __init__(self, public_message: str = "There is no such user.") -> None:
        super().__init__(public_message)


class VideoNotFound(NotFound):
    code = "VIDEO_NOT_FOUND"

    def __init__(self, public_message: str = "There is no such video.") -> None:
        super().__init__(public_message)


class Conflict(VideoVaultError):
    code = "CONFLICT"


class ObjectSwapped(Conflict):
    def __init__(
        self,
        public_message: str = "Another file is stored in the place of this video, so nothing is done with it. "
        "An admin can look into it and delete it.",
    ) -> None:
        super().__init__(public_message)


class RequestInProgress(Conflict):
    def __init__(self, public_message: str, retry_after: int = 2) -> None:
        super().__init__(public_message)
        self.retry_after = retry_after


class TooLarge(VideoVaultError):
    code = "TOO_LARGE"


class QuotaExceeded(TooLarge):
    code = "QUOTA_EXCEEDED"


class RateLimited(VideoVaultError):
    code = "RATE_LIMITED"

    def __init__(self, public_message: str, retry_after: int) -> None:
        super().__init__(public_message)
        self.retry_after = retry_after


class Busy(RateLimited):
    def __init__(
        self,
        public_message: str = "The server is busy. Please try again in a few seconds.",
        retry_after: int = 3,
    ) -> None:
        super().__init__(public_message, retry_after)


class DiskFull(VideoVaultError):
    code = "DISK_FULL"

    def __init__(
        self,
        public_message: str = "The disk is full, so nothing new can be saved. Watching, downloading and deleting "
        "still work. Delete videos that are not needed, or ask the admin for more room.",
    ) -> None:
        super().__init__(public_message)


class UpstreamError(VideoVaultError):
    """Something outside failed; ``retryable`` when the same call may succeed later."""

    code = "UPSTREAM_FAILED"

    def __init__(self, public_message: str, *, retryable: bool = False) -> None:
        super().__init__(public_message)
        self.retryable = retryable


def is_transient(error: VideoVaultError) -> bool:
    """Whether trying again may help, without anybody changing anything."""
    return isinstance(error, UpstreamError) and error.retryable


class WebhookError(UpstreamError):
    code = "WEBHOOK_FAILED"


class WebhookUnanswered(WebhookError):
    """The request went out and no answer came: a render may be under way, so it is not asked again."""


class WebhookBusy(WebhookError):
    """Refused for now, with nothing begun: worth asking again, after ``retry_after`` seconds if it said so."""

    def __init__(self, public_message: str, retry_after: float | None = None) -> None:
        super().__init__(public_message, retryable=True)
        self.retry_after = retry_after


class MailError(UpstreamError):
    code = "MAIL_FAILED"


class SourceError(UpstreamError):
    code = "SOURCE_FAILED"


@dataclass(frozen=True)
class StoreErrorResponse:
    """A refusal in the store's own words, for the log and for admins; ``region`` is the bucket's, where it is told."""

    operation: str
    status: int
    code: str
    message: str = ""
    request_id: str = ""
    region: str = ""

    def __str__(self) -> str:
        words = (
            f"{self.code or self.status}: {self.message}" if self.message else self.code or str(self.status)
        )
        told = f"{self.operation}: {words}" if self.operation else words
        return f"{told} (request {self.request_id})" if self.request_id else told


class StorageError(UpstreamError):
    """``answer`` is what the store said, None where it did not answer."""

    code = "STORAGE_FAILED"

    def __init__(
        self, public_message: str, *, retryable: bool = False, answer: StoreErrorResponse | None = None
    ) -> None:
        super().__init__(public_message, retryable=retryable)
        self.answer = answer

"""Every error that may be shown to a person. Each edge translates them in one place.

VideoVaultError            safe to show: ``public_message``
├── ConfigurationError     the installation refuses to start
├── InvalidInput           the caller can correct it; ``fields`` has a message for each field
│   ├── UnsafeUrl          a URL that must not be fetched
│   └── UnreadableReport   a generator's report that could not be read
├── NotSignedIn
├── Forbidden
│   └── WrongSecretKey
├── NotFound               absent or owned by another user: the same answer
│   ├── UserNotFound
│   └── VideoNotFound
├── Conflict               the current state does not allow it
│   ├── ObjectSwapped      S3 holds another file than the one that was stored
│   └── RequestInProgress  the same call is in progress; ``retry_after`` seconds
├── TooLarge
│   └── QuotaExceeded
├── RateLimited            ``retry_after`` seconds
│   └── Busy               too many concurrent calls of all users
├── DiskFull               reading, signing in and deleting still work
├── DatabaseUnavailable    made at the edges; ``retry_after`` seconds
└── UpstreamError          the worker retries it if ``retryable``
    ├── WebhookError       (WebhookUnanswered: sent, but the answer was lost; WebhookBusy: not started)
    ├── MailError
    ├── SourceError
    └── StorageError
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


class VideoVaultError(Exception):
    """Base class; ``code`` is the API's error code, ``public_message`` a sentence for a person.

    ``video_id`` is the video that the error is about, if the caller did not name it.
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
    """The video keeps waiting, and its owner is informed."""


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

    def __init__(self, public_message: str = "This link no longer works.") -> None:
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
        public_message: str = "The stored file of this video was replaced by another one, so it is left as it is. "
        "An admin can check and delete it.",
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


class DatabaseUnavailable(VideoVaultError):
    """Made at the edges from the database's own errors, which workers and maintenance treat by themselves."""

    code = "UNAVAILABLE"
    retry_after = 5

    def __init__(
        self,
        public_message: str = "The database does not answer at the moment. Nothing that was saved is lost. Please try "
        "again in a few seconds.",
    ) -> None:
        super().__init__(public_message)


class UpstreamError(VideoVaultError):
    """An external service failed; ``retryable`` if the same call may succeed later."""

    code = "UPSTREAM_FAILED"

    def __init__(self, public_message: str, *, retryable: bool = False) -> None:
        super().__init__(public_message)
        self.retryable = retryable


def is_transient(error: VideoVaultError) -> bool:
    """Whether a retry may succeed without any change."""
    return isinstance(error, UpstreamError) and error.retryable


class WebhookError(UpstreamError):
    code = "WEBHOOK_FAILED"


class WebhookUnanswered(WebhookError):
    """The request was sent, but no answer came. A render may be in progress, so it is not sent again."""


class WebhookBusy(WebhookError):
    """Refused for now without starting anything: it may be sent again, after ``retry_after`` seconds if given."""

    def __init__(self, public_message: str, retry_after: float | None = None) -> None:
        super().__init__(public_message, retryable=True)
        self.retry_after = retry_after


class MailError(UpstreamError):
    code = "MAIL_FAILED"


class SourceError(UpstreamError):
    code = "SOURCE_FAILED"


@dataclass(frozen=True)
class StoreErrorResponse:
    """The store's own error message, for the log and for admins; ``region`` is the bucket's, if given."""

    operation: str
    status: int
    code: str
    message: str = ""
    request_id: str = ""
    region: str = ""

    def __str__(self) -> str:
        parts = (self.operation, self.code or str(self.status), self.message)
        text = ": ".join(part for part in parts if part)
        return f"{text} (request {self.request_id})" if self.request_id else text


class StorageError(UpstreamError):
    """``answer`` is the store's response, None if it did not answer."""

    code = "STORAGE_FAILED"

    def __init__(
        self, public_message: str, *, retryable: bool = False, answer: StoreErrorResponse | None = None
    ) -> None:
        super().__init__(public_message, retryable=retryable)
        self.answer = answer

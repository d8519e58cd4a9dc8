"""Trying again after passing faults: bounded, further and further apart, and never deaf to being stopped."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from videovault import logs
from videovault.errors import UpstreamError
from videovault.gateways import s3_retry
from videovault.gateways.s3_retry import interruptible_sleep
from videovault.gateways.source import SourceUnavailable
from videovault.services.transfer.engine.types import RetryPolicy

# So much is progress, however many failures it took: a connection that is reset brings as little as its first
# window, 64 KiB, since what was still under way is lost.
PROGRESS_BYTES = 256 * 1024

T = TypeVar("T")
Check = Callable[[], object]
log = logs.get(__name__)


class SourceRetries:
    """The failures of one source connection since it last made progress."""

    def __init__(self, patience: RetryPolicy, check: Check) -> None:
        self._patience = patience
        self._check = check
        self._failures = 0
        self._bytes = 0

    def progressed(self, count: int) -> None:
        self._bytes += count
        if self._bytes >= PROGRESS_BYTES:
            self._failures, self._bytes = 0, 0

    def wait(self, error: UpstreamError) -> None:
        """Pause before the next try; raises ``error`` when it is final or has come too often."""
        self._failures += 1
        if not error.retryable or self._failures >= self._patience.tries:
            raise error
        asked = error.retry_after if isinstance(error, SourceUnavailable) else None
        if asked and asked > self._patience.max_retry_after:
            minutes = math.ceil(asked / 60)
            message = f"The source asks us to wait {minutes:,} minutes. Try again then."
            raise SourceUnavailable(message, asked) from error
        log.info("source failed, trying again", failures=self._failures, reason=error.public_message)
        interruptible_sleep(max(asked or 0, backoff(self._patience, self._failures)), self._check)


def retry_storage_call(call: Callable[[], T], patience: RetryPolicy, check: Check) -> T:
    """The outcome of calls to S3, which may be away for a while; raises StorageError when it stays away."""
    with storage_retry_policy(patience, check):
        return s3_retry.call_with_retry(call)


@contextmanager
def storage_retry_policy(patience: RetryPolicy, check: Check) -> Iterator[None]:
    """Every call to S3 from this thread waits as ``patience`` says while the block runs."""
    chosen = s3_retry.StorageRetryPolicy(
        patience.storage_seconds, patience.first_pause, patience.max_pause, check
    )
    with s3_retry.use_policy(chosen):
        yield


def backoff(patience: RetryPolicy, failures: int) -> float:
    """Seconds before the next try."""
    return s3_retry.backoff(patience.first_pause, patience.max_pause, failures)

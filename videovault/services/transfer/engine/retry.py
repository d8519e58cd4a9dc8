"""Retries after transient faults: bounded, with growing pauses, and interruptible."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from videovault import logs
from videovault.backoff import exponential
from videovault.errors import UpstreamError
from videovault.gateways import s3_client
from videovault.gateways.s3_client import interruptible_sleep
from videovault.gateways.source import SourceUnavailable
from videovault.services.transfer.engine.types import RetryPolicy

# This many bytes count as progress and reset the failures. A connection that is reset may deliver as little as its
# first window, 64 KiB, because what was in flight is lost.
PROGRESS_BYTES = 256 * 1024

T = TypeVar("T")
Check = Callable[[], object]
log = logs.get(__name__)


class SourceRetries:
    """The failures of one source connection since its last progress."""

    def __init__(self, policy: RetryPolicy, check: Check) -> None:
        self._policy = policy
        self._check = check
        self._failures = 0
        self._bytes = 0

    def progressed(self, count: int) -> None:
        self._bytes += count
        if self._bytes >= PROGRESS_BYTES:
            self._failures, self._bytes = 0, 0

    def wait(self, error: UpstreamError) -> None:
        """Pause before the next attempt; raises ``error`` when it is final or occurred too often."""
        self._failures += 1
        if not error.retryable or self._failures >= self._policy.max_failures:
            raise error
        retry_after = error.retry_after if isinstance(error, SourceUnavailable) else None
        if retry_after and retry_after > self._policy.max_retry_after:
            minutes = math.ceil(retry_after / 60)
            message = f"The source asks us to wait {minutes:,} minutes. Try again then."
            raise SourceUnavailable(message, retry_after) from error
        log.info("source failed, retrying", failures=self._failures, reason=error.public_message)
        interruptible_sleep(max(retry_after or 0, backoff(self._policy, self._failures)), self._check)


def retry_storage_call(call: Callable[[], T], policy: RetryPolicy, check: Check) -> T:
    """The result of calls to S3, retried while it is unavailable; raises StorageError when that lasts too long."""
    with storage_retry_policy(policy, check):
        return s3_client.call_with_retry(call)


@contextmanager
def storage_retry_policy(policy: RetryPolicy, check: Check) -> Iterator[None]:
    """Apply ``policy`` to all calls to S3 from this thread while the block runs."""
    chosen = s3_client.StorageRetryPolicy(policy.storage_seconds, policy.first_pause, policy.max_pause, check)
    with s3_client.use_policy(chosen):
        yield


def backoff(policy: RetryPolicy, failures: int) -> float:
    """Seconds before the next attempt."""
    return exponential(policy.first_pause, policy.max_pause, failures)

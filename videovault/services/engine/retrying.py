"""Trying again after passing faults: bounded, further and further apart, and never deaf to being stopped."""

import math
import random
import time
from collections.abc import Callable
from typing import TypeVar

from videovault import logs
from videovault.errors import StorageError, UpstreamError
from videovault.gateways.source import SourceUnavailable
from videovault.services.engine.shapes import Patience

# So much is progress, however many failures it took: a connection that is reset brings as little as its first
# window, 64 KiB, since what was still under way is lost.
PROGRESS_BYTES = 256 * 1024
SLICE_SECONDS = 0.2

T = TypeVar("T")
Check = Callable[[], object]
log = logs.get(__name__)


class Retries:
    """The failures of one source connection since it last made progress."""

    def __init__(self, patience: Patience, check: Check) -> None:
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
        if asked and asked > self._patience.longest_retry_after:
            minutes = math.ceil(asked / 60)
            message = f"The source asks us to wait {minutes:,} minutes. Try again then."
            raise SourceUnavailable(message, asked) from error
        log.info("source failed, trying again", failures=self._failures, reason=error.public_message)
        pause(max(asked or 0, backoff(self._patience, self._failures)), self._check)


def with_storage(call: Callable[[], T], patience: Patience, check: Check) -> T:
    """The outcome of a call to S3, which may be away for a while; raises StorageError when it stays away."""
    until = time.monotonic() + patience.storage_seconds
    failures = 0
    while True:
        try:
            return call()
        except StorageError as error:
            failures += 1
            if not error.retryable or time.monotonic() > until:
                raise
            log.info("S3 failed, trying again", failures=failures, reason=error.public_message)
        pause(backoff(patience, failures), check)


def backoff(patience: Patience, failures: int) -> float:
    """Seconds: doubling, with jitter so that many transfers do not come back at the same moment."""
    longest = min(patience.longest_pause, patience.first_pause * (1 << min(failures - 1, 16)))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - nobody gains by guessing it


def pause(seconds: float, check: Check) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(left, SLICE_SECONDS))
    check()

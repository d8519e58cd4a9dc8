"""Retries of S3 calls while the store is unavailable: bounded, with exponential backoff, and interruptible."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from videovault import logs
from videovault.backoff import exponential
from videovault.config import settings
from videovault.errors import StorageError

CHECK_SECONDS = 0.2
FIRST_POLL_SECONDS, MAX_POLL_SECONDS = 0.2, 2.0
# How long a store may take to show a new object.
VISIBLE_SECONDS = 15.0
T = TypeVar("T")
log = logs.get(__name__)


def _no_check() -> None:
    """For calls that nothing interrupts."""


@dataclass(frozen=True)
class StorageRetryPolicy:
    """All in seconds. ``check`` is called during pauses; its exception ends the call."""

    seconds: float
    first_pause: float = 0.2
    max_pause: float = 2.0
    check: Callable[[], object] = _no_check


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

"""How long a call to S3 waits for a store that is away: bounded, with growing pauses, and stoppable."""

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
# How long a store may take to show what it has just stored.
VISIBLE_SECONDS = 15.0
T = TypeVar("T")
log = logs.get(__name__)


def _never_stopped() -> None:
    """For callers that nothing interrupts."""


@dataclass(frozen=True)
class StorageRetryPolicy:
    """Seconds. ``check`` is called during pauses; what it raises ends the call."""

    seconds: float
    first_pause: float = 0.2
    max_pause: float = 2.0
    check: Callable[[], object] = _never_stopped


_policy: ContextVar[StorageRetryPolicy | None] = ContextVar("retry_policy", default=None)


@contextmanager
def use_policy(chosen: StorageRetryPolicy) -> Iterator[None]:
    """Calls to S3 from this thread follow ``chosen`` while the block runs; otherwise S3_RETRY_SECONDS holds."""
    token = _policy.set(chosen)
    try:
        yield
    finally:
        _policy.reset(token)


@contextmanager
def short_policy() -> Iterator[None]:
    """What can be done without waits no longer than S3_RETRY_SECONDS; ``check`` still interrupts it."""
    check = (_policy.get() or StorageRetryPolicy(0)).check
    with use_policy(StorageRetryPolicy(settings().s3_retry_seconds, check=check)):
        yield


def call_with_retry(call: Callable[[], T]) -> T:
    """The result of ``call``, repeated while it raises a retryable StorageError and the policy's time lasts."""
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
            log.info("S3 failed, trying again", failures=failures, reason=error.public_message)
        interruptible_sleep(exponential(chosen.first_pause, chosen.max_pause, failures), chosen.check)


def poll_until(look: Callable[[], T], is_there: Callable[[T], bool], seconds: float) -> T:
    """What ``look`` finds, repeated until ``is_there`` says so or the seconds are over: stores may show a write late."""
    check = (_policy.get() or StorageRetryPolicy(0)).check
    until = time.monotonic() + seconds
    looks = 0
    while not is_there(found := look()) and time.monotonic() < until:
        looks += 1
        interruptible_sleep(exponential(FIRST_POLL_SECONDS, MAX_POLL_SECONDS, looks), check)
    return found


def interruptible_sleep(seconds: float, check: Callable[[], object]) -> None:
    """Sleep, calling ``check`` several times a second."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(left, CHECK_SECONDS))
    check()

"""Backoff: how long to wait before the next attempt. Delays have jitter, so that many callers do not return at once."""

import random
from datetime import timedelta

FIRST_POLL_SECONDS, MAX_POLL_SECONDS = 5.0, 60.0
MIN_REFETCH_SECONDS = 3.0
MAX_RETRY_AFTER = 3600.0  # seconds; a longer Retry-After is a mistake, or of no use to the person who waits


def exponential(first: float, longest: float, failures: int, *, jitter: float = 0.5) -> float:
    """Seconds: doubled with each failure up to ``longest``, then reduced by up to the share ``jitter``."""
    return _jittered(min(longest, first * (1 << min(failures - 1, 16))), jitter)


def poll_delay(polls: int, retry_after: float | None = None) -> timedelta:
    """The wait after ``polls`` without a result, at least the generator's own ``retry_after`` in seconds."""
    seconds = exponential(FIRST_POLL_SECONDS, MAX_POLL_SECONDS, polls + 1, jitter=0.25)
    return timedelta(seconds=max(seconds, min(retry_after or 0, MAX_RETRY_AFTER)))


def refetch_delay(waited: timedelta) -> timedelta:
    """The wait before a file that has been missing for ``waited`` is fetched again: about as long again."""
    seconds = max(MIN_REFETCH_SECONDS, min(waited.total_seconds(), MAX_POLL_SECONDS))
    return timedelta(seconds=_jittered(seconds, 0.25))


def _jittered(seconds: float, share: float) -> float:
    return seconds * random.uniform(1 - share, 1)  # noqa: S311 - jitter is no secret

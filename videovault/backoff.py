"""When to ask a generator, or for its file, again: soon at first, then further and further apart, never before it wants to be asked."""

import random
from datetime import datetime, timedelta

from videovault.clock import utcnow

FIRST_POLL_SECONDS, MAX_POLL_SECONDS = 5.0, 60.0
MIN_FETCH_SECONDS = 3.0
MAX_RETRY_AFTER = 3600.0  # a Retry-After beyond is a mistake, or no use to whoever waits


def next_poll_at(asks: int, retry_after: float | None = None) -> datetime:
    """The time of the next call after ``asks`` in vain; ``retry_after`` is in seconds.

    With jitter, so that many videos do not come back at the same moment.
    """
    longest = min(MAX_POLL_SECONDS, FIRST_POLL_SECONDS * (1 << min(asks, 16)))
    seconds = max(longest * random.uniform(0.75, 1), min(retry_after or 0, MAX_RETRY_AFTER))  # noqa: S311 - nobody gains by guessing it
    return utcnow() + timedelta(seconds=seconds)


def next_fetch_at(since: datetime, at: datetime) -> datetime:
    """When to fetch a file again that has not been there from ``since`` until ``at``: after as long again.

    With jitter, as above.
    """
    waited = max(MIN_FETCH_SECONDS, min((at - since).total_seconds(), MAX_POLL_SECONDS))
    return at + timedelta(seconds=waited * random.uniform(0.75, 1))  # noqa: S311 - as above

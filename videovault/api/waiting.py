"""Calls that wait for the worker hold no thread: they look at the row now and then."""

import time
from collections.abc import Callable

import anyio
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from videovault.errors import (
    Conflict,
    QuotaExceeded,
    SourceError,
    StorageError,
    TooLarge,
    UnsafeUrl,
    VideoNotFound,
    VideoVaultError,
    WebhookError,
)
from videovault.services.views import Failure, VideoView

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 0.5  # seconds between looks
KINDS: dict[str, Callable[[str], VideoVaultError]] = {
    kind.code: kind for kind in (SourceError, StorageError, UnsafeUrl, TooLarge, QuotaExceeded, WebhookError)
} | {"CANCELLED": Conflict}


async def until(
    request: Request, look: Callable[[], VideoView], done: Callable[[VideoView], bool], seconds: float
) -> VideoView:
    """The video once it is ``done``, or as it is when the time is over or the caller has gone.

    Raises Conflict when it is deleted meanwhile.
    """
    end, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            seen = await run_in_threadpool(look)
        except VideoNotFound as error:
            raise Conflict("This video was deleted meanwhile.") from error
        left = end - time.monotonic()
        if done(seen) or left <= 0 or await request.is_disconnected():
            return seen
        await anyio.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def reason(failure: Failure | None, otherwise: Callable[[str], VideoVaultError]) -> VideoVaultError:
    """What to raise for a video that failed while its caller waited."""
    if failure is None:
        return otherwise("It failed.")
    return KINDS.get(failure.code, otherwise)(failure.message)

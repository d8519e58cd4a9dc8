"""Waiting for videos without a thread per caller: one task polls all awaited videos in one query."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import anyio
from fastapi import Request

from videovault import errors, logs
from videovault.errors import VideoVaultError
from videovault.models import Status
from videovault.services.core import idempotency
from videovault.services.core.views import Failure
from videovault.services.videos import gallery

MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.1, 0.5  # the interval starts again at the minimum with each new caller
RENEW_SECONDS = 5.0
FAILURE_ERRORS: dict[str, Callable[[str], VideoVaultError]] = {
    kind.code: kind
    for kind in (
        errors.DiskFull,
        errors.QuotaExceeded,
        errors.SourceError,
        errors.StorageError,
        errors.TooLarge,
        errors.UnsafeUrl,
        errors.WebhookError,
    )
} | {"CANCELLED": errors.Conflict}

log = logs.get(__name__)


@dataclass(frozen=True, eq=False)
class _Waiter:
    video_id: str
    busy: Collection[Status]
    holder: str
    done: asyncio.Future[None]

    def end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class VideoWatcher:
    """The callers of this process that wait for a video, and the task that polls while there are any."""

    def __init__(self) -> None:
        self._waiters: set[_Waiter] = set()
        self._task: asyncio.Task[None] | None = None
        self._poll_seconds = MIN_POLL_SECONDS
        self._renewed_at = 0.0
        self._is_closed = False
        # A thread of its own, which slow calls cannot occupy.
        self._thread = anyio.CapacityLimiter(1)

    async def wait(
        self, request: Request, video_id: str, busy: Collection[Status], seconds: float, holder: str = ""
    ) -> bool:
        """Wait until the video is gone or has none of the ``busy`` statuses, the time is up, or the server stops.

        The idempotency key's lease of ``holder`` is renewed meanwhile. Returns False if the caller disconnected.
        """
        if seconds <= 0 or self._is_closed:
            return True
        waiter = _Waiter(video_id, busy, holder, asyncio.get_running_loop().create_future())
        disconnect = asyncio.create_task(_disconnect(request))
        self._add(waiter)
        try:
            await asyncio.wait(
                {waiter.done, disconnect}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return not disconnect.done()
        finally:
            self._waiters.discard(waiter)
            disconnect.cancel()

    def close(self) -> None:
        """End all waits now, and let no more begin: the server stops."""
        self._is_closed = True
        for waiter in self._waiters:
            waiter.end()

    def _add(self, waiter: _Waiter) -> None:
        self._waiters.add(waiter)
        self._poll_seconds = MIN_POLL_SECONDS
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="poll awaited videos")

    async def _run(self) -> None:
        while self._waiters:
            await asyncio.sleep(self._poll_seconds)
            self._poll_seconds = min(self._poll_seconds * 1.5, MAX_POLL_SECONDS)
            try:
                await self._poll()
                await self._renew()
            except Exception:  # a short outage of the database must not cost the callers their responses
                log.exception("polling awaited videos failed, trying again")

    async def _poll(self) -> None:
        waiters = [*self._waiters]  # the query does not cover those that come while it runs
        video_ids = {waiter.video_id for waiter in waiters}
        statuses = await anyio.to_thread.run_sync(gallery.statuses, video_ids, limiter=self._thread)
        for waiter in waiters:
            if statuses.get(waiter.video_id) not in waiter.busy:
                waiter.end()

    async def _renew(self) -> None:
        holders = {waiter.holder for waiter in self._waiters} - {""}
        if holders and time.monotonic() - self._renewed_at > RENEW_SECONDS:
            await anyio.to_thread.run_sync(idempotency.renew, holders, limiter=self._thread)
            self._renewed_at = time.monotonic()


def failure_error(failure: Failure | None, default: Callable[[str], VideoVaultError]) -> VideoVaultError:
    """The error for a video that failed while its caller waited."""
    if failure is None:
        return default("It failed.")
    return FAILURE_ERRORS.get(failure.code, default)(failure.message)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

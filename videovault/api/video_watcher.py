"""Calls that wait for the worker hold no thread: one task looks at all awaited videos in one query."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import anyio
from fastapi import Request

from videovault import logs
from videovault.errors import (
    Conflict,
    DiskFull,
    QuotaExceeded,
    SourceError,
    StorageError,
    TooLarge,
    UnsafeUrl,
    VideoVaultError,
    WebhookError,
)
from videovault.models import Status
from videovault.services.core import idempotency
from videovault.services.core.views import Failure
from videovault.services.videos import gallery

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 0.5  # seconds between looks, short again for each newcomer
RENEW_SECONDS = 5.0
ENDS = (SourceError, StorageError, UnsafeUrl, TooLarge, QuotaExceeded, DiskFull, WebhookError)
KINDS: dict[str, Callable[[str], VideoVaultError]] = {kind.code: kind for kind in ENDS} | {
    "CANCELLED": Conflict
}

log = logs.get(__name__)


@dataclass(frozen=True, eq=False)
class _Waiter:
    video_id: str
    busy: Collection[Status]
    holder: str
    over: asyncio.Future[None]

    def end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class VideoWatcher:
    """All that wait in this process, and the one task that looks for them while there are any."""

    def __init__(self) -> None:
        self._waiters: set[_Waiter] = set()
        self._task: asyncio.Task[None] | None = None
        self._pause = FIRST_PAUSE
        self._renewed = 0.0
        self._closed = False
        # A thread of its own, which cannot be kept from it by calls that are slow.
        self._thread = anyio.CapacityLimiter(1)

    async def until(
        self, request: Request, video_id: str, busy: Collection[Status], seconds: float, holder: str = ""
    ) -> bool:
        """Wait until the video is none of ``busy`` or gone, the time is over, or the server ends.

        ``holder`` of an idempotency key is kept alive meanwhile. False when the caller hung up.
        """
        if seconds <= 0 or self._closed:
            return True
        waiter = _Waiter(video_id, busy, holder, asyncio.get_running_loop().create_future())
        hung_up = asyncio.create_task(_hang_up(request))
        self._add(waiter)
        try:
            await asyncio.wait({waiter.over, hung_up}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return not hung_up.done()
        finally:
            self._waiters.discard(waiter)
            hung_up.cancel()

    def close(self) -> None:
        """The server ends: whoever waits is answered now, and nobody waits any more."""
        self._closed = True
        for waiter in self._waiters:
            waiter.end()

    def _add(self, waiter: _Waiter) -> None:
        self._waiters.add(waiter)
        self._pause = FIRST_PAUSE
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_on(), name="watch awaited videos")

    async def _look_on(self) -> None:
        while self._waiters:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 1.5, LONGEST_PAUSE)
            try:
                await self._look()
                await self._renew()
            except Exception:  # a database that is away for a moment must not cost anybody the answer
                log.exception("awaited videos could not be looked at, trying again")

    async def _look(self) -> None:
        waiters = [*self._waiters]  # as the look begins: it says nothing of those that come meanwhile
        wanted = {waiter.video_id for waiter in waiters}
        found = await anyio.to_thread.run_sync(gallery.statuses, wanted, limiter=self._thread)
        for waiter in waiters:
            if found.get(waiter.video_id) not in waiter.busy:
                waiter.end()

    async def _renew(self) -> None:
        holders = {waiter.holder for waiter in self._waiters} - {""}
        if holders and time.monotonic() - self._renewed > RENEW_SECONDS:
            await anyio.to_thread.run_sync(idempotency.renew, holders, limiter=self._thread)
            self._renewed = time.monotonic()


def failure_error(failure: Failure | None, otherwise: Callable[[str], VideoVaultError]) -> VideoVaultError:
    """What to raise for a video that failed while its caller waited."""
    if failure is None:
        return otherwise("It failed.")
    return KINDS.get(failure.code, otherwise)(failure.message)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

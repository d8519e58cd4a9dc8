"""How pages call the services: never on the event loop, and once for all tabs that need the same answer."""

import asyncio
import contextvars
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
IO_THREADS = 16
# A key is refreshed together with the others for this many times the lifetime of an answer.
REFRESH_LIFETIMES = 3.0

# A webhook or S3 may take minutes; in asyncio's few default threads such calls would hold up every small read.
_io_pool = ThreadPoolExecutor(IO_THREADS, thread_name_prefix="io")


async def run_in_db_pool(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """For a call that uses only the database."""
    return await asyncio.to_thread(call, *args, **kwargs)


async def run_in_io_pool(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """For a call that waits for a webhook or for S3."""
    bound = partial(contextvars.copy_context().run, call, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_io_pool, bound)


class BatchedCache(Generic[T]):
    """Answers valid for ``seconds``. One query at a time fetches those of all keys in recent use.

    ``fetch`` leaves out the keys for which there is no answer.
    """

    def __init__(
        self, seconds: float, fetch: Callable[[Collection[str]], Awaitable[Mapping[str, T]]]
    ) -> None:
        self._seconds, self._fetch = seconds, fetch
        self._used_at: dict[str, float] = {}
        self._answers: Mapping[str, T | None] = {}
        self._fetched_at = -math.inf
        self._query: asyncio.Task[Mapping[str, T | None]] | None = None

    async def get(self, key: str) -> T | None:
        """The answer for ``key``, which must name everything that the answer depends on, including the caller."""
        self._used_at[key] = time.monotonic()
        if key in self._answers and time.monotonic() - self._fetched_at < self._seconds:
            return self._answers[key]
        while True:
            answers = await asyncio.shield(self._running_query())
            if key in answers:  # else the query had started before this key was added
                return answers[key]

    def _running_query(self) -> "asyncio.Task[Mapping[str, T | None]]":
        if self._query is None or self._query.done():
            self._query = asyncio.get_running_loop().create_task(self._fetch_all())
            self._query.add_done_callback(_mark_retrieved)
        return self._query

    async def _fetch_all(self) -> Mapping[str, T | None]:
        started = time.monotonic()
        oldest = started - max(1.0, self._seconds) * REFRESH_LIFETIMES
        self._used_at = {key: at for key, at in self._used_at.items() if at >= oldest}
        keys = list(self._used_at)
        found = await self._fetch(keys)
        self._answers, self._fetched_at = {key: found.get(key) for key in keys}, started
        return self._answers


def _mark_retrieved(query: asyncio.Future[Any]) -> None:
    """Keep asyncio from reporting an error as never retrieved when every waiting tab has been closed."""
    if not query.cancelled():
        query.exception()

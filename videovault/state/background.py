"""How pages call the services: never on the event loop, and once for all tabs that ask the same."""

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
KEEP_ASKING_FACTOR = 3.0  # times the life of an answer: for so long its key is asked for along with others

# A webhook or S3 may take minutes; in asyncio's own few threads it would keep everybody's small reads waiting.
_slow = ThreadPoolExecutor(IO_THREADS, thread_name_prefix="slow")


async def run_in_db_pool(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A call that asks the database only."""
    return await asyncio.to_thread(call, *args, **kwargs)


async def run_in_io_pool(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A call that goes out to a webhook or to S3."""
    bound = partial(contextvars.copy_context().run, call, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_slow, bound)


class BatchedCache(Generic[T]):
    """Answers that are good for ``seconds``: one question at a time, for all keys that anybody has asked for of late.

    ``ask`` leaves out the keys for which there is no answer.
    """

    def __init__(self, seconds: float, ask: Callable[[Collection[str]], Awaitable[Mapping[str, T]]]) -> None:
        self._seconds, self._ask = seconds, ask
        self._wanted: dict[str, float] = {}
        self._known: Mapping[str, T | None] = {}
        self._known_at = -math.inf
        self._asking: asyncio.Task[Mapping[str, T | None]] | None = None

    async def get(self, key: str) -> T | None:
        """The answer for ``key``, which must name all that it depends on, the caller too."""
        self._wanted[key] = time.monotonic()
        if key in self._known and time.monotonic() - self._known_at < self._seconds:
            return self._known[key]
        while True:
            answers = await asyncio.shield(self._question())
            if key in answers:  # else it was asked just before somebody wanted this one
                return answers[key]

    def _question(self) -> "asyncio.Task[Mapping[str, T | None]]":
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_for_all())
            self._asking.add_done_callback(_retrieved)
        return self._asking

    async def _ask_for_all(self) -> Mapping[str, T | None]:
        began = time.monotonic()
        late = began - max(1.0, self._seconds) * KEEP_ASKING_FACTOR
        self._wanted = {key: at for key, at in self._wanted.items() if at >= late}
        keys = list(self._wanted)
        found = await self._ask(keys)
        self._known, self._known_at = {key: found.get(key) for key in keys}, began
        return self._known


def _retrieved(answer: asyncio.Future[Any]) -> None:
    """Every tab that asked may be gone by now; an error is not to be reported as overlooked."""
    if not answer.cancelled():
        answer.exception()

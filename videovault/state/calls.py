"""How pages call the services: never on the event loop, and once for all tabs that ask the same."""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
SLOW_CALLS = 16

# A webhook or S3 may take minutes; in asyncio's own few threads it would keep everybody's small reads waiting.
_slow = ThreadPoolExecutor(SLOW_CALLS, thread_name_prefix="slow")


async def quickly(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A call that asks the database only."""
    return await asyncio.to_thread(call, *args, **kwargs)


async def patiently(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A call that goes out to a webhook or to S3."""
    bound = partial(contextvars.copy_context().run, call, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_slow, bound)


@dataclass(frozen=True)
class _Asked(Generic[T]):
    answer: asyncio.Future[T]
    at: float


class Shared(Generic[T]):
    """Answers that are good for ``seconds``: one question at a time, however many tabs ask it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked: dict[object, _Asked[T]] = {}

    async def get(self, key: object, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer for ``key``, which must name all that it depends on, the caller too."""
        found = self._asked.get(key)
        if found is None or self._is_stale(found):
            self._forget_stale()
            found = _Asked(asyncio.ensure_future(ask()), time.monotonic())
            found.answer.add_done_callback(_retrieved)
            self._asked[key] = found
        return await asyncio.shield(found.answer)

    def _is_stale(self, asked: _Asked[T]) -> bool:
        return asked.answer.done() and time.monotonic() - asked.at >= self._seconds

    def _forget_stale(self) -> None:
        self._asked = {key: asked for key, asked in self._asked.items() if not self._is_stale(asked)}


def _retrieved(answer: asyncio.Future[T]) -> None:
    """Every tab that asked may be gone by now; an error is not to be reported as overlooked."""
    if not answer.cancelled():
        answer.exception()

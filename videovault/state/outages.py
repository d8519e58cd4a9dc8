"""Outages of what pages depend on: noticed while pages are open, shown on all of them, and waited for by their loops."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from reflex_base.utils.exceptions import LockExpiredError
from sqlalchemy import Engine, select
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from videovault import db, logs
from videovault.config import settings

# Together less than the 3 seconds within which pages show an outage.
PERIOD_SECONDS, ANSWER_SECONDS = 0.7, 2.0
RETRY_SECONDS = 0.3  # between probes during an outage
OUTAGE_ERRORS = (
    *(OperationalError, InterfaceError, NoFreeConnection),
    *(RedisConnectionError, RedisTimeoutError, LockExpiredError),
)


def is_outage_error(error: BaseException) -> bool:
    """Whether what failed may succeed after an outage; other errors of the database are faults of the code."""
    if isinstance(error, SQLAlchemyError):
        return db.is_unavailable(error)
    return isinstance(error, OUTAGE_ERRORS)


Probe = Callable[[], Awaitable[Any]]
log = logs.get(__name__)
_probe_thread = ThreadPoolExecutor(1, thread_name_prefix="outages")


class OutageMonitor:
    """Calls ``probes`` while ``has_pages``, and ``report`` with whether there is an outage whenever that changes."""

    def __init__(self) -> None:
        self.outages = 0
        self._probes: Mapping[str, Probe] = {}
        self._report: Callable[[bool], Awaitable[None]] = _ignore
        self._has_pages: Callable[[], bool] = bool
        self._running: asyncio.Task[None] | None = None
        self._pending: dict[str, asyncio.Future[Any]] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._suspected = asyncio.Event()
        self._began_at: float | None = None

    @property
    def is_outage(self) -> bool:
        return self._began_at is not None

    def configure(
        self,
        probes: Mapping[str, Probe],
        report: Callable[[bool], Awaitable[None]],
        has_pages: Callable[[], bool],
    ) -> None:
        """``probes`` by the name of what they ask; they raise errors, and may hang."""
        self._probes, self._report, self._has_pages = probes, report, has_pages

    def start(self) -> None:
        """Probe until no page is open."""
        if self._running is None or self._running.done():
            self._suspected = asyncio.Event()
            self._pending, self._began_at = {}, None
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def wait_for_end(self) -> None:
        """Probe soon, and return when everything has answered."""
        self._suspected.set()
        if self._running is None or self._running.done():
            await asyncio.sleep(PERIOD_SECONDS)  # the last page has just been closed
            return
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(over)
        try:
            await over
        finally:
            self._waiting.discard(over)

    async def _run(self) -> None:
        try:
            while self._has_pages():
                await self._probe_once()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS if self.is_outage else PERIOD_SECONDS):
                        await asyncio.sleep(RETRY_SECONDS)  # however often an outage is suspected
                        await self._suspected.wait()
                self._suspected.clear()
        finally:
            self._began_at = None
            self._release()

    async def _probe_once(self) -> None:
        silent = await self._silent()
        if silent and not self.is_outage:
            self._began_at = time.monotonic()
            self.outages += 1
            log.warning("pages wait for the server", silent=", ".join(silent))
            await self._report(True)
        elif not silent:
            if self._began_at is not None:
                seconds = round(time.monotonic() - self._began_at, 1)
                self._began_at = None
                log.warning("pages follow again", after_seconds=seconds)
                self._release()
                await self._report(False)
            self._release()

    async def _silent(self) -> list[str]:
        """The names of those that have not answered; a probe that hangs is not called a second time."""
        for name, probe in self._probes.items():
            if name not in self._pending:
                self._pending[name] = asyncio.ensure_future(probe())
        if self._pending:
            await asyncio.wait(self._pending.values(), timeout=ANSWER_SECONDS)
        answered = {name: running for name, running in self._pending.items() if running.done()}
        failed = [name for name, running in answered.items() if running.cancelled() or running.exception()]
        self._pending = {name: each for name, each in self._pending.items() if name not in answered}
        return sorted([*self._pending, *failed])

    def _release(self) -> None:
        for over in self._waiting:
            if not over.done():
                over.set_result(None)


async def ask_database() -> None:
    """In a thread of its own: in an outage all others hang."""
    await asyncio.get_running_loop().run_in_executor(_probe_thread, _select_one)


def _select_one() -> None:
    with _probe_engine(settings().database_dsn).connect() as connection:
        connection.execute(select(1))


@lru_cache(maxsize=1)
def _probe_engine(dsn: str) -> Engine:
    """A connection of its own: a pool whose connections are all in use is no outage."""
    return db.make_engine(dsn)


async def _ignore(_is_outage: bool) -> None:
    pass


monitor = OutageMonitor()

"""One look for everybody who listens: each hears when something has changed for them, and costs nothing before."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from videovault import logs

T = TypeVar("T")
TROUBLE_SECONDS = 5.0  # between looks while the database does not answer

log = logs.get(__name__)


class Broadcast(Generic[T]):
    """Looks for all who listen, and only while somebody does.

    Those whom ``look`` leaves out have ``nothing``; ``pause`` says how many seconds to wait after what was found.
    """

    def __init__(
        self,
        look: Callable[[Collection[str]], Awaitable[Mapping[str, T]]],
        pause: Callable[[Mapping[str, T]], float],
        nothing: T,
    ) -> None:
        self._look, self._pause, self._nothing = look, pause, nothing
        self._listeners: dict[str, set[asyncio.Future[T]]] = {}
        self._known: dict[str, T] = {}
        self._looking: asyncio.Task[None] | None = None
        self._newcomers = asyncio.Event()

    async def hear(self, person: str, heard: T | None, seconds: float) -> T:
        """What is true for ``person``, once that is not what was ``heard``; after ``seconds`` in any case."""
        known = self._known.get(person)
        if known is not None and known != heard:
            return known
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._listeners.setdefault(person, set()).add(told)
        self._start(is_new=known is None)
        try:
            async with asyncio.timeout(seconds):
                return await told
        except TimeoutError:
            return self._nothing if heard is None else heard
        finally:
            self._listeners.get(person, set()).discard(told)

    def _start(self, *, is_new: bool) -> None:
        if self._looking is None or self._looking.done():
            self._newcomers = asyncio.Event()
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking())
        elif is_new:
            self._newcomers.set()  # not to wait until it would look anyway

    async def _keep_looking(self) -> None:
        try:
            while self._listeners:
                self._newcomers.clear()
                pause = await self._once()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._newcomers.wait()
                self._forget_who_left()
        finally:
            self._known = {}

    async def _once(self) -> float:
        """Look, tell whom it concerns, and say how long to wait until the next look."""
        people = list(self._listeners)
        try:
            found = await self._look(people)
        except SQLAlchemyError:
            log.exception("pages cannot look at the database")
            return TROUBLE_SECONDS
        for person in people:
            self._tell(person, found.get(person, self._nothing))
        return self._pause(found)

    def _tell(self, person: str, now: T) -> None:
        before, self._known[person] = self._known.get(person), now
        if before == now:
            return
        for told in self._listeners.get(person, ()):
            if not told.done():
                told.set_result(now)

    def _forget_who_left(self) -> None:
        self._listeners = {person: told for person, told in self._listeners.items() if told}
        self._known = {person: now for person, now in self._known.items() if person in self._listeners}

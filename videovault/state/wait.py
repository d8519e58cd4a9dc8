"""A wait for the script webhook: its seconds are counted, it has a deadline, and a person may give it up."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from videovault.config import settings
from videovault.services.core.access import Caller
from videovault.state import wording
from videovault.state.session import SessionState, signed_in

T = TypeVar("T")
TICK_SECONDS = 1.0


class WaitState(SessionState):
    waiting_for: str = ""  # "script", one of its parts, or nothing
    waited: int = 0
    patience: str = ""

    _wait: int = 0  # a wait that somebody gave up finds another number here

    @signed_in
    async def give_up(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        """Wait no longer; whatever is still answered is not kept."""
        self._end_waiting()

    def _begin_waiting(self, what: str) -> int:
        self.waiting_for, self.waited, self.errors = what, 0, {}
        self.patience = wording.about(settings().webhook_timeout_seconds)
        self._wait += 1
        return self._wait

    def _end_waiting(self) -> None:
        self.waiting_for = ""
        self._wait += 1

    async def _answer_of(self, call: Awaitable[T], wait: int) -> T | None:
        """The answer, with the wait still on; None once it was given up. For background handlers."""
        asking = asyncio.ensure_future(call)
        while not (await asyncio.wait([asking], timeout=TICK_SECONDS))[0]:
            async with self:
                self.waited += 1
                if self._wait != wait:
                    asking.cancel()
                    return None
        problem = asking.exception()
        async with self:
            is_given_up = self._wait != wait
            if problem and not is_given_up:
                self._end_waiting()
        if is_given_up:
            return None
        if problem:
            raise problem
        return asking.result()

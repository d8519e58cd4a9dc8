"""The test order of the System page: what was sent, what was answered, and what was read from it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from videovault.services.admin import test_order
from videovault.services.admin.test_order import DEADLINE, TestOrderView
from videovault.services.core.access import Caller
from videovault.services.core.views import iso
from videovault.state.admin.base import AdminState
from videovault.state.admin.view_models import OrderStep
from videovault.state.background import patiently, quickly
from videovault.state.session import signed_in

LOOK_SECONDS = 1.0


class AdminTestOrderState(AdminState):
    order_steps: list[OrderStep] = []
    order_at: str = ""
    is_ordering: bool = False

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Show the last one."""
        if self._admit(caller):
            self._show(await quickly(test_order.latest, caller))

    @signed_in(background=True, beside="test-order")
    async def order(self, caller: Caller) -> AsyncIterator[None]:
        """Send one, and show what comes of it until it is over; leaving the page stops only the showing."""
        begun = await quickly(test_order.begin, caller)
        async with self:
            self.errors = {}
            self._show(begun)
        yield
        sending = asyncio.ensure_future(patiently(test_order.send, caller, begun.id))
        for _ in range(int(DEADLINE / timedelta(seconds=LOOK_SECONDS)) + 1):
            await asyncio.wait(
                [sending], timeout=LOOK_SECONDS
            ) if not sending.done() else await asyncio.sleep(LOOK_SECONDS)
            caller = await self._caller()
            seen = await quickly(test_order.latest, caller)
            async with self:
                self._show(seen)
            yield
            if sending.done() and (seen is None or seen.is_over):
                break
        await sending

    def _show(self, order: TestOrderView | None) -> None:
        self.order_steps = [OrderStep.of(step) for step in order.steps] if order else []
        self.order_at = iso(order.started_at) if order else ""
        self.is_ordering = order is not None and not order.is_over

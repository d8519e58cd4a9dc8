"""The live checks of the System page: all run at once, and each is shown as soon as it has an answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from videovault import worker
from videovault.errors import StorageError
from videovault.models import utcnow
from videovault.services.admin import checks as admin_checks
from videovault.services.admin import test_order
from videovault.services.admin.checks import CHECKS, CheckView
from videovault.services.admin.test_order import DEADLINE, TestOrderView
from videovault.services.core.access import Caller
from videovault.services.core.views import iso_utc
from videovault.state import wording
from videovault.state.admin.base import AdminState
from videovault.state.admin.view_models import Check, OrderStep
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import signed_in

BROWSER_SECONDS = 5.0
# What browsers are asked: a tab's events all come to the process that asks it.
_asked: dict[str, asyncio.Future[bool]] = {}


class AdminSystemState(AdminState):
    checks: list[Check] = []
    verdict: str = ""
    is_bad: bool = False
    is_running: bool = False
    checked_at: str = ""
    probe_url: str = ""

    _probe_key: str = ""

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Show what will be looked at; ``run`` does it."""
        if self._admit(caller) and not self.is_running:
            self.checks, self.verdict = _unknown(), ""

    @signed_in(background=True, supersedes=True)
    async def run(self, caller: Caller) -> AsyncIterator[None]:
        """Look at every part of the server's side; leaving the page ends it."""
        if not caller.is_admin:
            return
        async with self:
            self.checks, self.verdict, self.is_running = _unknown(), "", True
        looking = [
            asyncio.wrap_future(admin_checks.start(caller, name, jobs_waiting=_jobs_waiting))
            for name in admin_checks.applicable()
        ]
        try:
            for each in asyncio.as_completed(looking):
                view = await each
                async with self:
                    self._show(view)
                yield
        finally:
            async with self:
                self.is_running, self.checked_at = False, iso_utc(utcnow())

    @signed_in(background=True, supersedes=True)
    async def ask_browser(self, caller: Caller) -> None:
        """Give the browser a picture to fetch from the S3, and wait for what it says."""
        if not caller.is_admin:
            return
        try:
            probe = await asyncio.wait_for(
                run_in_io_pool(admin_checks.start_browser_check, caller), BROWSER_SECONDS
            )
        except (StorageError, TimeoutError):
            async with self:
                self._show(admin_checks.browser_untested())
            return
        answer = _asked[probe.key] = asyncio.get_running_loop().create_future()
        try:
            async with self:
                self._probe_key, self.probe_url = probe.key, probe.url
            arrived = await asyncio.wait_for(answer, BROWSER_SECONDS)
        except TimeoutError:
            arrived = False
        finally:
            _asked.pop(probe.key, None)
            await run_in_io_pool(admin_checks.finish_browser_check, caller, probe.key)
        async with self:
            self.probe_url = ""
            self._show(admin_checks.browser_result(arrived=arrived))

    @signed_in
    async def report_browser_result(self, caller: Caller, arrived: bool) -> None:  # noqa: ARG002 - every handler asks who calls
        """Whether the picture arrived: only the admin's own page is told, so its word is good enough."""
        asked = _asked.get(self._probe_key)
        if asked is not None and not asked.done():
            asked.set_result(arrived)

    def _show(self, view: CheckView) -> None:
        self.checks = [Check.of(view) if each.name == view.name else each for each in self.checks]
        if all(each.state for each in self.checks):
            self.verdict, self.is_bad = _verdict(self.checks)


def _unknown() -> list[Check]:
    shown = [(name, CHECKS[name].title) for name in admin_checks.applicable()]
    return [Check(name=name, title=title) for name, title in [*shown, admin_checks.BROWSER]]


def _verdict(checks: list[Check]) -> tuple[str, bool]:
    broken = sum(each.state == "broken" for each in checks)
    warnings = sum(each.state == "warning" for each in checks)
    if broken:
        return f"{broken} of {len(checks)} checks failed.", True
    if warnings:
        return wording.with_warnings(warnings), False
    return "Everything works.", False


def _jobs_waiting() -> int:
    return int(worker.queue().huey.pending_count())


# The test order of the System page: what was sent, what was answered, and what was read from it.

LOOK_SECONDS = 1.0


class AdminTestOrderState(AdminState):
    order_steps: list[OrderStep] = []
    order_at: str = ""
    is_ordering: bool = False

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Show the last one."""
        if self._admit(caller):
            self._show(await run_in_db_pool(test_order.latest, caller))

    @signed_in(background=True, beside="test-order")
    async def order(self, caller: Caller) -> AsyncIterator[None]:
        """Send one, and show what comes of it until it is over; leaving the page stops only the showing."""
        begun = await run_in_db_pool(test_order.start, caller)
        async with self:
            self.errors = {}
            self._show(begun)
        yield
        sending = asyncio.ensure_future(run_in_io_pool(test_order.send, caller, begun.id))
        for _ in range(int(DEADLINE / timedelta(seconds=LOOK_SECONDS)) + 1):
            await asyncio.wait(
                [sending], timeout=LOOK_SECONDS
            ) if not sending.done() else await asyncio.sleep(LOOK_SECONDS)
            caller = await self._caller()
            seen = await run_in_db_pool(test_order.latest, caller)
            async with self:
                self._show(seen)
            yield
            if sending.done() and (seen is None or seen.is_over):
                break
        await sending

    def _show(self, order: TestOrderView | None) -> None:
        self.order_steps = [OrderStep.of(step) for step in order.steps] if order else []
        self.order_at = iso_utc(order.started_at) if order else ""
        self.is_ordering = order is not None and not order.is_over

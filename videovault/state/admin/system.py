"""The System page: live checks, which run at once and are shown as they finish, and the test order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from videovault import worker
from videovault.clock import utcnow
from videovault.errors import StorageError
from videovault.services.admin import checks as admin_checks
from videovault.services.admin import test_order
from videovault.services.admin.checks import CHECKS, CheckView, StepView
from videovault.services.admin.test_order import DEADLINE, OrderStepView, TestOrderView
from videovault.services.core.access import Caller
from videovault.services.core.views import iso_utc
from videovault.state import wording
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import AdminState, signed_in
from videovault.state.view_models import ViewModel

BROWSER_SECONDS = 5.0
POLL_SECONDS = 1.0
# Browser checks that wait for an answer. The events of a tab all reach the process that asked.
_browser_checks: dict[str, asyncio.Future[bool]] = {}


class Step(ViewModel):
    name: str
    is_done: bool


class Check(ViewModel):
    """The check of a part of the installation; ``state`` is empty while it is running."""

    name: str
    title: str
    state: str = ""
    word: str = "Checking"
    found: str = ""
    problem: str = ""
    advice: str = ""
    advice_parts: list[str] = []
    steps: list[Step] = []
    details: list[str] = []

    @classmethod
    def of(cls, view: CheckView) -> "Check":
        return cls(
            name=view.name,
            title=view.title,
            state=view.state,
            word=wording.STATES[view.state],
            found=view.found,
            problem=view.problem,
            advice=view.advice,
            advice_parts=wording.split_code(view.advice),
            steps=_tried_steps(view.steps),
            details=view.details,
        )


def _tried_steps(steps: Sequence[StepView]) -> list[Step]:
    """Up to the first failed step: later ones were not tried."""
    done = [step for step in steps if step.is_done]
    return [Step(name=step.name, is_done=step.is_done) for step in steps[: len(done) + 1]]


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
        """Show the checks; ``run`` runs them."""
        if self._admit(caller) and not self.is_running:
            self.checks, self.verdict = _pending_checks(), ""

    @signed_in(background=True, supersedes=True)
    async def run(self, caller: Caller) -> AsyncIterator[None]:
        """Run all checks of the server; leaving the page stops them."""
        if not caller.is_admin:
            return
        async with self:
            self.checks, self.verdict, self.is_running = _pending_checks(), "", True
        running = [
            asyncio.wrap_future(admin_checks.start(caller, name, jobs_waiting=_jobs_waiting))
            for name in admin_checks.applicable()
        ]
        try:
            for each in asyncio.as_completed(running):
                view = await each
                async with self:
                    self._show(view)
                yield
        finally:
            async with self:
                self.is_running, self.checked_at = False, iso_utc(utcnow())

    @signed_in(background=True, supersedes=True)
    async def ask_browser(self, caller: Caller) -> None:
        """Let the browser fetch a picture from S3, and wait for its report."""
        if not caller.is_admin:
            return
        try:
            async with asyncio.timeout(BROWSER_SECONDS):
                probe = await run_in_io_pool(admin_checks.start_browser_check, caller)
        except (StorageError, TimeoutError):
            async with self:
                self._show(admin_checks.browser_untested())
            return
        answer = _browser_checks[probe.key] = asyncio.get_running_loop().create_future()
        try:
            async with self:
                self._probe_key, self.probe_url = probe.key, probe.url
            async with asyncio.timeout(BROWSER_SECONDS):
                arrived = await answer
        except TimeoutError:
            arrived = False
        finally:
            _browser_checks.pop(probe.key, None)
            await run_in_io_pool(admin_checks.finish_browser_check, caller, probe.key)
        async with self:
            self.probe_url = ""
            self._show(admin_checks.browser_result(arrived=arrived))

    @signed_in
    async def report_browser_result(self, arrived: bool) -> None:
        """Whether the picture arrived. Only the admin's own page shows the result, so it need not be verified."""
        answer = _browser_checks.get(self._probe_key)
        if answer is not None and not answer.done():
            answer.set_result(arrived)

    def _show(self, view: CheckView) -> None:
        self.checks = [Check.of(view) if each.name == view.name else each for each in self.checks]
        if all(each.state for each in self.checks):
            self.verdict, self.is_bad = _verdict(self.checks)


def _pending_checks() -> list[Check]:
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


class OrderStep(ViewModel):
    """A call of the test order; ``is_report`` for one from the generator to us."""

    title: str
    read: str
    sent: str = ""
    answer: str = ""
    is_bad: bool = False
    is_report: bool = False

    @classmethod
    def of(cls, view: OrderStepView) -> "OrderStep":
        status = f" (HTTP {view.http_status})" if view.http_status else ""
        return cls(
            title=f"{view.name}{status}",
            read=view.read,
            sent=view.sent,
            answer=view.answer,
            is_bad=view.is_bad,
            is_report=view.name == "Report",
        )


class AdminTestOrderState(AdminState):
    order_steps: list[OrderStep] = []
    order_at: str = ""
    is_ordering: bool = False

    @signed_in
    async def load(self, caller: Caller) -> None:
        """Show the last test order."""
        if self._admit(caller):
            self._show(await run_in_db_pool(test_order.latest, caller))

    @signed_in(background=True, beside="test-order")
    async def order(self, caller: Caller) -> AsyncIterator[None]:
        """Send a test order and follow it to its end; leaving the page stops only the display."""
        started = await run_in_db_pool(test_order.start, caller)
        async with self:
            self.errors = {}
            self._show(started)
        yield
        sending = asyncio.ensure_future(run_in_io_pool(test_order.send, caller, started.id))
        for _ in range(int(DEADLINE / timedelta(seconds=POLL_SECONDS)) + 1):
            if sending.done():
                await asyncio.sleep(POLL_SECONDS)
            else:
                await asyncio.wait([sending], timeout=POLL_SECONDS)
            caller = await self._caller()
            current = await run_in_db_pool(test_order.latest, caller)
            async with self:
                self._show(current)
            yield
            if sending.done() and (current is None or current.is_over):
                break
        await sending

    def _show(self, order: TestOrderView | None) -> None:
        self.order_steps = [OrderStep.of(step) for step in order.steps] if order else []
        self.order_at = iso_utc(order.started_at) if order else ""
        self.is_ordering = order is not None and not order.is_over

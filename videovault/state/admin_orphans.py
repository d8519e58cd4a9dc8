"""What S3 and the database do not agree on: looked for, and mended once the admin has seen what goes."""

import asyncio
from collections.abc import AsyncIterator

from videovault.services import reconcile
from videovault.services.access import Caller, check_admin
from videovault.services.reconcile import Progress, Report
from videovault.state import admin_differences
from videovault.state.admin import AdminState
from videovault.state.admin_differences import Difference
from videovault.state.calls import patiently
from videovault.state.session import signed_in

TICK_SECONDS = 0.5


class AdminOrphansState(AdminState):
    """``percent`` is -1 while nobody knows how far it is."""

    doing: str = ""
    so_far: str = ""
    percent: int = -1
    verdict: str = ""
    differences: list[Difference] = []
    can_mend: bool = False
    is_asking: bool = False
    changes: list[str] = []  # what mending would change
    goes: str = ""  # and delete

    _is_stopped: bool = False

    @signed_in(background=True, beside="orphans")
    async def look(self, caller: Caller) -> AsyncIterator[None]:
        """Compare, and change nothing."""
        async for _ in self._compare(caller, repair=False):
            yield

    @signed_in
    async def ask(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        self.is_asking = self.can_mend and not self.doing

    @signed_in
    async def spare(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.is_asking = False

    @signed_in
    async def stop(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        """Look at nothing further; what is mended stays mended."""
        self._is_stopped = True

    @signed_in(background=True, beside="orphans")
    async def mend(self, caller: Caller) -> AsyncIterator[None]:
        """Compare again, and mend what needs no judgement; closing the tab does not end it."""
        async with self:
            is_confirmed, self.is_asking = self.is_asking, False
        if is_confirmed:
            async for _ in self._compare(caller, repair=True):
                yield

    async def _compare(self, caller: Caller, *, repair: bool) -> AsyncIterator[None]:
        progress = Progress()
        async with self:
            if self.doing:
                return
            self._begin("Mending" if repair else "Comparing")
            self._follow(progress, repair=repair)
        yield
        comparing = asyncio.ensure_future(
            patiently(reconcile.for_admin, caller, repair=repair, progress=progress)
        )
        try:
            while not (await asyncio.wait({comparing}, timeout=TICK_SECONDS))[0]:
                check_admin(await self._caller())  # it may take long, and rights may end meanwhile
                async with self:
                    self._follow(progress, repair=repair)
                yield
        finally:
            progress.stop()
            async with self:
                self.doing = ""
        async with self:
            self._show(comparing.result())

    def _begin(self, doing: str) -> None:
        self.doing, self.errors, self._is_stopped = doing, {}, False
        self.verdict, self.differences, self.can_mend = "", [], False

    def _follow(self, progress: Progress, *, repair: bool) -> None:
        self.so_far = admin_differences.so_far(progress, repair=repair)
        self.percent = admin_differences.percent(progress)
        if self._is_stopped:
            progress.stop()

    def _show(self, report: Report) -> None:
        self.differences = [Difference.of(each, is_repaired=report.repair) for each in report.found]
        self.verdict = admin_differences.verdict(report, is_stopped=self._is_stopped)
        could = [] if report.repair or self._is_stopped else admin_differences.mendable(report)
        self.changes = [f"{each.title}: {each.count:,}" for each in could]
        self.can_mend = bool(could)
        self.goes = admin_differences.doomed(report)

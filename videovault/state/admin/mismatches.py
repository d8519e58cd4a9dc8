"""What S3 and the database do not agree on: looked for, and mended once the admin has seen what goes."""

import asyncio
from collections.abc import AsyncIterator

from videovault.services.core.access import Caller, check_admin
from videovault.services.maintenance import reconcile
from videovault.services.maintenance.reconcile import Example, Findings, Progress, Report
from videovault.services.maintenance.reconcile.report import KIND_TEXTS, RepairEffect
from videovault.state import wording
from videovault.state.admin.base import AdminState
from videovault.state.background import run_in_io_pool
from videovault.state.session import signed_in
from videovault.state.view_models import ViewModel

# What a comparison of S3 and database has found, as the System page shows it.


class Item(ViewModel):
    """One difference; ``why`` it could not be mended although it was tried."""

    name: str
    detail: str
    is_repaired: bool
    why: str

    @classmethod
    def of(cls, found: Example) -> "Item":
        return cls(name=found.name, detail=found.detail, is_repaired=found.mended, why=found.why)


class Difference(ViewModel):
    """A class of differences; ``examples`` are those that could not be mended, and the first few others."""

    title: str
    figures: str
    advice: list[str]
    mended: str
    examples: list[Item]
    more: str
    has_failures: bool

    @classmethod
    def of(cls, found: Findings, *, is_repaired: bool) -> "Difference":
        size = f" ({wording.size(found.bytes)})" if found.bytes else ""
        left = found.count - len(found.examples)
        return cls(
            title=found.title,
            figures=f"{found.count:,}{size}",
            advice=wording.code_apart(found.advice),
            mended=wording.of_many(found.mended, found.count) if is_repaired else "",
            examples=[Item.of(each) for each in found.examples],
            more=f"And {left:,} more." if left else "",
            has_failures=any(each.why for each in found.examples),
        )


def mendable(report: Report) -> list[Findings]:
    return [each for each in report.found if KIND_TEXTS[each.kind].effect != RepairEffect.NONE]


def doomed(report: Report) -> str:
    """What mending would delete, in words."""
    found = [each for each in report.found if KIND_TEXTS[each.kind].effect == RepairEffect.DELETE]
    count, size = sum(each.count for each in found), sum(each.bytes for each in found)
    return f"{wording.objects(count)}, {wording.size(size)}" if count else ""


def so_far(progress: Progress, *, repair: bool) -> str:
    """``Looked at: 12,300 objects. Found: 3 differences.``"""
    seen = wording.objects(progress.objects)
    if repair:
        return f"Looked at: {seen}. Mended: {wording.of_many(progress.mended, progress.found)}."
    return f"Looked at: {seen}. Found: {wording.differences(progress.found)}."


def percent(progress: Progress) -> int:
    """By the stored videos, since S3 does not tell how many objects there are; -1 where that says nothing."""
    return min(100, progress.videos * 100 // progress.total_videos) if progress.total_videos else -1


def verdict(report: Report, *, is_stopped: bool) -> str:
    seen = f"{wording.videos(report.videos)}, {wording.objects(report.objects)}"
    found = sum(each.count for each in report.found)
    mended = sum(each.mended for each in report.found)
    if report.repair and found:
        told = f"{wording.of_many(mended, found)} mended"
    elif found:
        told = wording.differences(found)
    else:
        told = "No difference so far" if is_stopped else "S3 and the database agree"
    told = f"{told}. Compared: {seen}."
    return f"Stopped early. {told}" if is_stopped else told


TICK_SECONDS = 0.5


class AdminMismatchesState(AdminState):
    """``percent`` is -1 while nobody knows how far it is."""

    doing: str = ""
    so_far: str = ""
    percent: int = -1
    verdict: str = ""
    differences: list[Difference] = []
    can_repair: bool = False
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
        self.is_asking = self.can_repair and not self.doing

    @signed_in
    async def cancel(self, caller: Caller) -> None:  # noqa: ARG002 - as above
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
            run_in_io_pool(reconcile.for_admin, caller, repair=repair, progress=progress)
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
        self.verdict, self.differences, self.can_repair = "", [], False

    def _follow(self, progress: Progress, *, repair: bool) -> None:
        self.so_far = so_far(progress, repair=repair)
        self.percent = percent(progress)
        if self._is_stopped:
            progress.stop()

    def _show(self, report: Report) -> None:
        self.differences = [Difference.of(each, is_repaired=report.repair) for each in report.found]
        self.verdict = verdict(report, is_stopped=self._is_stopped)
        could = [] if report.repair or self._is_stopped else mendable(report)
        self.changes = [f"{each.title}: {each.count:,}" for each in could]
        self.can_repair = bool(could)
        self.goes = doomed(report)

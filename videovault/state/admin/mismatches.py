"""Mismatches between S3 and the database: found by a comparison, and repaired after a confirmation."""

import asyncio
from collections.abc import AsyncIterator

from videovault.formatting import format_size
from videovault.services.core.access import Caller, check_admin
from videovault.services.maintenance import reconcile
from videovault.services.maintenance.reconcile import Example, Findings, Progress, Report
from videovault.services.maintenance.reconcile.report import KIND_TEXTS, RepairEffect
from videovault.state import wording
from videovault.state.background import run_in_io_pool
from videovault.state.session import AdminState, signed_in
from videovault.state.view_models import ViewModel, percent_of

TICK_SECONDS = 0.5


class MismatchExample(ViewModel):
    """One mismatch; ``why`` it could not be repaired."""

    name: str
    detail: str
    is_repaired: bool
    why: str

    @classmethod
    def of(cls, found: Example) -> "MismatchExample":
        return cls(name=found.name, detail=found.detail, is_repaired=found.mended, why=found.why)


class Mismatch(ViewModel):
    """A kind of mismatch; ``examples`` are those that could not be repaired, and the first few others."""

    title: str
    figures: str
    advice: list[str]
    repaired: str
    examples: list[MismatchExample]
    more: str
    has_failures: bool

    @classmethod
    def of(cls, found: Findings, *, is_repaired: bool) -> "Mismatch":
        size = f" ({format_size(found.bytes)})" if found.bytes else ""
        left = found.count - len(found.examples)
        return cls(
            title=found.title,
            figures=f"{found.count:,}{size}",
            advice=wording.split_code(found.advice),
            repaired=wording.of_many(found.mended, found.count) if is_repaired else "",
            examples=[MismatchExample.of(each) for each in found.examples],
            more=f"And {left:,} more." if left else "",
            has_failures=any(each.why for each in found.examples),
        )


class AdminMismatchesState(AdminState):
    """``percent`` is -1 while unknown."""

    activity: str = ""
    amount_done: str = ""
    percent: int = -1
    verdict: str = ""
    mismatches: list[Mismatch] = []
    can_repair: bool = False
    is_confirming: bool = False
    to_change: list[str] = []  # by the repair
    to_delete: str = ""

    _is_stopped: bool = False

    @signed_in(background=True, beside="mismatches")
    async def check(self, caller: Caller) -> AsyncIterator[None]:
        """Compare without changing anything."""
        async for _ in self._compare(caller, repair=False):
            yield

    @signed_in
    async def ask(self) -> None:
        self.is_confirming = self.can_repair and not self.activity

    @signed_in
    async def cancel(self) -> None:
        self.is_confirming = False

    @signed_in
    async def stop(self) -> None:
        """Stop comparing; what is repaired stays repaired."""
        self._is_stopped = True

    @signed_in(background=True, beside="mismatches")
    async def repair(self, caller: Caller) -> AsyncIterator[None]:
        """Compare again and repair what needs no judgement. Closing the tab does not stop it."""
        async with self:
            is_confirmed, self.is_confirming = self.is_confirming, False
        if is_confirmed:
            async for _ in self._compare(caller, repair=True):
                yield

    async def _compare(self, caller: Caller, *, repair: bool) -> AsyncIterator[None]:
        progress = Progress()
        async with self:
            if self.activity:
                return
            self._begin("Repairing" if repair else "Comparing")
            self._follow(progress, repair=repair)
        yield
        comparing = asyncio.ensure_future(
            run_in_io_pool(reconcile.for_admin, caller, repair=repair, progress=progress)
        )
        try:
            while not (await asyncio.wait({comparing}, timeout=TICK_SECONDS))[0]:
                check_admin(await self._caller())  # it may take long, and the admin role may end meanwhile
                async with self:
                    self._follow(progress, repair=repair)
                yield
        finally:
            progress.stop()
            async with self:
                self.activity = ""
        async with self:
            self._show(comparing.result())

    def _begin(self, activity: str) -> None:
        self.activity, self.errors, self._is_stopped = activity, {}, False
        self.verdict, self.mismatches, self.can_repair = "", [], False

    def _follow(self, progress: Progress, *, repair: bool) -> None:
        self.amount_done = amount_done(progress, repair=repair)
        self.percent = percent_of(progress.videos, progress.total_videos)  # S3 does not count its objects
        if self._is_stopped:
            progress.stop()

    def _show(self, report: Report) -> None:
        self.mismatches = [Mismatch.of(each, is_repaired=report.repair) for each in report.found]
        self.verdict = verdict(report, is_stopped=self._is_stopped)
        found = [] if report.repair or self._is_stopped else repairable(report)
        self.to_change = [f"{each.title}: {each.count:,}" for each in found]
        self.can_repair = bool(found)
        self.to_delete = to_delete(report)


def repairable(report: Report) -> list[Findings]:
    return [each for each in report.found if KIND_TEXTS[each.kind].effect != RepairEffect.NONE]


def to_delete(report: Report) -> str:
    """What the repair would delete, as text."""
    found = [each for each in report.found if KIND_TEXTS[each.kind].effect == RepairEffect.DELETE]
    count, size = sum(each.count for each in found), sum(each.bytes for each in found)
    return f"{wording.objects(count)}, {format_size(size)}" if count else ""


def amount_done(progress: Progress, *, repair: bool) -> str:
    """``Checked: 12,300 objects. Found: 3 mismatches.``"""
    checked = wording.objects(progress.objects)
    if repair:
        return f"Checked: {checked}. Repaired: {wording.of_many(progress.mended, progress.found)}."
    return f"Checked: {checked}. Found: {wording.mismatches(progress.found)}."


def verdict(report: Report, *, is_stopped: bool) -> str:
    compared = f"{wording.videos(report.videos)}, {wording.objects(report.objects)}"
    found = sum(each.count for each in report.found)
    repaired = sum(each.mended for each in report.found)
    if report.repair and found:
        result = f"{wording.of_many(repaired, found)} repaired"
    elif found:
        result = wording.mismatches(found)
    else:
        result = "No mismatch so far" if is_stopped else "S3 and the database agree"
    result = f"{result}. Compared: {compared}."
    return f"Stopped early. {result}" if is_stopped else result

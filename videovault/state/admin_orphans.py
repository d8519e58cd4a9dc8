"""What S3 and the database do not agree on: looked for, and mended once the admin has seen what goes."""

from collections.abc import AsyncIterator

from videovault.services import reconcile
from videovault.services.access import Caller
from videovault.services.reconcile import Findings, Kind, Report
from videovault.state import wording
from videovault.state.admin import AdminState
from videovault.state.calls import patiently
from videovault.state.session import signed_in
from videovault.state.shapes import Shape

RETRIED = "They become failed, where they can be tried again."
# What mending does to each class, and to which of them it does nothing.
ADVICE = {
    Kind.WRONG_TAG: "Nothing mends this by itself. Watch the video; if it is not the right one, delete it or store it "
    "again. If SECRET_KEY was changed, set SECRET_KEY_OLD.",
    Kind.MISSING_OBJECT: RETRIED,
    Kind.WRONG_SIZE: RETRIED,
    Kind.WRONG_CRC32: RETRIED,
    Kind.MISSING_ROW: "They are kept. The command `python -m videovault reconcile --rebuild` brings them back.",
    Kind.UNKNOWN_TAG: "They are tagged.",
    Kind.SIDECAR: "They are written.",
    Kind.MISSING_POSTER: "The videos play without; nothing needs to be done.",
    Kind.ORPHAN: "Those older than an hour are deleted, for good.",
    Kind.STRAY_UPLOAD: "They are aborted, and what came of them so far is deleted.",
}
LEFT_ALONE = (Kind.WRONG_TAG, Kind.MISSING_ROW, Kind.MISSING_POSTER)
DELETED = (Kind.ORPHAN, Kind.STRAY_UPLOAD)


class Difference(Shape):
    """A class of differences; ``examples`` are the first few of them."""

    title: str
    figures: str
    advice: str
    mended: str
    examples: list[str]

    @classmethod
    def of(cls, found: Findings, *, is_repaired: bool) -> "Difference":
        size = f", {wording.size(found.bytes)}" if found.bytes else ""
        return cls(
            title=found.title,
            figures=f"{found.count:,}{size}",
            advice=ADVICE[found.kind],
            mended=wording.of_many(found.mended, found.count) if is_repaired else "",
            examples=[f"{each.name} {each.detail}".strip() for each in found.examples],
        )


class AdminOrphansState(AdminState):
    doing: str = ""
    verdict: str = ""
    differences: list[Difference] = []
    can_mend: bool = False
    is_asking: bool = False
    changes: list[str] = []  # what mending would change
    goes: str = ""  # and delete

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

    @signed_in(background=True, beside="orphans")
    async def mend(self, caller: Caller) -> AsyncIterator[None]:
        """Compare again, and mend what needs no judgement."""
        async with self:
            is_confirmed, self.is_asking = self.is_asking, False
        if is_confirmed:
            async for _ in self._compare(caller, repair=True):
                yield

    async def _compare(self, caller: Caller, *, repair: bool) -> AsyncIterator[None]:
        async with self:
            if self.doing:
                return
            self.doing, self.errors = ("Mending" if repair else "Comparing"), {}
        yield
        try:
            report = await patiently(reconcile.for_admin, caller, repair=repair)
        finally:
            async with self:
                self.doing = ""
        async with self:
            self._show(report)

    def _show(self, report: Report) -> None:
        self.differences = [Difference.of(each, is_repaired=report.repair) for each in report.found]
        self.verdict = _verdict(report)
        mendable = [] if report.repair else [each for each in report.found if each.kind not in LEFT_ALONE]
        self.changes = [f"{each.title}: {each.count:,}" for each in mendable]
        self.can_mend = bool(mendable)
        doomed = [each for each in report.found if each.kind in DELETED]
        count, size = sum(each.count for each in doomed), sum(each.bytes for each in doomed)
        self.goes = f"{wording.objects(count)}, {wording.size(size)}" if count else ""


def _verdict(report: Report) -> str:
    seen = f"{wording.videos(report.videos)}, {wording.objects(report.objects)}"
    found = sum(each.count for each in report.found)
    if not found:
        return f"S3 and the database agree. Compared: {seen}."
    if report.repair:
        mended = sum(each.mended for each in report.found)
        return f"{wording.of_many(mended, found)} mended. Compared: {seen}."
    return f"{wording.differences(found)}. Compared: {seen}."

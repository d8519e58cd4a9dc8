"""What a comparison of S3 and database has found, as the System page shows it."""

from videovault.services.reconcile import Example, Findings, Kind, Progress, Report
from videovault.state import wording
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
    Kind.MISSING_COPY: "They are made again.",
    Kind.ORPHAN: "Those older than an hour are deleted, for good.",
    Kind.OLD_VERSION: "Those older than an hour are deleted, for good, where the bucket allows it.",
    Kind.STRAY_UPLOAD: "They are aborted, and what came of them so far is deleted.",
}
LEFT_ALONE = (Kind.WRONG_TAG, Kind.MISSING_ROW, Kind.MISSING_POSTER)
DELETED = (Kind.ORPHAN, Kind.OLD_VERSION, Kind.STRAY_UPLOAD)


class Item(Shape):
    """One difference; ``why`` it could not be mended although it was tried."""

    name: str
    detail: str
    is_mended: bool
    why: str

    @classmethod
    def of(cls, found: Example) -> "Item":
        return cls(name=found.name, detail=found.detail, is_mended=found.mended, why=found.why)


class Difference(Shape):
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
            advice=wording.code_apart(ADVICE[found.kind]),
            mended=wording.of_many(found.mended, found.count) if is_repaired else "",
            examples=[Item.of(each) for each in found.examples],
            more=f"And {left:,} more." if left else "",
            has_failures=any(each.why for each in found.examples),
        )


def mendable(report: Report) -> list[Findings]:
    return [each for each in report.found if each.kind not in LEFT_ALONE]


def doomed(report: Report) -> str:
    """What mending would delete, in words."""
    found = [each for each in report.found if each.kind in DELETED]
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
    return min(100, progress.videos * 100 // progress.of_videos) if progress.of_videos else -1


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

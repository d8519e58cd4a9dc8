"""What a comparison of bucket and database found: kinds of findings, their report, and the progress of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from videovault.gateways.storage import Upload
from videovault.models import Video
from videovault.services.core.views import View

MAX_EXAMPLES = 20
MAX_FAILURES = 100


class Kind(StrEnum):
    """The classes of findings, worst first."""

    WRONG_TAG = "wrong_tag"
    MISSING_OBJECT = "missing_object"
    WRONG_SIZE = "wrong_size"
    WRONG_CRC32 = "wrong_crc32"
    MISSING_ROW = "missing_row"
    UNKNOWN_TAG = "unknown_tag"
    SIDECAR = "sidecar"
    MISSING_POSTER = "missing_poster"
    MISSING_COPY = "missing_copy"
    ORPHAN = "orphan"
    OLD_VERSION = "old_version"
    STRAY_UPLOAD = "stray_upload"


class RepairEffect(StrEnum):
    """What repair does to a class of findings."""

    NONE = "none"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True)
class KindText:
    """What page, API and command line show of a class of findings; ``advice`` says what repair does."""

    title: str
    advice: str
    effect: RepairEffect


RETRY = "Repair marks them as failed, so that they can be retried."
KIND_TEXTS = {
    Kind.WRONG_TAG: KindText(
        "Objects without their video's tag",
        "Repair leaves them, since another file may have replaced the video. Watch the video; if it is the wrong one, "
        "delete it or store it again. If SECRET_KEY was changed, set SECRET_KEY_OLD.",
        RepairEffect.NONE,
    ),
    Kind.MISSING_OBJECT: KindText("Videos whose object is missing", RETRY, RepairEffect.CHANGE),
    Kind.WRONG_SIZE: KindText("Videos whose object has another size", RETRY, RepairEffect.CHANGE),
    Kind.WRONG_CRC32: KindText("Videos whose object has another CRC-32", RETRY, RepairEffect.CHANGE),
    Kind.MISSING_ROW: KindText(
        "Complete videos without a database row",
        "Repair leaves them. `python -m videovault reconcile --rebuild` brings them back into the gallery.",
        RepairEffect.NONE,
    ),
    Kind.UNKNOWN_TAG: KindText(
        "Videos with a new key that are not tagged yet",
        "Repair tags them. S3 can do so up to 5 GiB; larger ones stay usable without a tag.",
        RepairEffect.CHANGE,
    ),
    Kind.SIDECAR: KindText("Missing or outdated sidecars", "Repair writes them.", RepairEffect.CHANGE),
    Kind.MISSING_POSTER: KindText(
        "Missing posters", "The videos play without them. Nothing needs to be done.", RepairEffect.NONE
    ),
    Kind.MISSING_COPY: KindText(
        "Missing or changed playable copies",
        "Repair makes the copies again. The videos themselves are there.",
        RepairEffect.CHANGE,
    ),
    Kind.ORPHAN: KindText(
        "Objects without a video",
        "Repair permanently deletes those older than an hour.",
        RepairEffect.DELETE,
    ),
    Kind.OLD_VERSION: KindText(
        "Versions that the bucket keeps of deleted files",
        "Repair permanently deletes those older than an hour, where the bucket allows it.",
        RepairEffect.DELETE,
    ),
    Kind.STRAY_UPLOAD: KindText(
        "Unfinished uploads without a video",
        "Repair aborts them, which deletes what was uploaded so far.",
        RepairEffect.DELETE,
    ),
}
INFORMATION_ONLY = {Kind.MISSING_POSTER}


@dataclass(frozen=True)
class Finding:
    """One difference, named by its object or video, with what a repair needs. ``young`` ones are not repaired."""

    kind: Kind
    name: str
    bytes: int
    detail: str = ""
    young: bool = False
    video: Video | None = None
    upload: Upload | None = None


@dataclass(frozen=True)
class Result:
    """Whether a finding was repaired; ``why`` is the reason of a failed attempt."""

    is_repaired: bool
    why: str = ""


UNTOUCHED = Result(is_repaired=False)


class Example(View):
    """``name`` is an object's key or a video's id, ``bytes`` its actual or expected size.

    ``why`` is the reason of a failed repair.
    """

    name: str
    bytes: int
    detail: str = ""
    mended: bool = False
    why: str = ""


class Group(View):
    """Counts of a kind with its first examples, failed repairs first."""

    count: int
    bytes: int
    examples: list[Example]


class Findings(Group):
    """A class of findings."""

    kind: Kind
    title: str
    advice: str
    mended: int


class Report(View):
    """``objects`` and ``bytes`` cover the folders of videos, ``videos`` counts the ready rows.

    ``left`` counts the unrepaired findings, which in a dry run are all of them.
    """

    repair: bool
    videos: int
    objects: int
    bytes: int
    found: list[Findings]
    left: int


@dataclass
class Progress:
    """The state of a running comparison, readable from other threads: objects and videos compared, findings, repairs."""

    objects: int = 0
    videos: int = 0
    total_videos: int = 0
    found: int = 0
    mended: int = 0
    is_stopped: bool = False

    def stop(self) -> None:
        """Start nothing further. Repairs stay, and the next run finds the rest."""
        self.is_stopped = True


@dataclass
class GroupBuilder:
    count: int = 0
    bytes: int = 0
    mended: int = 0
    examples: list[Example] = field(default_factory=list)
    failures: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        self.count += 1
        self.bytes += example.bytes
        self.mended += example.mended
        examples, limit = (self.failures, MAX_FAILURES) if example.why else (self.examples, MAX_EXAMPLES)
        if len(examples) < limit:
            examples.append(example)

    def group(self) -> Group:
        return Group(count=self.count, bytes=self.bytes, examples=[*self.failures, *self.examples])


@dataclass
class ReportBuilder:
    """Collects findings in bounded memory."""

    repair: bool
    progress: Progress
    bytes: int = 0
    _groups: dict[Kind, GroupBuilder] = field(default_factory=dict)

    def add_folder(self, sizes: Sequence[int], *, is_ready: bool) -> None:
        self.progress.objects += len(sizes)
        self.progress.videos += is_ready
        self.bytes += sum(sizes)

    def add(self, found: Finding, result: Result) -> None:
        self.progress.found += 1
        self.progress.mended += result.is_repaired
        example = Example(
            name=found.name,
            bytes=found.bytes,
            detail=found.detail,
            mended=result.is_repaired,
            why=result.why,
        )
        self._groups.setdefault(found.kind, GroupBuilder()).add(example)

    def report(self) -> Report:
        kinds = [kind for kind in Kind if kind in self._groups]
        return Report(
            repair=self.repair,
            videos=self.progress.videos,
            objects=self.progress.objects,
            bytes=self.bytes,
            found=[self._findings(kind) for kind in kinds],
            left=sum(self._left(kind) for kind in kinds),
        )

    def _findings(self, kind: Kind) -> Findings:
        text, total = KIND_TEXTS[kind], self._groups[kind]
        return Findings(
            kind=kind, title=text.title, advice=text.advice, mended=total.mended, **dict(total.group())
        )

    def _left(self, kind: Kind) -> int:
        if self.repair and kind in INFORMATION_ONLY:
            return 0
        return self._groups[kind].count - self._groups[kind].mended

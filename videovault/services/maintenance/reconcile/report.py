"""What bucket and database do not agree on: single findings, and the frozen report of all of them."""

from dataclasses import dataclass, field
from enum import StrEnum

from videovault.gateways.storage import Upload
from videovault.models import Status, Video
from videovault.services.core.views import View
from videovault.services.maintenance.reconcile.folders import Folder, VideoWithOwner

# How far a comparison is, for whoever looks on from another thread, and the way to end it early.


@dataclass
class Progress:
    """``objects`` and ``videos`` of ``of_videos`` stored ones are looked at; ``mended`` of what was ``found``."""

    objects: int = 0
    videos: int = 0
    total_videos: int = 0
    found: int = 0
    mended: int = 0
    is_stopped: bool = False

    def stop(self) -> None:
        """Begin with nothing further; what is done stays done, and what is left is found the next time."""
        self.is_stopped = True


EXAMPLES = 20
FAILURES = 100


class Kind(StrEnum):
    """The classes of findings, the worst first."""

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


@dataclass(frozen=True)
class Words:
    """What a class is called, and what can be done about it."""

    title: str
    advice: str


WORDS = {
    Kind.WRONG_TAG: Words(
        "Objects that do not carry their video's tag",
        "Another file may have been put in the place of the video, so nothing mends this by itself. Watch the "
        "video; if it is not the right one, delete it as an admin, or store it again. If SECRET_KEY was changed, set SECRET_KEY_OLD.",
    ),
    Kind.MISSING_OBJECT: Words(
        "Videos whose object is gone", "--repair moves them to failed, where they can be tried again."
    ),
    Kind.WRONG_SIZE: Words(
        "Videos whose object has another size",
        "--repair moves them to failed, where they can be tried again.",
    ),
    Kind.WRONG_CRC32: Words(
        "Videos whose object has another CRC-32",
        "--repair moves them to failed, where they can be tried again.",
    ),
    Kind.MISSING_ROW: Words(
        "Whole videos that the database does not know",
        "Nothing deletes them. --rebuild brings them back into the gallery; delete them there if they are not wanted.",
    ),
    Kind.UNKNOWN_TAG: Words(
        "Videos with a new key that are not tagged yet",
        "--repair tags them (S3 does it up to 5 GiB; larger ones stay as they are and can be used).",
    ),
    Kind.SIDECAR: Words("Sidecars that are missing or out of date", "--repair writes them."),
    Kind.MISSING_POSTER: Words("Posters that are gone", "The videos play without; nothing needs to be done."),
    Kind.MISSING_COPY: Words(
        "Playable copies that are gone or changed",
        "--repair has them made again; the videos themselves are there.",
    ),
    Kind.ORPHAN: Words("Objects without a video", "--repair deletes those that are older than an hour."),
    Kind.OLD_VERSION: Words(
        "Versions of deleted files, which the bucket has kept",
        "--repair deletes those that are older than an hour, where the bucket allows it.",
    ),
    Kind.STRAY_UPLOAD: Words("Unfinished uploads of no video", "--repair aborts them."),
}
INFORMATION_ONLY = {Kind.MISSING_POSTER}


@dataclass(frozen=True)
class Finding:
    """One thing, by the name of its object or video, and what is needed to mend it; ``young`` ones are left alone."""

    kind: Kind
    name: str
    bytes: int
    detail: str = ""
    young: bool = False
    video: Video | None = None
    upload: Upload | None = None


@dataclass(frozen=True)
class Result:
    """What became of a finding; ``why`` it could not be mended although it was tried."""

    is_repaired: bool
    why: str = ""


UNTOUCHED = Result(is_repaired=False)


class Example(View):
    """``name`` is an object's key or a video's id; ``bytes`` are those that it takes, or should.

    ``why`` it could not be mended although it was tried.
    """

    name: str
    bytes: int
    detail: str = ""
    mended: bool = False
    why: str = ""


class Group(View):
    """Many of a kind, with the first few of them; what could not be mended comes first."""

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
    """``objects`` and ``bytes`` are all that lies in the folders of videos, ``videos`` the ready rows.

    ``left`` counts what is still to be done: in a dry run everything found, else what could not be mended.
    """

    repair: bool
    videos: int
    objects: int
    bytes: int
    found: list[Findings]
    left: int


@dataclass
class GroupBuilder:
    """A group in the making."""

    count: int = 0
    bytes: int = 0
    mended: int = 0
    examples: list[Example] = field(default_factory=list)
    failures: list[Example] = field(default_factory=list)

    def add(self, example: Example) -> None:
        self.count += 1
        self.bytes += example.bytes
        self.mended += example.mended
        kept, most = (self.failures, FAILURES) if example.why else (self.examples, EXAMPLES)
        if len(kept) < most:
            kept.append(example)

    def group(self) -> Group:
        return Group(count=self.count, bytes=self.bytes, examples=[*self.failures, *self.examples])


@dataclass
class ReportBuilder:
    """A report in the making, in little memory however much is found."""

    repair: bool
    progress: Progress
    bytes: int = 0
    _sums: dict[Kind, GroupBuilder] = field(default_factory=dict)

    def saw(self, folder: Folder, owned: VideoWithOwner | None) -> None:
        self.progress.objects += len(folder.objects)
        self.progress.videos += owned is not None and owned.video.status == Status.READY
        self.bytes += sum(each.size for each in folder.objects)

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
        self._sums.setdefault(found.kind, GroupBuilder()).add(example)

    def report(self) -> Report:
        kinds = [kind for kind in Kind if kind in self._sums]
        return Report(
            repair=self.repair,
            videos=self.progress.videos,
            objects=self.progress.objects,
            bytes=self.bytes,
            found=[_findings(kind, self._sums[kind]) for kind in kinds],
            left=sum(self._left(kind) for kind in kinds),
        )

    def _left(self, kind: Kind) -> int:
        if self.repair and kind in INFORMATION_ONLY:
            return 0
        return self._sums[kind].count - self._sums[kind].mended


def _findings(kind: Kind, total: GroupBuilder) -> Findings:
    words = WORDS[kind]
    return Findings(
        kind=kind, title=words.title, advice=words.advice, mended=total.mended, **dict(total.group())
    )

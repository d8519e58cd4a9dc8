"""Findings of a comparison between bucket and database, their report, and its progress."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby, islice
from typing import TypeVar

from sqlmodel import col, select

from videovault.db import reading
from videovault.gateways.storage import Listed, Storage, Upload
from videovault.models import Status, User, Video
from videovault.services.core import naming
from videovault.services.core.naming import POSTER_NAME, SIDECAR_NAME
from videovault.services.core.views import PROCESSING, View

# The bucket as a stream of video folders, and the rows that they belong to.

T = TypeVar("T")
BATCH = 200
# Objects with other keys are not ours: they are neither compared nor touched.
OBJECT_KEY = re.compile(r"videos/([A-Za-z0-9_-]{1,64})/(video_[0-9]{13}_[a-z0-9]{9})/.+")


@dataclass(frozen=True)
class Folder:
    owner_id: str
    video_id: str
    objects: tuple[Listed, ...] = ()

    @property
    def prefix(self) -> str:
        return naming.folder_path(self.owner_id, self.video_id)

    @property
    def sidecar(self) -> Listed | None:
        return self.named(self.prefix + SIDECAR_NAME)

    @property
    def poster_key(self) -> str | None:
        found = self.named(self.prefix + POSTER_NAME)
        return found.key if found else None

    @property
    def videos(self) -> list[Listed]:
        """The objects other than sidecar, poster and playable copy; the latest attempt comes last."""
        companions = (self.prefix + POSTER_NAME, self.prefix + SIDECAR_NAME)
        return [
            each for each in self.objects if each.key not in companions and not naming.is_copy_key(each.key)
        ]

    def named(self, key: str | None) -> Listed | None:
        return next((each for each in self.objects if each.key == key), None)


@dataclass(frozen=True)
class VideoWithOwner:
    """A video's row and its owner's."""

    video: Video
    owner: User


def list_folders(vault: Storage) -> Iterator[Folder]:
    """Each video's folder with its objects. S3 lists keys in order, so the objects of a folder are adjacent."""
    ours = (
        (match.groups(), each)
        for each in vault.objects("videos/")
        if (match := OBJECT_KEY.fullmatch(each.key))
    )
    for (owner_id, video_id), objects in groupby(ours, key=lambda entry: entry[0]):
        yield Folder(owner_id, video_id, tuple(each for _, each in objects))


def in_batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch


def rows_by_folder(batch: Sequence[Folder]) -> Mapping[str, VideoWithOwner]:
    """The rows of these folders, by the folder's prefix."""
    wanted = (
        select(Video, User)
        .join(User, col(User.id) == col(Video.owner_id))
        .where(col(Video.id).in_([each.video_id for each in batch]))
    )
    with reading() as session:
        return {naming.folder(video): VideoWithOwner(video, owner) for video, owner in session.exec(wanted)}


def ready_videos() -> Iterator[VideoWithOwner]:
    """Every ready video, one page in memory at a time."""
    last = ""
    page = select(Video, User).join(User, col(User.id) == col(Video.owner_id))
    page = page.where(Video.status == Status.READY).order_by(col(Video.id)).limit(BATCH)
    while True:
        with reading() as session:
            found = [
                VideoWithOwner(video, owner)
                for video, owner in session.exec(page.where(col(Video.id) > last))
            ]
        yield from found
        if not found:
            return
        last = found[-1].video.id


def claims(video: Video | None, key: str) -> bool:
    """Whether an object belongs, or may come to belong, to this row. During processing and deletion all of the folder does."""
    if video is None or not key.startswith(naming.folder(video)):
        return False
    if video.status in (*PROCESSING, Status.DELETING):
        return True
    companions = (naming.folder(video) + name for name in (POSTER_NAME, SIDECAR_NAME))
    return key in (video.s3_key, video.copy_key, *companions)


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

    def add_folder(self, folder: Folder, owned: VideoWithOwner | None) -> None:
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

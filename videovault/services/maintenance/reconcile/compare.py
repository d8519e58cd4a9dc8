"""Video folders of the bucket beside their rows, and the differences, confirmed before they are reported."""

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import TypeVar

from sqlmodel import col, select

from videovault import security
from videovault.db import reading
from videovault.gateways import storage
from videovault.gateways.storage import Listed, ObjectInfo, Storage, Version
from videovault.models import CopyState, Status, User, Video
from videovault.services.core import naming
from videovault.services.core.naming import POSTER_NAME, SIDECAR_NAME
from videovault.services.core.views import PROCESSING
from videovault.services.maintenance.reconcile.report import Finding, Kind
from videovault.services.videos import integrity, sidecar
from videovault.services.videos.integrity import TagStatus
from videovault.services.videos.sidecar import Sidecar

T = TypeVar("T")
BATCH = 200
# Objects with other keys are not ours: they are neither compared nor touched.
OBJECT_KEY = re.compile(r"videos/([A-Za-z0-9_-]{1,64})/(video_[0-9]{13}_[a-z0-9]{9})/.+")
NO_KEY = "its secret key does not open: the row was moved or changed"
TOO_YOUNG = "too young to be judged"


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

    @property
    def is_ready(self) -> bool:
        return self.video.status == Status.READY


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


def compare(folder: Folder, owned: VideoWithOwner | None, before: datetime) -> list[Finding]:
    """The differences of one folder, or of a ready row whose folder was not listed.

    Objects younger than ``before`` may still get a row. Raises StorageError.
    """
    found = list(
        _compare_without_row(folder, before) if owned is None else _orphans(folder, owned.video, before)
    )
    if owned is not None and owned.is_ready:
        wrong = list(_compare_ready(folder, owned))
        found += wrong if wrong and _is_unchanged(owned.video) else []
    return found


def _compare_without_row(folder: Folder, before: datetime) -> Iterator[Finding]:
    """A folder with video and sidecar is complete, so only its row was lost."""
    if folder.sidecar and folder.videos:
        yield Finding(Kind.MISSING_ROW, folder.prefix, sum(each.size for each in folder.objects))
        return
    yield from _orphans(folder, None, before)


def _orphans(folder: Folder, video: Video | None, before: datetime) -> Iterator[Finding]:
    for each in folder.objects:
        if not claims(video, each.key):
            young = each.modified_at >= before
            yield Finding(Kind.ORPHAN, each.key, each.size, TOO_YOUNG if young else "", young)


def _compare_ready(folder: Folder, owned: VideoWithOwner) -> Iterator[Finding]:
    video, vault = owned.video, storage.connected()
    info = vault.info(str(video.s3_key))
    mismatch = object_mismatch(video, info)
    if info is None:
        yield _finding(Kind.MISSING_OBJECT, video)
        return
    if mismatch:
        yield _mismatch_finding(video, info, mismatch)
    yield from _wrong_tag(video, info)
    if mismatch:
        return
    if not _has_sidecar(folder, Sidecar.of(video, owned.owner)):
        yield _finding(Kind.SIDECAR, video, size=0)
    if video.poster_key and not folder.named(video.poster_key) and vault.info(video.poster_key) is None:
        yield _finding(Kind.MISSING_POSTER, video, size=0)
    if video.copy_state == CopyState.READY and video.copy_key:
        copy = folder.named(video.copy_key) or vault.info(video.copy_key)
        if copy is None or copy.size != video.copy_size:
            yield _finding(Kind.MISSING_COPY, video, size=0)


def object_mismatch(video: Video, info: ObjectInfo | None) -> Kind | None:
    """How the object differs from the one that was stored for the video."""
    if info is None:
        return Kind.MISSING_OBJECT
    if info.size != video.size:
        return Kind.WRONG_SIZE
    if info.crc32 is not None and video.crc32 and f"{info.crc32:08x}" != video.crc32:
        return Kind.WRONG_CRC32
    return None


def _mismatch_finding(video: Video, info: ObjectInfo, kind: Kind) -> Finding:
    if kind == Kind.WRONG_SIZE:
        detail = f"{info.size:,} bytes in S3, {video.size or 0:,} when it was stored"
        return _finding(kind, video, detail, size=info.size)
    return _finding(kind, video, f"{info.crc32 or 0:08x} in S3, {video.crc32} when it was stored")


def _wrong_tag(video: Video, info: ObjectInfo) -> Iterator[Finding]:
    match integrity.tag_status(video, info):
        case TagStatus.UNKNOWN:
            yield _finding(Kind.UNKNOWN_TAG, video)
        case TagStatus.WRONG:
            opens = security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
            yield _finding(Kind.WRONG_TAG, video, "possibly swapped in S3" if opens else NO_KEY)
        case TagStatus.RIGHT:
            return


def _has_sidecar(folder: Folder, wanted: Sidecar) -> bool:
    """Whether S3 has this sidecar, possibly in an earlier schema. Read only if the ETag does not prove it."""
    listed, content = folder.sidecar, wanted.content()
    md5, crc32 = hashlib.md5(content, usedforsecurity=False).hexdigest(), f"{zlib.crc32(content):08x}"
    if listed and listed.etag.strip('"') in (md5, crc32):
        return True
    stored = sidecar.read(wanted.folder)
    return stored is not None and stored.matches(wanted)


def _is_unchanged(video: Video) -> bool:
    """Whether the row has not changed since it was read."""
    with reading() as session:
        row = session.get(Video, video.id)
    return row is not None and (row.status, row.attempt, row.updated_at) == (
        video.status,
        video.attempt,
        video.updated_at,
    )


def _finding(kind: Kind, video: Video, detail: str = "", *, size: int | None = None) -> Finding:
    text = f"{video.title}: {detail}" if detail else video.title
    return Finding(kind, video.id, video.size or 0 if size is None else size, text, video=video)


def find_old_versions(before: datetime) -> Iterator[Finding]:
    """Versions and delete markers that a versioned bucket keeps of deleted files, one finding per key.

    Those younger than ``before`` may be about to be deleted. Raises StorageError.
    """
    by_key = groupby(storage.connected().versions("videos/"), key=lambda each: each.key)
    hidden = (
        (key, found) for key, found in ((key, list(each)) for key, each in by_key) if _is_deleted(found)
    )
    ours = ((match, found) for key, found in hidden if (match := OBJECT_KEY.fullmatch(key)))
    for batch in in_batches(ours):
        rows = rows_by_folder([Folder(match[1], match[2]) for match, _ in batch])
        for match, found in batch:
            owned = rows.get(Folder(match[1], match[2]).prefix)
            if not claims(owned.video if owned else None, match[0]):
                yield _old_version(match[0], found, before)


def _is_deleted(of_key: list[Version]) -> bool:
    """Whether listings hide the object. A visible object without a video is a finding of its own."""
    return all(each.is_marker or not each.is_current for each in of_key)


def _old_version(key: str, found: list[Version], before: datetime) -> Finding:
    young = any(each.modified_at >= before for each in found)
    versions = sum(not each.is_marker for each in found)
    detail = f"{versions:,} versions" if versions else "a delete marker"
    return Finding(
        Kind.OLD_VERSION,
        key,
        sum(each.size for each in found),
        TOO_YOUNG if young else detail,
        young,
    )

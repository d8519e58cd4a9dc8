"""One folder against its row: everything in which they differ, looked at again before it is told."""

import hashlib
import zlib
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from videovault import security
from videovault.db import reading
from videovault.gateways import storage
from videovault.gateways.storage import ObjectInfo, Version
from videovault.models import CopyState, Status, Video
from videovault.services.maintenance.reconcile.folders import (
    OBJECT_KEY,
    Folder,
    VideoWithOwner,
    claims,
    in_batches,
    rows_by_folder,
)
from videovault.services.maintenance.reconcile.report import Finding, Kind
from videovault.services.videos import integrity, sidecar
from videovault.services.videos.integrity import TagStatus
from videovault.services.videos.sidecar import Sidecar

NO_KEY = "its secret key does not open: the row was moved or changed"


def compare(folder: Folder, owned: VideoWithOwner | None, before: datetime) -> list[Finding]:
    """What is wrong in a folder, or with a ready row whose folder was not listed.

    Objects that are not older than ``before`` may be about to get a row. Raises StorageError.
    """
    found = list(_without_row(folder, before) if owned is None else _unclaimed(folder, owned.video, before))
    if owned is not None and owned.video.status == Status.READY:
        wrong = list(_ready(folder, owned))
        found += wrong if wrong and _is_as_seen(owned.video) else []
    return found


def _without_row(folder: Folder, before: datetime) -> Iterator[Finding]:
    """With its sidecar a video is whole: the row is what was lost."""
    if folder.sidecar and folder.videos:
        yield Finding(Kind.MISSING_ROW, folder.prefix, sum(each.size for each in folder.objects))
        return
    yield from _unclaimed(folder, None, before)


def _unclaimed(folder: Folder, video: Video | None, before: datetime) -> Iterator[Finding]:
    for each in folder.objects:
        if not claims(video, each.key):
            young = each.modified_at >= before
            yield Finding(Kind.ORPHAN, each.key, each.size, "too young to be judged" if young else "", young)


def _ready(folder: Folder, owned: VideoWithOwner) -> Iterator[Finding]:
    video, vault = owned.video, storage.connected()
    info = vault.info(str(video.s3_key))
    if info is None:
        yield _finding(Kind.MISSING_OBJECT, video)
        return
    wrong = _wrong_object(video, info)
    yield from wrong
    yield from _wrong_tag(video, info)
    if wrong:
        return
    if not _fits(folder, Sidecar.of(video, owned.owner)):
        yield _finding(Kind.SIDECAR, video, size=0)
    if video.poster_key and not folder.named(video.poster_key) and vault.info(video.poster_key) is None:
        yield _finding(Kind.MISSING_POSTER, video, size=0)
    if video.copy_state == CopyState.READY and video.copy_key:
        copy = folder.named(video.copy_key) or vault.info(video.copy_key)
        if copy is None or copy.size != video.copy_size:
            yield _finding(Kind.MISSING_COPY, video, size=0)


def _wrong_object(video: Video, info: ObjectInfo) -> list[Finding]:
    if info.size != video.size:
        detail = f"{info.size:,} bytes in S3, {video.size or 0:,} when it was stored"
        return [_finding(Kind.WRONG_SIZE, video, detail, size=info.size)]
    if info.crc32 is not None and video.crc32 and f"{info.crc32:08x}" != video.crc32:
        detail = f"{info.crc32:08x} in S3, {video.crc32} when it was stored"
        return [_finding(Kind.WRONG_CRC32, video, detail)]
    return []


def _wrong_tag(video: Video, info: ObjectInfo) -> Iterator[Finding]:
    match integrity.tag_status(video, info):
        case TagStatus.UNKNOWN:
            yield _finding(Kind.UNKNOWN_TAG, video)
        case TagStatus.WRONG:
            opens = security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
            yield _finding(Kind.WRONG_TAG, video, "possibly swapped in S3" if opens else NO_KEY)
        case TagStatus.RIGHT:
            return


def _fits(folder: Folder, wanted: Sidecar) -> bool:
    """Whether S3 has this sidecar, perhaps of an earlier schema; ETags tell mostly, otherwise it is read."""
    listed, content = folder.sidecar, wanted.content()
    md5, crc32 = hashlib.md5(content, usedforsecurity=False).hexdigest(), f"{zlib.crc32(content):08x}"
    if listed and listed.etag.strip('"') in (md5, crc32):
        return True
    stored = sidecar.read(wanted.folder)
    return stored is not None and stored.tells(wanted)


def _is_as_seen(video: Video) -> bool:
    """Whether nobody has changed or deleted the video since it was read."""
    with reading() as session:
        row = session.get(Video, video.id)
    return row is not None and (row.status, row.attempt, row.updated_at) == (
        video.status,
        video.attempt,
        video.updated_at,
    )


def _finding(kind: Kind, video: Video, detail: str = "", *, size: int | None = None) -> Finding:
    told = f"{video.title}: {detail}" if detail else video.title
    return Finding(kind, video.id, video.size or 0 if size is None else size, told, video=video)


# What a versioned bucket has kept of files that are deleted: versions and delete markers that no video claims.


def find_old_versions(before: datetime) -> Iterator[Finding]:
    """One finding for each key. What is not older than ``before`` may be about to be deleted. Raises StorageError."""
    by_key = groupby(storage.connected().versions("videos/"), key=lambda each: each.key)
    hidden = ((key, found) for key, found in ((key, list(each)) for key, each in by_key) if _is_hidden(found))
    ours = ((match, found) for key, found in hidden if (match := OBJECT_KEY.fullmatch(key)))
    for batch in in_batches(ours):
        rows = rows_by_folder([Folder(match[1], match[2]) for match, _ in batch])
        for match, found in batch:
            owned = rows.get(Folder(match[1], match[2]).prefix)
            if not claims(owned.video if owned else None, match[0]):
                yield _old_version(match[0], found, before)


def _is_hidden(of_key: list[Version]) -> bool:
    """Whether listings do not show the object: an object without a video is a finding of its own."""
    return all(each.is_marker or not each.is_current for each in of_key)


def _old_version(key: str, found: list[Version], before: datetime) -> Finding:
    young = any(each.modified_at >= before for each in found)
    versions = sum(not each.is_marker for each in found)
    detail = f"{versions:,} versions" if versions else "a delete marker"
    return Finding(
        Kind.OLD_VERSION,
        key,
        sum(each.size for each in found),
        "too young to be judged" if young else detail,
        young,
    )

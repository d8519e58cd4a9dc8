"""Compare the bucket with the database in one pass over each, and repair the differences."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, takewhile
from typing import TypeVar

from sqlmodel import select

from videovault import logs
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, StorageError
from videovault.gateways import storage
from videovault.gateways.s3_client import UploadLost
from videovault.gateways.storage import Upload
from videovault.models import Event, Status, Video
from videovault.services.core import lifecycle, quota
from videovault.services.core.access import Caller, check_admin
from videovault.services.core.lifecycle import ActorKind
from videovault.services.maintenance.reconcile.compare import (
    OBJECT_KEY,
    Folder,
    VideoWithOwner,
    claims,
    compare,
    find_old_versions,
    in_batches,
    list_folders,
    ready_videos,
    rows_by_folder,
)
from videovault.services.maintenance.reconcile.report import (
    UNTOUCHED,
    Finding,
    Kind,
    Progress,
    Report,
    ReportBuilder,
    Result,
)
from videovault.services.transfer import cleanup, playable_copy
from videovault.services.videos import integrity, sidecar

AT_ONCE = 8  # threads, each with one S3 call and at most one database connection
# Younger objects and uploads may belong to a running transfer, on a machine with another clock.
MIN_AGE = timedelta(hours=1)
# Error code and message of a video whose object is not the stored one.
FAILURE_REASONS = {
    Kind.MISSING_OBJECT: ("OBJECT_MISSING", "The stored file of this video is gone from S3."),
    Kind.WRONG_SIZE: ("OBJECT_CHANGED", "S3 holds another file than the one that was stored for this video."),
    Kind.WRONG_CRC32: (
        "OBJECT_CHANGED",
        "S3 holds another file than the one that was stored for this video.",
    ),
}
CHANGED_MEANWHILE = "It changed in the meantime, so it was not touched."
T = TypeVar("T")
log = logs.get(__name__)
Work = tuple[Folder, VideoWithOwner | None]


def for_admin(caller: Caller, *, repair: bool = False, progress: Progress | None = None) -> Report:
    """``reconcile`` for an admin. Raises Forbidden for other callers."""
    check_admin(caller)
    return reconcile(repair=repair, actor_id=caller.user_id, progress=progress)


def reconcile(
    *,
    repair: bool,
    actor_id: str | None = None,
    min_age: timedelta = MIN_AGE,
    progress: Progress | None = None,
) -> Report:
    """Compare S3 with the rows; with ``repair``, repair what needs no human judgement. Without it, nothing changes.

    Safe while videos are produced, and on several machines at once. ``progress`` is updated during the run and can
    stop it early; the report then covers what was compared. Raises StorageError, and Conflict for an empty database
    with a full bucket, since every object would count as orphaned.
    """
    if repair:
        _check_database_not_lost()
    progress = progress or Progress()
    progress.total_videos = _count_ready()
    builder = ReportBuilder(repair, progress)
    handle = _repair if repair else _leave_untouched
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reconcile") as pool:
        process = partial(_compare_and_repair, before=utcnow() - min_age, handle=handle, progress=progress)
        for batch in _until_stopped(_folders_with_rows(), progress):
            for work, outcomes in zip(batch, pool.map(process, batch), strict=True):
                if outcomes is not None:
                    folder, owned = work
                    sizes = [each.size for each in folder.objects]
                    builder.add_folder(sizes, is_ready=owned is not None and owned.is_ready)
                    for found, result in outcomes:
                        builder.add(found, result)
    for found in _until_stopped(
        chain(find_old_versions(utcnow() - min_age), _orphaned_uploads(min_age)), progress
    ):
        builder.add(found, handle(found))
    report = builder.report()
    if repair:
        quota.recount()
        _record_event(report, actor_id)
    return report


def _folders_with_rows() -> Iterator[Sequence[Work]]:
    """Each folder with its row, then the ready rows without a listed folder."""
    seen: set[str] = set()
    for batch in in_batches(list_folders(storage.connected())):
        rows = rows_by_folder(batch)
        work = [(folder, rows.get(folder.prefix)) for folder in batch]
        seen |= {folder.video_id for folder, owned in work if owned and owned.is_ready}
        yield work
    for rest in in_batches(owned for owned in ready_videos() if owned.video.id not in seen):
        yield [(Folder(owned.video.owner_id, owned.video.id), owned) for owned in rest]


def _until_stopped(items: Iterator[T], progress: Progress) -> Iterator[T]:
    return takewhile(lambda _: not progress.is_stopped, items)


def _compare_and_repair(
    work: Work, *, before: datetime, handle: Callable[[Finding], Result], progress: Progress
) -> list[tuple[Finding, Result]] | None:
    """None once the run is stopped."""
    return None if progress.is_stopped else [(found, handle(found)) for found in compare(*work, before)]


def _leave_untouched(_found: Finding) -> Result:
    return UNTOUCHED


def _count_ready() -> int:
    with reading() as session:
        return quota.counts_of_all(session).by_state[Status.READY]


def _orphaned_uploads(older_than: timedelta) -> Iterator[Finding]:
    for upload in cleanup.orphaned_uploads(older_than):
        yield Finding(Kind.STRAY_UPLOAD, upload.key, _uploaded_bytes(upload), upload=upload)


def _uploaded_bytes(upload: Upload) -> int:
    try:
        return sum(part.size for part in storage.connected().parts(upload.key, upload.upload_id) or ())
    except UploadLost:
        return 0


def _check_database_not_lost() -> None:
    with reading() as session:
        empty = session.exec(select(Video.id).limit(1)).first() is None
    if empty and next(storage.connected().keys("videos/"), None):
        raise Conflict(
            "The database has no videos, but the bucket does: every object would count as orphaned. "
            "If the database was lost, restore the rows with `python -m videovault reconcile --rebuild`."
        )


def _record_event(report: Report, actor_id: str | None) -> None:
    mended = {each.kind.value: each.mended for each in report.found if each.mended}
    with transaction() as session:
        session.add(
            Event(kind="reconciled", actor_id=actor_id, detail={"mended": mended, "left": report.left})
        )


# Repairs. Each one checks again, so that several machines can repair at once.


def fail_video(video: Video, kind: Kind, *, by: ActorKind | None = None, why: str = "") -> bool:
    """Mark a video as failed whose object is not the stored one; False if it has changed since it was read."""
    code, message = FAILURE_REASONS[kind]
    failed = {"error_code": code, "error_message": message}
    with transaction() as session:
        return lifecycle.transition(session, video, Status.FAILED, by=by, why=why or message, **failed)


def _repair(found: Finding) -> Result:
    """Young findings, and those that need a person's judgement, are left untouched."""
    if found.kind == Kind.WRONG_TAG and found.video is not None:
        with transaction() as session:
            integrity.record_swapped(session, found.video)
    if found.young or found.kind not in (*_VIDEO_REPAIRS, *_OBJECT_REPAIRS):
        return UNTOUCHED
    try:
        if found.video is not None:
            why = "" if _VIDEO_REPAIRS[found.kind](found.video) else CHANGED_MEANWHILE
        else:
            why = _OBJECT_REPAIRS[found.kind](found)
    except StorageError as error:
        log.warning("not repaired", kind=found.kind, name=found.name, reason=error.public_message)
        why = error.public_message
    return Result(is_repaired=not why, why=why)


def _delete_orphan(found: Finding) -> str:
    if _is_claimed(found.name):
        return CHANGED_MEANWHILE
    log.warning("object without a video deleted", key=found.name, size=found.bytes)
    storage.connected().delete([found.name])
    return ""


def _delete_versions(found: Finding) -> str:
    vault = storage.connected()
    if _is_claimed(found.name) or vault.info(found.name) is not None:
        return CHANGED_MEANWHILE
    kept = vault.delete_versions(found.name)
    return f"{kept} {kept.why}" if kept else ""


def _is_claimed(key: str) -> bool:
    match = OBJECT_KEY.fullmatch(key)
    with reading() as session:
        row = session.get(Video, match[2]) if match else None
    return claims(row, key)


def _abort_upload(found: Finding) -> str:
    if found.upload is None or cleanup.is_referenced(found.upload):
        return CHANGED_MEANWHILE
    storage.connected().abort_upload(found.upload.key, found.upload.upload_id)
    return ""


# Whether the video was repaired.
_VIDEO_REPAIRS: dict[Kind, Callable[[Video], bool]] = {
    **{kind: partial(fail_video, kind=kind) for kind in FAILURE_REASONS},
    Kind.UNKNOWN_TAG: integrity.tag,
    Kind.SIDECAR: lambda video: sidecar.write_or_raise(video.id),
    Kind.MISSING_COPY: playable_copy.remake,
}
# The reason why something was not repaired, or nothing.
_OBJECT_REPAIRS: dict[Kind, Callable[[Finding], str]] = {
    Kind.ORPHAN: _delete_orphan,
    Kind.OLD_VERSION: _delete_versions,
    Kind.STRAY_UPLOAD: _abort_upload,
}

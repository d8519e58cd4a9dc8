"""Bucket and database held against each other, in one pass over each."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, takewhile
from typing import TypeVar

from sqlmodel import func, select

from videovault import logs
from videovault.db import reading, transaction
from videovault.errors import Conflict, StorageError
from videovault.gateways import storage
from videovault.gateways.s3 import UploadLost
from videovault.gateways.storage import Upload
from videovault.models import Event, Status, Video, utcnow
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller, check_admin
from videovault.services.maintenance.reconcile.compare import compare, find_old_versions
from videovault.services.maintenance.reconcile.folders import (
    OBJECT_KEY,
    Folder,
    VideoWithOwner,
    claims,
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

# Mending what was found, one thing at a time; each step looks again, so that several machines may do it at once.

FAILURE_REASONS = {
    Kind.MISSING_OBJECT: ("OBJECT_MISSING", "The stored file of this video is gone from S3."),
    Kind.WRONG_SIZE: ("OBJECT_CHANGED", "S3 holds another file than the one that was stored for this video."),
    Kind.WRONG_CRC32: (
        "OBJECT_CHANGED",
        "S3 holds another file than the one that was stored for this video.",
    ),
}
CHANGED_MEANWHILE = "It has changed meanwhile, so it was left alone."
log = logs.get(__name__)


def repair_finding(found: Finding) -> Result:
    """What became of it; untouched are what is young and what only a person can judge."""
    if found.kind == Kind.WRONG_TAG:
        _note_swapped(found)
    if found.young or found.kind not in (*_WAYS, Kind.OLD_VERSION):
        return UNTOUCHED
    try:
        if found.kind == Kind.OLD_VERSION:
            return _delete_versions(found)
        is_repaired = _WAYS[found.kind](found)
    except StorageError as error:
        log.warning("not mended", kind=found.kind, name=found.name, reason=error.public_message)
        return Result(is_repaired=False, why=error.public_message)
    return Result(is_repaired, "" if is_repaired else CHANGED_MEANWHILE)


def _delete_orphan(found: Finding) -> bool:
    match = OBJECT_KEY.fullmatch(found.name)
    with reading() as session:
        row = session.get(Video, match[2]) if match else None
    if claims(row, found.name):
        return False
    log.warning("object without a video deleted", key=found.name, size=found.bytes)
    storage.connected().delete([found.name])
    return True


def _delete_versions(found: Finding) -> Result:
    match = OBJECT_KEY.fullmatch(found.name)
    with reading() as session:
        row = session.get(Video, match[2]) if match else None
    vault = storage.connected()
    if claims(row, found.name) or vault.info(found.name) is not None:
        return Result(is_repaired=False, why=CHANGED_MEANWHILE)
    kept = vault.delete_versions(found.name)
    return Result(is_repaired=kept is None, why=f"{kept} {kept.why}" if kept else "")


def _fail(found: Finding) -> bool:
    code, message = FAILURE_REASONS[found.kind]
    with transaction() as session:
        return found.video is not None and lifecycle.transition(
            session, found.video, Status.FAILED, why=message, error_code=code, error_message=message
        )


def _make_copy_again(found: Finding) -> bool:
    return found.video is not None and playable_copy.remake(found.video)


def _write_sidecar(found: Finding) -> bool:
    return sidecar.write_or_raise(found.name)


def _tag(found: Finding) -> bool:
    return found.video is not None and integrity.tag(found.video)


def _note_swapped(found: Finding) -> None:
    """Nothing mends this by itself, but it is not forgotten."""
    if found.video is not None:
        with transaction() as session:
            integrity.record_swapped(session, found.video)


def _abort(found: Finding) -> bool:
    if found.upload is None or cleanup.is_referenced(found.upload):
        return False
    storage.connected().abort_upload(found.upload.key, found.upload.upload_id)
    return True


_WAYS: dict[Kind, Callable[[Finding], bool]] = {
    Kind.MISSING_OBJECT: _fail,
    Kind.WRONG_SIZE: _fail,
    Kind.WRONG_CRC32: _fail,
    Kind.UNKNOWN_TAG: _tag,
    Kind.SIDECAR: _write_sidecar,
    Kind.MISSING_COPY: _make_copy_again,
    Kind.ORPHAN: _delete_orphan,
    Kind.STRAY_UPLOAD: _abort,
}


AT_ONCE = 8  # questions to S3, each holding at most one connection to the database
# Younger objects and uploads are left alone: a transfer may be under way, on a machine whose clock is another.
LEAST_AGE = timedelta(hours=1)
T = TypeVar("T")
Work = tuple[Folder, VideoWithOwner | None]


def for_admin(caller: Caller, *, repair: bool = False, progress: Progress | None = None) -> Report:
    """The same as ``reconcile``. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    return reconcile(repair=repair, actor_id=caller.user_id, progress=progress)


def reconcile(
    *,
    repair: bool,
    actor_id: str | None = None,
    least_age: timedelta = LEAST_AGE,
    progress: Progress | None = None,
) -> Report:
    """Compare what S3 holds with what the rows say; with ``repair``, mend what needs no judgement.

    Without, nothing is changed. Safe while videos are made, and on several machines at once; ``progress`` tells how
    far it is, and ends it early, with a report of what it came to. Raises StorageError, and Conflict when an empty
    database would make everything in the bucket look left over.
    """
    if repair:
        _check_not_lost()
    progress = progress or Progress()
    progress.total_videos = _count_ready()
    tally = ReportBuilder(repair, progress)
    mending = repair_finding if repair else _leave
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reconcile") as pool:
        settle = partial(_settle, before=utcnow() - least_age, mending=mending, progress=progress)
        for batch in _until_stopped(_everything(), progress):
            for work, settled in zip(batch, pool.map(settle, batch), strict=True):
                if settled is not None:
                    tally.saw(*work)
                    for found, result in settled:
                        tally.add(found, result)
    for stray in _until_stopped(chain(find_old_versions(utcnow() - least_age), _strays(least_age)), progress):
        tally.add(stray, mending(stray))
    report = tally.report()
    if repair:
        _note(report, actor_id)
    return report


def _everything() -> Iterator[Sequence[Work]]:
    """Each folder with its row, then the ready rows whose folders were not listed."""
    seen: set[str] = set()
    for batch in in_batches(list_folders(storage.connected())):
        rows = rows_by_folder(batch)
        work = [(folder, rows.get(folder.prefix)) for folder in batch]
        seen |= {folder.video_id for folder, owned in work if owned and owned.video.status == Status.READY}
        yield work
    for rest in in_batches(owned for owned in ready_videos() if owned.video.id not in seen):
        yield [(Folder(owned.video.owner_id, owned.video.id), owned) for owned in rest]


def _until_stopped(everything: Iterator[T], progress: Progress) -> Iterator[T]:
    return takewhile(lambda _: not progress.is_stopped, everything)


def _settle(
    work: Work, *, before: datetime, mending: Callable[[Finding], Result], progress: Progress
) -> list[tuple[Finding, Result]] | None:
    """None for what is not looked at any more."""
    return None if progress.is_stopped else [(found, mending(found)) for found in compare(*work, before)]


def _leave(_found: Finding) -> Result:
    return UNTOUCHED


def _count_ready() -> int:
    with reading() as session:
        ready = select(func.count()).select_from(Video).where(Video.status == Status.READY)
        return session.exec(ready).one()


def _strays(older_than: timedelta) -> Iterator[Finding]:
    for upload in cleanup.orphaned_uploads(older_than):
        yield Finding(Kind.STRAY_UPLOAD, upload.key, _bytes_of(upload), upload=upload)


def _bytes_of(upload: Upload) -> int:
    try:
        return sum(part.size for part in storage.connected().parts(upload.key, upload.upload_id) or ())
    except UploadLost:
        return 0


def _check_not_lost() -> None:
    with reading() as session:
        empty = session.exec(select(Video.id).limit(1)).first() is None
    if empty and next(storage.connected().keys("videos/"), None):
        raise Conflict(
            "The database holds no video at all but the bucket does: everything there would count as left over. "
            "If the database was lost, get the videos back by `python -m videovault reconcile --rebuild`."
        )


def _note(report: Report, actor_id: str | None) -> None:
    mended = {each.kind.value: each.mended for each in report.found if each.mended}
    with transaction() as session:
        session.add(
            Event(kind="reconciled", actor_id=actor_id, detail={"mended": mended, "left": report.left})
        )

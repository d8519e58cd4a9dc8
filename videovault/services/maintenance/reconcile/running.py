"""Bucket and database held against each other, in one pass over each."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, takewhile
from typing import TypeVar

from sqlmodel import func, select

from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.gateways import storage
from videovault.gateways.s3 import UploadLost
from videovault.gateways.storage import Upload
from videovault.models import Event, Status, Video, now
from videovault.services.core.access import Caller, check_admin
from videovault.services.maintenance.reconcile.comparing import compare
from videovault.services.maintenance.reconcile.folders import (
    Folder,
    Owned,
    batches,
    folders,
    ready_rows,
    rows_of,
)
from videovault.services.maintenance.reconcile.mending import mend
from videovault.services.maintenance.reconcile.old_versions import old_versions
from videovault.services.maintenance.reconcile.progress import Progress
from videovault.services.maintenance.reconcile.report import UNTOUCHED, Finding, Kind, Report, Result, Tally
from videovault.services.transfer import cleanup

AT_ONCE = 8  # questions to S3, each holding at most one connection to the database
# Younger objects and uploads are left alone: a transfer may be under way, on a machine whose clock is another.
LEAST_AGE = timedelta(hours=1)
T = TypeVar("T")
Work = tuple[Folder, Owned | None]


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
    progress.of_videos = _count_ready()
    tally = Tally(repair, progress)
    mending = mend if repair else _leave
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reconcile") as pool:
        settle = partial(_settle, before=now() - least_age, mending=mending, progress=progress)
        for batch in _until_stopped(_everything(), progress):
            for work, settled in zip(batch, pool.map(settle, batch), strict=True):
                if settled is not None:
                    tally.saw(*work)
                    for found, result in settled:
                        tally.add(found, result)
    for stray in _until_stopped(chain(old_versions(now() - least_age), _strays(least_age)), progress):
        tally.add(stray, mending(stray))
    report = tally.report()
    if repair:
        _note(report, actor_id)
    return report


def _everything() -> Iterator[Sequence[Work]]:
    """Each folder with its row, then the ready rows whose folders were not listed."""
    seen: set[str] = set()
    for batch in batches(folders(storage.connected())):
        rows = rows_of(batch)
        work = [(folder, rows.get(folder.prefix)) for folder in batch]
        seen |= {folder.video_id for folder, owned in work if owned and owned.video.status == Status.READY}
        yield work
    for rest in batches(owned for owned in ready_rows() if owned.video.id not in seen):
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
    for upload in cleanup.strays(older_than):
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

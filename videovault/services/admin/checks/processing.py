"""Checks of processing: the database, the queue, the workers, playable copies, and recent failures."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from videovault import db
from videovault.clock import read_db_now, utcnow
from videovault.config import settings
from videovault.db import reading
from videovault.errors import ConfigurationError
from videovault.formatting import format_duration
from videovault.models import CopyState, Status, User, Video, Worker
from videovault.services.admin.checks.result import DOWNLOAD_FAILURES, MISSING_VIDEOS, CheckResult
from videovault.services.transfer import lease

SLOW_SECONDS = 0.25
LONG_WAIT = timedelta(minutes=10)
RECENT = timedelta(days=1)
LOST = ("OBJECT_MISSING", "OBJECT_CHANGED")


def database() -> CheckResult:
    try:
        behind = db.schema_behind()
    except ConfigurationError as error:  # an upgrade is under way
        return CheckResult("warning", error.public_message, "Replace this process by one of that version.")
    if behind:
        advice = "Run `python -m videovault migrate`, then start VideoVault again."
        return CheckResult("broken", "Its tables do not match this version of VideoVault.", advice)
    started = time.monotonic()
    with reading() as session:
        session.exec(select(User.id).limit(1)).first()
    seconds = time.monotonic() - started
    if seconds > SLOW_SECONDS:
        advice = "Look at the load of the database and the network between it and this machine."
        return CheckResult("warning", f"It answers, but only after {round(seconds * 1000):,} ms.", advice)
    return CheckResult(
        "ok", f"It answers within {max(1, round(seconds * 1000)):,} ms, and its tables are up to date."
    )


def queue(jobs: int) -> CheckResult:
    """``jobs`` is the length of the queue; the waiting time comes from the rows."""
    with reading() as session:
        count, oldest = session.exec(
            select(func.count(), func.min(Video.queued_at)).where(_is_waiting())
        ).one()
        waited = _since(session, oldest)
    if not count:
        return CheckResult("ok", "Nothing is waiting.")
    found = (
        f"{count:,} waiting ({jobs:,} handed out), the longest for {format_duration(waited.total_seconds())}."
    )
    if waited < LONG_WAIT:
        return CheckResult("ok", found)
    advice = "If no worker is alive, start one. If all are busy, raise WORKERS or run more of them."
    return CheckResult("warning", found, advice)


def workers() -> CheckResult:
    alive, silent = lease.list_workers()
    if alive:
        transfers = sum(worker.at_once for worker in alive)
        found = f"Alive: {len(alive):,}, on {_hosts(alive)}, for {transfers:,} transfers at once."
        return _with_lost(found, silent)
    advice = "Start one by `python -m videovault worker`, or set WORKERS above 0 and start VideoVault again."
    if not silent:
        return CheckResult("broken", "No worker is alive: nothing is made or stored.", advice)
    with reading() as session:
        ago = format_duration(_since(session, silent[0].seen_at).total_seconds())
    return CheckResult("broken", f"No worker is alive. The last heartbeat was {ago} ago.", advice)


def _with_lost(found: str, silent: Sequence[Worker]) -> CheckResult:
    """A temporary warning if a worker hangs or was killed; one that ends deregisters itself."""
    with reading() as session:
        lost = [worker for worker in silent if _since(session, worker.seen_at) < LONG_WAIT]
        if not lost:
            return CheckResult("ok", found)
        ago = format_duration(_since(session, lost[0].seen_at).total_seconds())
    found += f" Not heard of for {ago}: {len(lost):,}, on {_hosts(lost)}. Others have taken over its work."
    advice = "It hangs or was killed. One that VideoVault runs itself is replaced; start any other one again."
    return CheckResult("warning", found, advice)


def _hosts(workers: Sequence[Worker]) -> str:
    return ", ".join(sorted({worker.host for worker in workers}))


def copies() -> CheckResult:
    """The number of playable copies that are waiting, and that have failed."""
    with reading() as session:
        ready = select(Video.copy_state, func.count()).where(Video.status == Status.READY)
        counts = dict(session.exec(ready.group_by(col(Video.copy_state))).all())
    waiting, making = counts.get(CopyState.DUE, 0), counts.get(CopyState.MAKING, 0)
    failed = counts.get(CopyState.FAILED, 0)
    found = f"Made: {counts.get(CopyState.READY, 0):,}. Being made: {making:,}. Waiting: {waiting:,}."
    if settings().playable_copies == "off":
        return CheckResult("ok", f"Switched off by PLAYABLE_COPIES. {found}")
    if failed:
        advice = "The reason is shown with each video, where its owner can have the copy made again."
        return CheckResult("warning", f"{found} Could not be made: {failed:,}.", advice)
    return CheckResult("ok", found)


def failures() -> CheckResult:
    """Videos that failed within a day and have neither been retried nor cancelled by their owner."""
    with reading() as session:
        is_recent = col(Video.updated_at) >= utcnow() - RECENT
        failed = select(Video.error_code, func.count()).where(Video.status == Status.FAILED, is_recent)
        counts = {str(code): count for code, count in session.exec(failed.group_by(col(Video.error_code)))}
    counts.pop("CANCELLED", None)
    total = sum(counts.values())
    if not total:
        return CheckResult("ok", "No video has failed since yesterday.")
    lost, unfetched = sum(counts.get(code, 0) for code in LOST), counts.get("SOURCE_FAILED", 0)
    if lost:
        found = f"Failed since yesterday: {total:,}, of which S3 has lost or changed {lost:,}."
        return CheckResult("warning", found, MISSING_VIDEOS.advice, MISSING_VIDEOS.name)
    if unfetched:
        found = f"Failed since yesterday: {total:,}, of which {unfetched:,} could not be fetched."
        return CheckResult("warning", found, DOWNLOAD_FAILURES.advice, DOWNLOAD_FAILURES.name)
    return CheckResult(
        "warning", f"Failed since yesterday: {total:,}.", "See each video under Videos for the reason."
    )


def _is_waiting() -> ColumnElement[bool]:
    not_requested = (col(Video.status) == Status.GENERATING) & col(Video.requested_at).is_(None)
    return or_(col(Video.status) == Status.QUEUED, not_requested)


def _since(session: Session, at: datetime | None) -> timedelta:
    return max(timedelta(0), read_db_now(session) - at) if at else timedelta(0)

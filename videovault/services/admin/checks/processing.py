"""Checks of the work itself: the database, what waits, who works, and what has failed recently."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from videovault import db
from videovault.config import settings
from videovault.db import read_db_now, reading
from videovault.models import CopyState, Status, User, Video, Worker, utcnow
from videovault.services.admin.checks.result import DOWNLOAD_FAILURES, MISSING_VIDEOS, Outcome, about
from videovault.services.transfer import worker_registry

SLOW_SECONDS = 0.25
LONG_WAIT = timedelta(minutes=10)
LATELY = timedelta(days=1)
LOST = ("OBJECT_MISSING", "OBJECT_CHANGED")


def database() -> Outcome:
    started = time.monotonic()
    with reading() as session:
        session.exec(select(User.id).limit(1)).first()
    seconds = time.monotonic() - started
    if not db.is_migrated():
        mend = "Run `python -m videovault migrate`, then start VideoVault again."
        return Outcome("broken", "Its tables are not those that this version of VideoVault knows.", mend)
    if seconds > SLOW_SECONDS:
        mend = "Look at the load of the database and the network between it and this machine."
        return Outcome("warning", f"It answers, but only after {round(seconds * 1000):,} ms.", mend)
    return Outcome(
        "ok", f"It answers within {max(1, round(seconds * 1000)):,} ms, and its tables are up to date."
    )


def queue(jobs: int) -> Outcome:
    """``jobs`` wait in the queue; how long videos have waited, the rows tell."""
    with reading() as session:
        count, oldest = session.exec(select(func.count(), func.min(Video.queued_at)).where(_waits())).one()
        waited = _since(session, oldest)
    if not count:
        return Outcome("ok", "Nothing is waiting.")
    found = f"{count:,} waiting ({jobs:,} handed out), the longest for {about(waited)}."
    if waited < LONG_WAIT:
        return Outcome("ok", found)
    mend = "If no worker is alive, start one. If all are busy, raise WORKERS or run more of them."
    return Outcome("warning", found, mend)


def workers() -> Outcome:
    alive, silent = worker_registry.list_workers()
    if alive:
        transfers = sum(worker.at_once for worker in alive)
        found = f"Alive: {len(alive):,}, on {_hosts(alive)}, for {transfers:,} transfers at once."
        return _with_lost(found, silent)
    mend = "Start one by `python -m videovault worker`, or set WORKERS above 0 and start VideoVault again."
    if not silent:
        return Outcome("broken", "No worker is alive: nothing is made or stored.", mend)
    with reading() as session:
        ago = about(_since(session, silent[0].seen_at))
    return Outcome("broken", f"No worker is alive. The last one was heard of {ago} ago.", mend)


def _with_lost(found: str, silent: Sequence[Worker]) -> Outcome:
    """A warning for a while when a worker hangs or has been killed: at its end it would have said so."""
    with reading() as session:
        lost = [worker for worker in silent if _since(session, worker.seen_at) < LONG_WAIT]
        if not lost:
            return Outcome("ok", found)
        ago = about(_since(session, lost[0].seen_at))
    found += f" Not heard of for {ago}: {len(lost):,}, on {_hosts(lost)}. Others have taken over its work."
    mend = "It hangs or was killed. One that VideoVault runs itself is replaced; start any other one again."
    return Outcome("warning", found, mend)


def _hosts(workers: Sequence[Worker]) -> str:
    return ", ".join(sorted({worker.host for worker in workers}))


def copies() -> Outcome:
    """How many playable copies are waited for, and which could not be made."""
    with reading() as session:
        ready = select(Video.copy_state, func.count()).where(Video.status == Status.READY)
        counts = dict(session.exec(ready.group_by(col(Video.copy_state))).all())
    waiting, making = counts.get(CopyState.DUE, 0), counts.get(CopyState.MAKING, 0)
    failed = counts.get(CopyState.FAILED, 0)
    found = f"Made: {counts.get(CopyState.READY, 0):,}. Being made: {making:,}. Waiting: {waiting:,}."
    if settings().playable_copies == "off":
        return Outcome("ok", f"Switched off by PLAYABLE_COPIES. {found}")
    if failed:
        mend = "The reason is shown with each video, where its owner can have the copy made again."
        return Outcome("warning", f"{found} Could not be made: {failed:,}.", mend)
    return Outcome("ok", found)


def failures() -> Outcome:
    """What failed within a day, as far as it is still failed and not by its owner's wish."""
    with reading() as session:
        lately = col(Video.updated_at) >= utcnow() - LATELY
        failed = select(Video.error_code, func.count()).where(Video.status == Status.FAILED, lately)
        counts = {str(code): count for code, count in session.exec(failed.group_by(col(Video.error_code)))}
    counts.pop("CANCELLED", None)
    total = sum(counts.values())
    if not total:
        return Outcome("ok", "No video has failed since yesterday.")
    lost, unfetched = sum(counts.get(code, 0) for code in LOST), counts.get("SOURCE_FAILED", 0)
    if lost:
        found = f"Failed since yesterday: {total:,}, of which S3 has lost or changed {lost:,}."
        return Outcome("warning", found, MISSING_VIDEOS.advice, MISSING_VIDEOS.name)
    if unfetched:
        found = f"Failed since yesterday: {total:,}, of which {unfetched:,} could not be fetched."
        return Outcome("warning", found, DOWNLOAD_FAILURES.advice, DOWNLOAD_FAILURES.name)
    return Outcome(
        "warning", f"Failed since yesterday: {total:,}.", "The reasons stand at each, under Videos."
    )


def _waits() -> ColumnElement[bool]:
    unasked = (col(Video.status) == Status.GENERATING) & col(Video.requested_at).is_(None)
    return or_(col(Video.status) == Status.QUEUED, unasked)


def _since(session: Session, at: datetime | None) -> timedelta:
    return max(timedelta(0), read_db_now(session) - at) if at else timedelta(0)

"""Live checks of what this installation depends on: each is tried for real, in its own thread and with a deadline.

A check reports what is wrong, and how to repair it.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from videovault import db, logs, untrusted_json
from videovault.clock import read_db_now, utcnow
from videovault.config import settings
from videovault.db import reading
from videovault.errors import ConfigurationError, NotFound, StorageError, VideoVaultError
from videovault.formatting import format_duration
from videovault.gateways import http_check, notifications
from videovault.models import CopyState, Status, User, Video, Worker
from videovault.services.admin.checks import object_store
from videovault.services.admin.checks.object_store import (
    BROWSER,
    browser_result,
    browser_untested,
    finish_browser_check,
    start_browser_check,
)
from videovault.services.admin.checks.result import (
    DOWNLOAD_FAILURES,
    MISSING_VIDEOS,
    STORE_ADVICE,
    CheckResult,
    CheckView,
    StepView,
    failed_check,
    storage_advice,
)
from videovault.services.admin.health import SharedRun, shared_runs
from videovault.services.core.access import Caller, check_admin
from videovault.services.transfer import lease

__all__ = [
    "BROWSER",
    "CHECKS",
    "CheckView",
    "StepView",
    "applicable",
    "browser_result",
    "browser_untested",
    "finish_browser_check",
    "start",
    "start_browser_check",
    "start_check",
]
DEADLINE_SECONDS = 5.0
SLOW_SECONDS = 0.25
LONG_WAIT = timedelta(minutes=10)
RECENT = timedelta(days=1)
LOST = ("OBJECT_MISSING", "OBJECT_CHANGED")
HOW_TO = "See docs/connect for how to connect n8n, Make and generators."
NO_SUCH_METHOD = 501  # no OPTIONS, but the service is there
DATABASE_ADVICE = "Check DATABASE_URL, and that the database is running."
log = logs.get(__name__)


@dataclass(frozen=True)
class Check:
    """``advice`` is for time-outs and errors without their own advice; ``seconds`` is a longer deadline."""

    title: str
    look: Callable[[], CheckResult]
    advice: str
    seconds: float = 0


def start(caller: Caller, name: str, *, jobs_waiting: Callable[[], int]) -> "Future[CheckView]":
    """Start one of ``CHECKS`` in its own thread, with a deadline; simultaneous callers share one run.

    Raises Forbidden for non-admins, NotFound.
    """
    check_admin(caller)
    if name not in CHECKS:
        raise NotFound("There is no such check.")
    return start_check(name, jobs_waiting=jobs_waiting)


def start_check(name: str, *, jobs_waiting: Callable[[], int]) -> "Future[CheckView]":
    """``start`` for the command line, whose user has access to the machine."""
    look = (lambda: check_queue(jobs_waiting())) if name == "queue" else CHECKS[name].look
    return _shared_run(f"checked {name}").start(lambda: _run(name, look))


def applicable() -> list[str]:
    """The names of the checks that apply to these settings."""
    return [name for name in CHECKS if name != "disk" or settings().uses_embedded_s3]


def _shared_run(name: str) -> SharedRun[Any]:
    return shared_runs().setdefault(name, SharedRun(name))


def _run(name: str, look: Callable[[], CheckResult]) -> CheckView:
    check, started_at = CHECKS[name], time.monotonic()
    outcome = _result(check, _shared_run(f"looked at {name}").start(look))
    return CheckView(
        name=name,
        title=check.title,
        state=outcome.state,
        found=outcome.found,
        problem=outcome.problem,
        advice=outcome.advice,
        steps=list(outcome.steps),
        details=list(outcome.details),
        seconds=round(time.monotonic() - started_at, 3),
    )


def _result(check: Check, outcome: Future[CheckResult]) -> CheckResult:
    seconds = max(DEADLINE_SECONDS, check.seconds)
    try:
        return outcome.result(seconds)
    except TimeoutError:
        return CheckResult("broken", f"No answer within {seconds:g} seconds.", check.advice)
    except StorageError as error:
        return failed_check(error, storage_advice(error))
    except VideoVaultError as error:
        return failed_check(error, check.advice)
    except Exception:  # the reason is only logged: it may contain addresses and names
        log.exception("check failed", part=check.title)
        return CheckResult("broken", "It could not be used; see the log for the reason.", check.advice)


def check_database() -> CheckResult:
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


def check_queue(jobs: int) -> CheckResult:
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


def check_workers() -> CheckResult:
    alive, silent = lease.list_workers()
    if alive:
        transfers = sum(worker.at_once for worker in alive)
        found = f"Alive: {len(alive):,}, on {_hosts_of(alive)}, for {transfers:,} transfers at once."
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
    found += f" Not heard of for {ago}: {len(lost):,}, on {_hosts_of(lost)}. Others have taken over its work."
    advice = "It hangs or was killed. One that VideoVault runs itself is replaced; start any other one again."
    return CheckResult("warning", found, advice)


def _hosts_of(workers: Sequence[Worker]) -> str:
    return ", ".join(sorted({worker.host for worker in workers}))


def _is_waiting() -> ColumnElement[bool]:
    not_requested = (col(Video.status) == Status.GENERATING) & col(Video.requested_at).is_(None)
    return or_(col(Video.status) == Status.QUEUED, not_requested)


def _since(session: Session, at: datetime | None) -> timedelta:
    return max(timedelta(0), read_db_now(session) - at) if at else timedelta(0)


def check_copies() -> CheckResult:
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


def check_failures() -> CheckResult:
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


def check_script_webhook() -> CheckResult:
    nothing = f"None is set: scripts are written by hand. {HOW_TO}"
    return _webhook(settings().script_webhook, "SCRIPT_WEBHOOK_URL", nothing)


def check_video_webhook() -> CheckResult:
    nothing = f"None is set: no videos are generated, only stored from links. {HOW_TO}"
    return _webhook(settings().video_webhook, "VIDEO_WEBHOOK_URL", nothing)


def check_notify_webhook() -> CheckResult:
    nothing = "None is set: no notices about finished videos are sent."
    return _webhook(settings().notify_webhook_url, "NOTIFY_WEBHOOK_URL", nothing)


def check_callback() -> CheckResult:
    """This server sends a request to itself at the URL that generators are given."""
    base = settings().callback_url or settings().base_url
    name = "CALLBACK_URL" if settings().callback_url else "PUBLIC_URL"
    advice = (
        f"Set {name} to the address under which generators reach this installation, and check its name, its "
        "certificate and the proxy in front. If people use another name than generators, set both PUBLIC_URL and "
        "CALLBACK_URL."
    )
    try:
        response = http_check.send_request(f"{base}/healthz")
    except http_check.Unreachable as error:
        return failed_check(error, advice)
    if response.status == 200 and _is_ours(response.body):
        return CheckResult("ok", f"{base} leads here.")
    found = f"Something other than VideoVault answers at {base} (HTTP {response.status})."
    return CheckResult("broken", found, advice)


def check_source_headers() -> CheckResult:
    """Only the names: the values are secret."""
    by_host = settings().source_extra_headers
    if not by_host:
        return CheckResult("ok", "None are set: videos are fetched without credentials.")
    headers = "; ".join(f"{host}: {', '.join(headers)}" for host, headers in by_host.items())
    return CheckResult("ok", f"Sent to these hosts only: {headers}.")


def check_mail_server() -> CheckResult:
    if settings().smtp is None:
        return CheckResult("ok", "None is set: no e-mail is sent.")
    notifications.connected_mailer().check_login()
    return CheckResult("ok", "The mail server accepts our sign-in. Nothing was sent.")


def _webhook(url: str, setting: str, nothing: str) -> CheckResult:
    """An OPTIONS request renders and costs nothing; any response shows that the service is there."""
    if not url:
        return CheckResult("ok", nothing)
    advice = (
        f"Check {setting}, and that the service behind it is running and can be reached from this machine."
    )
    try:
        response = http_check.send_request(url, "OPTIONS")
    except http_check.Unreachable as error:
        return failed_check(error, advice)
    if response.status >= 500 and response.status != NO_SUCH_METHOD:
        return CheckResult("warning", f"It responds, but with an error (HTTP {response.status}).", advice)
    milliseconds = max(1, round(response.seconds * 1000))
    names = ", ".join(settings().webhook_extra_headers)
    sent = f" Orders carry these headers: {names}." if names and url in _with_headers() else ""
    return CheckResult("ok", f"It answers within {milliseconds:,} ms. Only its presence was checked.{sent}")


def _with_headers() -> set[str | None]:
    """The webhooks that receive WEBHOOK_HEADERS."""
    return {settings().script_webhook_url, settings().video_webhook_url}


def _is_ours(body: bytes) -> bool:
    try:
        status = untrusted_json.loads(body)
    except ValueError:
        return False
    return bool(status == {"status": "ok"})


CHECKS: dict[str, Check] = {
    "database": Check("Database", check_database, DATABASE_ADVICE),
    "storage": Check("S3", object_store.round_trip, STORE_ADVICE, seconds=object_store.ROUND_TRIP_SECONDS),
    "cors": Check("Bucket CORS", object_store.cors, STORE_ADVICE),
    "clock": Check("Clock", object_store.clock, STORE_ADVICE),
    "disk": Check("Disk", object_store.disk, "Check DATA_DIR."),
    "queue": Check("Queue", partial(check_queue, 0), "Check QUEUE_URL, and that the queue is running."),
    "workers": Check("Workers", check_workers, DATABASE_ADVICE),
    "script-webhook": Check("Script webhook", check_script_webhook, "Check SCRIPT_WEBHOOK_URL."),
    "video-webhook": Check("Video webhook", check_video_webhook, "Check VIDEO_WEBHOOK_URL."),
    "callback": Check("Callback address", check_callback, "Check PUBLIC_URL and CALLBACK_URL."),
    "source-headers": Check("Headers for sources", check_source_headers, "Check SOURCE_HEADERS."),
    "notify-webhook": Check("Notice webhook", check_notify_webhook, "Check NOTIFY_WEBHOOK_URL."),
    "mail": Check("Mail server", check_mail_server, "Check SMTP_URL: host, port, user and password."),
    "copies": Check("Playable copies", check_copies, DATABASE_ADVICE),
    "failures": Check("Videos", check_failures, DATABASE_ADVICE),
}

"""Live checks of what this installation depends on: each is tried for real, in its own thread and with a deadline.

A check reports what is wrong, and how to repair it.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from videovault import logs
from videovault.config import settings
from videovault.errors import NotFound, StorageError, VideoVaultError
from videovault.services.admin.checks import endpoints, object_store, processing
from videovault.services.admin.checks.object_store import (
    BROWSER,
    browser_result,
    browser_untested,
    finish_browser_check,
    start_browser_check,
)
from videovault.services.admin.checks.result import (
    STORE_ADVICE,
    CheckResult,
    CheckView,
    StepView,
    failed_check,
    storage_advice,
)
from videovault.services.admin.health import SharedRun, shared_runs
from videovault.services.core.access import Caller, check_admin

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
log = logs.get(__name__)


@dataclass(frozen=True)
class Check:
    """``advice`` is for time-outs and errors without their own advice; ``seconds`` is a longer deadline."""

    title: str
    look: Callable[[], CheckResult]
    advice: str
    seconds: float = 0


DATABASE_ADVICE = "Check DATABASE_URL, and that the database is running."
CHECKS: dict[str, Check] = {
    "database": Check("Database", processing.database, DATABASE_ADVICE),
    "storage": Check("S3", object_store.round_trip, STORE_ADVICE, seconds=object_store.ROUND_TRIP_SECONDS),
    "cors": Check("Bucket CORS", object_store.cors, STORE_ADVICE),
    "clock": Check("Clock", object_store.clock, STORE_ADVICE),
    "disk": Check("Disk", object_store.disk, "Check DATA_DIR."),
    "queue": Check("Queue", partial(processing.queue, 0), "Check QUEUE_URL, and that the queue is running."),
    "workers": Check("Workers", processing.workers, DATABASE_ADVICE),
    "script-webhook": Check("Script webhook", endpoints.script_webhook, "Check SCRIPT_WEBHOOK_URL."),
    "video-webhook": Check("Video webhook", endpoints.video_webhook, "Check VIDEO_WEBHOOK_URL."),
    "callback": Check("Callback address", endpoints.callback, "Check PUBLIC_URL and CALLBACK_URL."),
    "source-headers": Check("Headers for sources", endpoints.source_headers, "Check SOURCE_HEADERS."),
    "notify-webhook": Check("Notice webhook", endpoints.notify_webhook, "Check NOTIFY_WEBHOOK_URL."),
    "mail": Check("Mail server", endpoints.mail_server, "Check SMTP_URL: host, port, user and password."),
    "copies": Check("Playable copies", processing.copies, DATABASE_ADVICE),
    "failures": Check("Videos", processing.failures, DATABASE_ADVICE),
}


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
    look = (lambda: processing.queue(jobs_waiting())) if name == "queue" else CHECKS[name].look
    return _shared_run(f"checked {name}").start(lambda: _run(name, look))


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


def applicable() -> list[str]:
    """The names of the checks that apply to these settings."""
    return [name for name in CHECKS if name != "disk" or settings().uses_embedded_s3]


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

"""The table of checks, and how one is run: in a thread of its own, with a deadline, whatever becomes of it."""

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
from videovault.services.admin.checks.result import CheckView, Outcome, broken, mend_storage
from videovault.services.admin.health import SharedRun, shared_runs
from videovault.services.core.access import Caller, check_admin

DEADLINE_SECONDS = 5.0
log = logs.get(__name__)


@dataclass(frozen=True)
class Check:
    """``mend`` is said where it hangs or fails in a way that has no advice of its own; ``seconds``: a longer deadline."""

    title: str
    look: Callable[[], Outcome]
    mend: str
    seconds: float = 0


STORE = "Check that the S3 is up and that AWS_ENDPOINT_URL_S3 and AWS_REGION lead to it."
CHECKS: dict[str, Check] = {
    "database": Check(
        "Database", processing.database, "Check DATABASE_URL, and that the database is running."
    ),
    "storage": Check("S3", object_store.round_trip, STORE, seconds=object_store.ROUND_TRIP_SECONDS),
    "cors": Check("Bucket CORS", object_store.cors, STORE),
    "clock": Check("Clock", object_store.clock, STORE),
    "disk": Check("Disk", object_store.disk, "Check DATA_DIR."),
    "queue": Check("Queue", partial(processing.queue, 0), "Check QUEUE_URL, and that the queue is running."),
    "workers": Check("Workers", processing.workers, "Check DATABASE_URL, and that the database is running."),
    "script-webhook": Check("Script webhook", endpoints.script_webhook, "Check SCRIPT_WEBHOOK_URL."),
    "video-webhook": Check("Video webhook", endpoints.video_webhook, "Check VIDEO_WEBHOOK_URL."),
    "callback": Check("Callback address", endpoints.callback, "Check PUBLIC_URL and CALLBACK_URL."),
    "source-headers": Check("Headers for sources", endpoints.source_headers, "Check SOURCE_HEADERS."),
    "notify-webhook": Check("Notice webhook", endpoints.notify_webhook, "Check NOTIFY_WEBHOOK_URL."),
    "mail": Check("Mail server", endpoints.mail_server, "Check SMTP_URL: host, port, user and password."),
    "copies": Check(
        "Playable copies", processing.copies, "Check DATABASE_URL, and that the database is running."
    ),
    "failures": Check("Videos", processing.failures, "Check DATABASE_URL, and that the database is running."),
}


def check(caller: Caller, name: str, *, jobs_waiting: Callable[[], int]) -> CheckView:
    """As ``begun``, waiting for it."""
    return begun(caller, name, jobs_waiting=jobs_waiting).result()


def begun(caller: Caller, name: str, *, jobs_waiting: Callable[[], int]) -> "Future[CheckView]":
    """One of ``CHECKS``, in a thread of its own, with a deadline; of all who ask at once the same run.

    Raises Forbidden for anyone but admins, NotFound.
    """
    check_admin(caller)
    if name not in CHECKS:
        raise NotFound("There is no such check.")
    look = (lambda: processing.queue(jobs_waiting())) if name == "queue" else CHECKS[name].look
    return _run(f"checked {name}").ask(lambda: _checked(name, look))


def _run(name: str) -> SharedRun[Any]:
    return shared_runs().setdefault(name, SharedRun(name))


def _checked(name: str, look: Callable[[], Outcome]) -> CheckView:
    chosen, begun_at = CHECKS[name], time.monotonic()
    outcome = _outcome(chosen, _run(f"looked at {name}").ask(look))
    return CheckView(
        name=name,
        title=chosen.title,
        state=outcome.state,
        found=outcome.found,
        trouble=outcome.trouble,
        mend=outcome.mend,
        steps=list(outcome.steps),
        details=list(outcome.details),
        seconds=round(time.monotonic() - begun_at, 3),
    )


def applicable() -> list[str]:
    """The checks that mean something with these settings."""
    return [name for name in CHECKS if name != "disk" or settings().uses_embedded_s3]


def _outcome(chosen: Check, looking: Future[Outcome]) -> Outcome:
    seconds = max(DEADLINE_SECONDS, chosen.seconds)
    try:
        return looking.result(seconds)
    except TimeoutError:
        return Outcome("broken", f"No answer within {seconds:g} seconds.", chosen.mend)
    except StorageError as error:
        return broken(error, mend_storage(error))
    except VideoVaultError as error:
        return broken(error, chosen.mend)
    except Exception:  # the reason is for the log only: it may tell addresses and names
        log.exception("check failed", part=chosen.title)
        return Outcome("broken", "It could not be used; the log tells why.", chosen.mend)

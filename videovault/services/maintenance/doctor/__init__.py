"""Everything that this installation depends on, checked for an operator: also when nothing runs, or nothing can."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from videovault.config import settings
from videovault.gateways import store_capabilities
from videovault.services.admin import checks
from videovault.services.admin.checks import CheckView
from videovault.services.maintenance.doctor import parts, shared
from videovault.services.maintenance.doctor.finding import Finding, State

__all__ = ["Circumstances", "Finding", "State", "examine"]

NEED_TABLES = {"queue", "workers", "copies", "failures"}
NEED_STORE = {"storage", "cors", "clock"}


@dataclass(frozen=True)
class Circumstances:
    """``is_running``: a web process of this machine uses DATA_DIR. ``start_page`` is the one that was built here.

    ``is_shared``: there are, or will be, several machines.
    """

    jobs_waiting: Callable[[], int]
    is_running: bool
    start_page: str
    is_shared: bool


def examine(here: Circumstances) -> Iterator[Finding]:
    """One finding after the other. Changes nothing, except for small objects and keys that are deleted again."""
    yield parts.data_folder()
    database = parts.database()
    yield database
    has_database = database.state == "ok"
    if has_database:
        yield parts.secret_key()
        yield parts.installation_settings()
    else:
        yield Finding("secret-key", "Secret key", "skipped", "It is compared with the database.")
        yield Finding("installation", parts.INSTALLATION, "skipped", "They are compared with the database.")
    queue = parts.queue(here.jobs_waiting)
    yield queue
    yield parts.redis()
    yield from _system_checks(here, has_database=has_database, has_queue=queue.state == "ok")
    if here.is_running or not parts.is_local_only(settings()):
        yield parts.websocket()
    if here.is_shared or _looks_shared():
        yield from shared.findings(settings(), here.start_page, is_required=here.is_shared)


def _looks_shared() -> bool:
    return settings().workers == 0 or bool(settings().redis_url)


def _system_checks(here: Circumstances, *, has_database: bool, has_queue: bool) -> Iterator[Finding]:
    """The checks of the System page, started together."""
    has_tables = has_database and parts.has_this_schema()
    has = {"database": has_database} | dict.fromkeys(NEED_TABLES, has_tables)
    reasons = {
        name: "It needs the database." if not has.get(name, True) else _reason_to_skip(name, here)
        for name in checks.applicable()
    }
    if not has_queue:
        reasons["queue"] = reasons["queue"] or "The queue cannot be used."
    memory: AbstractContextManager[None] = (
        nullcontext() if has_tables else store_capabilities.without_memory()
    )
    with memory:
        running = {
            name: checks.start_check(name, jobs_waiting=here.jobs_waiting)
            for name, reason in reasons.items()
            if not reason
        }
        for name, reason in reasons.items():
            if reason:
                yield Finding(name, checks.CHECKS[name].title, "skipped", reason)
            else:
                yield _finding(running[name].result())


def _reason_to_skip(name: str, here: Circumstances) -> str:
    config = settings()
    if name == "disk" and not config.data_dir.exists():
        return "There is no DATA_DIR yet."
    if here.is_running:
        return ""
    if name in NEED_STORE and config.uses_embedded_s3:
        return "VideoVault does not run here, and the embedded S3 runs with it."
    is_own = {
        "workers": config.workers > 0 and config.database_dsn.startswith("sqlite"),
        "script-webhook": config.script_webhook_url is None,
        "video-webhook": config.video_webhook_url is None,
        "callback": parts.is_local_only(config) and not config.callback_url,
    }
    return "VideoVault does not run here." if is_own.get(name) else ""


def _finding(view: CheckView) -> Finding:
    problem = (f"This is what the guide calls {view.problem}.",) if view.problem else ()
    return Finding(view.name, view.title, view.state, view.found, view.advice, (*problem, *view.details))
